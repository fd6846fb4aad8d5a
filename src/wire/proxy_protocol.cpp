// What has to be looked at is kept, 107 bytes at the most; the rest of a block is only counted.
#include "weir/wire/proxy_protocol.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "proxy_line.h"

namespace weir::wire {
namespace {

constexpr std::string_view kLineSignature = "PROXY ";
constexpr std::string_view kBlockSignature{"\r\n\r\n\0\r\nQUIT\n", 12};

// A block (2.2): the signature, then version and command, family and transport, the length of what
// follows in network byte order; then addresses as the family has them, then TLVs.
constexpr std::size_t kVersionAt = 12;
constexpr std::size_t kFamilyAt = 13;
constexpr std::size_t kLengthAt = 14;
constexpr std::size_t kFixedBytes = 16;
constexpr unsigned kVersion = 2;
constexpr unsigned kLocal = 0;
constexpr unsigned kProxy = 1;
constexpr unsigned kTcpOverIpv4 = 0x11;
constexpr unsigned kTcpOverIpv6 = 0x21;
constexpr std::size_t kIpv4Bytes = 4 + 4 + 2 + 2;  // source, destination, their ports
constexpr std::size_t kIpv6Bytes = 16 + 16 + 2 + 2;
constexpr std::size_t kUnixBytes = 108 + 108;

/// What the addresses of a family take; 0 where there are none, or where nobody has said yet what
/// they are.
constexpr std::size_t address_bytes(unsigned family_and_transport) noexcept {
  switch (family_and_transport) {
    case kTcpOverIpv4:
    case 0x12: return kIpv4Bytes;  // UDP
    case kTcpOverIpv6:
    case 0x22: return kIpv6Bytes;  // UDP
    case 0x31:
    case 0x32: return kUnixBytes;  // stream, datagram
    default: return 0;
  }
}

constexpr std::size_t big_endian(unsigned char high, unsigned char low) noexcept {
  return std::size_t{high} << 8 | low;
}

}  // namespace

std::string_view to_string(ProxyError error) noexcept {
  switch (error) {
    case ProxyError::none: return "none";
    case ProxyError::no_signature: return "no PROXY protocol header";
    case ProxyError::line_too_long: return "PROXY line of more than 107 bytes";
    case ProxyError::line_malformed: return "malformed PROXY line";
    case ProxyError::version_unknown: return "unknown version of the PROXY protocol";
    case ProxyError::command_unknown: return "unknown command of the PROXY protocol";
    case ProxyError::too_long: return "PROXY header of more than 4096 bytes";
    case ProxyError::addresses_too_short: return "PROXY header too short for its addresses";
  }
  return "";
}

ProxyParser::Progress ProxyParser::feed(std::span<std::byte>& in) noexcept {
  if (progress_ != Progress::need_more || in.empty()) return progress_;
  const unsigned first = taken_ > 0 ? kept_[0] : std::to_integer<unsigned>(in.front());
  return first == static_cast<unsigned char>(kBlockSignature.front()) ? take_block(in)
                                                                      : take_line(in);
}

ProxyParser::Progress ProxyParser::take_line(std::span<std::byte>& in) noexcept {
  const std::span<std::byte> all = in;
  const std::size_t taken_before = taken_;
  gather(in, kLineBytesMax);
  const std::string_view text{reinterpret_cast<const char*>(kept_.data()), taken_};
  const ProxyLine line = read_proxy_line(text);
  switch (line.kind) {
    case ProxyLine::Kind::whole:
      in = all.subspan(line.bytes - taken_before);
      source_ = line.source;
      return finish(ProxyError::none);
    case ProxyLine::Kind::wrong:
      return finish(text.starts_with(kLineSignature) ? ProxyError::line_malformed
                                                     : ProxyError::no_signature);
    case ProxyLine::Kind::cut: break;
  }
  // Of the last two bytes the first has to be a CR; only the rest of an UNKNOWN goes that far.
  const bool too_long =
      taken_ == kLineBytesMax || (taken_ == kLineBytesMax - 1 && text.back() != '\r');
  return too_long ? finish(ProxyError::line_too_long) : progress_;
}

ProxyParser::Progress ProxyParser::take_block(std::span<std::byte>& in) noexcept {
  gather(in, kFixedBytes);
  const ProxyError error = check_fixed_part();
  if (error != ProxyError::none) return finish(error);
  if (taken_ < kFixedBytes) return progress_;

  const std::size_t end = kFixedBytes + big_endian(kept_[kLengthAt], kept_[kLengthAt + 1]);
  const bool is_proxy = (kept_[kVersionAt] & 0xf) == kProxy;
  const unsigned family = kept_[kFamilyAt];
  if (is_proxy && (family == kTcpOverIpv4 || family == kTcpOverIpv6)) {
    const std::size_t addresses_end = kFixedBytes + address_bytes(family);
    gather(in, addresses_end);
    if (taken_ < addresses_end) return progress_;
    if (!source_) read_addresses();
  }
  const std::size_t passed_over = std::min(in.size(), end - taken_);
  in = in.subspan(passed_over);
  taken_ = static_cast<std::uint16_t>(taken_ + passed_over);
  return taken_ == end ? finish(ProxyError::none) : progress_;
}

/// Of as much of it as has come.
ProxyError ProxyParser::check_fixed_part() const noexcept {
  const std::size_t kept = std::min<std::size_t>(taken_, kBlockSignature.size());
  if (std::memcmp(kept_.data(), kBlockSignature.data(), kept) != 0) return ProxyError::no_signature;
  if (taken_ <= kVersionAt) return ProxyError::none;
  if (kept_[kVersionAt] >> 4 != kVersion) return ProxyError::version_unknown;
  const unsigned command = kept_[kVersionAt] & 0xf;
  if (command != kLocal && command != kProxy) return ProxyError::command_unknown;

  if (taken_ <= kLengthAt) return ProxyError::none;
  if (kFixedBytes + big_endian(kept_[kLengthAt], 0) > kBytesMax) return ProxyError::too_long;
  if (taken_ < kFixedBytes) return ProxyError::none;
  const std::size_t length = big_endian(kept_[kLengthAt], kept_[kLengthAt + 1]);
  if (kFixedBytes + length > kBytesMax) return ProxyError::too_long;
  // LOCAL: what follows is discarded, whatever its family says (2.2).
  const bool too_short = command == kProxy && length < address_bytes(kept_[kFamilyAt]);
  return too_short ? ProxyError::addresses_too_short : ProxyError::none;
}

void ProxyParser::gather(std::span<std::byte>& in, std::size_t up_to) noexcept {
  if (taken_ >= up_to) return;
  const std::size_t bytes = std::min(in.size(), up_to - taken_);
  std::memcpy(kept_.data() + taken_, in.data(), bytes);
  in = in.subspan(bytes);
  taken_ = static_cast<std::uint16_t>(taken_ + bytes);
}

/// Addresses and ports stand in network byte order, as the kernel takes them.
void ProxyParser::read_addresses() noexcept {
  const unsigned char* const addresses = kept_.data() + kFixedBytes;
  if (kept_[kFamilyAt] == kTcpOverIpv6) {
    sockaddr_in6 source{};
    source.sin6_family = AF_INET6;
    std::memcpy(&source.sin6_addr, addresses, 16);
    std::memcpy(&source.sin6_port, addresses + 32, 2);
    source_.emplace(reinterpret_cast<const sockaddr*>(&source), sizeof source);
  } else {
    sockaddr_in source{};
    source.sin_family = AF_INET;
    std::memcpy(&source.sin_addr, addresses, 4);
    std::memcpy(&source.sin_port, addresses + 8, 2);
    source_.emplace(reinterpret_cast<const sockaddr*>(&source), sizeof source);
  }
}

ProxyParser::Progress ProxyParser::finish(ProxyError error) noexcept {
  error_ = error;
  return progress_ = error == ProxyError::none ? Progress::done : Progress::refused;
}

}  // namespace weir::wire
