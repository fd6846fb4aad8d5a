#include "weir/base/cidr.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "weir/base/units.h"

namespace weir {
namespace {

constexpr unsigned kIpv4Bits = 32;
constexpr unsigned kIpv6Bits = 128;
constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr unsigned kMappedBits = kMappedPrefix.size() * 8;

using Bytes = std::array<std::uint8_t, 16>;

bool is_mapped(const Bytes& address) {
  return std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), address.begin());
}

Bytes unmapped(const Bytes& address) {
  Bytes ipv4{};
  std::copy(address.begin() + kMappedPrefix.size(), address.end(), ipv4.begin());
  return ipv4;
}

/// The bits of byte `at` that belong to a network of this length.
std::uint8_t mask_of_byte(std::size_t at, unsigned length_bits) {
  const unsigned before = static_cast<unsigned>(at) * 8;
  const unsigned in_network = std::clamp(length_bits, before, before + 8) - before;
  return static_cast<std::uint8_t>(0xff00U >> in_network);
}

bool host_bits_set(const Bytes& address, unsigned length_bits) {
  for (std::size_t i = 0; i < address.size(); ++i) {
    if ((address[i] & ~mask_of_byte(i, length_bits)) != 0) return true;
  }
  return false;
}

/// Decimal, without a sign or leading zeros.
std::optional<unsigned> parse_length(std::string_view text, unsigned max) {
  const auto length = parse_number<unsigned>(text);
  if (!length || *length > max || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  return length;
}

}  // namespace

std::optional<Cidr> Cidr::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string address{text.substr(0, slash)};
  // inet_pton would stop at a zero byte and take what stands before it.
  if (address.find('\0') != address.npos) return std::nullopt;
  int family = address.find(':') == address.npos ? AF_INET : AF_INET6;
  Bytes network{};
  if (inet_pton(family, address.c_str(), network.data()) != 1) return std::nullopt;

  const unsigned bits = family == AF_INET ? kIpv4Bits : kIpv6Bits;
  const auto length =
      slash == text.npos ? std::optional{bits} : parse_length(text.substr(slash + 1), bits);
  if (!length || host_bits_set(network, *length)) return std::nullopt;
  if (family == AF_INET6 && *length >= kMappedBits && is_mapped(network)) {
    return Cidr{AF_INET, unmapped(network), *length - kMappedBits};
  }
  return Cidr{family, network, *length};
}

bool Cidr::contains(const SocketAddress& address) const noexcept {
  int family = address.family();
  Bytes bytes{};
  if (family == AF_INET) {
    const auto& ipv4 = reinterpret_cast<const sockaddr_in*>(address.data())->sin_addr;
    std::memcpy(bytes.data(), &ipv4, sizeof ipv4);
  } else if (family == AF_INET6) {
    const auto& ipv6 = reinterpret_cast<const sockaddr_in6*>(address.data())->sin6_addr;
    std::memcpy(bytes.data(), &ipv6, sizeof ipv6);
    if (is_mapped(bytes)) {
      family = AF_INET;
      bytes = unmapped(bytes);
    }
  }
  if (family != family_) return false;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (((bytes[i] ^ network_[i]) & mask_of_byte(i, length_bits_)) != 0) return false;
  }
  return true;
}

std::string Cidr::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(family_, network_.data(), text.data(), text.size());
  return fmt::format("{}/{}", text.data(), length_bits_);
}

}  // namespace weir
