// The PROXY protocol, versions 1 and 2 (haproxy.org, doc/proxy-protocol.txt, of 2020/03/05): the
// line or block that a proxy sends ahead of a connection's own bytes to say whose connection it
// is. Bytes in, an address out. Who may say so is decided elsewhere.
//
// Version 2's TLVs are passed over unseen. That goes for its checksum too (PP2_TYPE_CRC32C, which
// a receiver may leave unchecked): TCP has its own, and a proxy is trusted or it is not heard.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "weir/base/socket_address.h"

namespace weir::wire {

/// What is wrong with a header.
enum class ProxyError : std::uint8_t {
  none,
  no_signature,         // neither "PROXY " nor version 2's twelve bytes
  line_too_long,        // version 1: no CR LF within 107 bytes
  line_malformed,       // version 1: not the grammar of section 2.1
  version_unknown,      // version 2: another version
  command_unknown,      // version 2: neither LOCAL nor PROXY
  too_long,             // version 2: more than ProxyParser::kBytesMax
  addresses_too_short,  // version 2: the block is shorter than its family's addresses
};
[[nodiscard]] std::string_view to_string(ProxyError error) noexcept;

/// One per connection on a listener that expects the header, until it is done.
class ProxyParser {
 public:
  /// The longest header taken: addresses and TLVs of version 2.
  static constexpr std::size_t kBytesMax = 4'096;

  // need_more --whole header--> done
  //     \------ anything else -----> refused
  enum class Progress : std::uint8_t { need_more, done, refused };

  /// Takes bytes from the front of `in`, which it advances, and not one past the header. Once it
  /// has said done or refused it takes nothing and says the same again. How the bytes were cut
  /// makes no difference, and a refusal comes at the first byte that cannot be right.
  Progress feed(std::span<std::byte>& in) noexcept;

  /// Once done: whose connection it is. Nothing for LOCAL, UNKNOWN and families that are not
  /// TCP over IP: the connection then counts as the proxy's own.
  [[nodiscard]] const std::optional<SocketAddress>& source() const noexcept { return source_; }
  /// Once refused: what is wrong.
  [[nodiscard]] ProxyError error() const noexcept { return error_; }

 private:
  static constexpr std::size_t kLineBytesMax = 107;  // version 1, CR LF included

  Progress take_line(std::span<std::byte>& in) noexcept;
  Progress take_block(std::span<std::byte>& in) noexcept;
  [[nodiscard]] ProxyError check_fixed_part() const noexcept;
  void gather(std::span<std::byte>& in, std::size_t up_to) noexcept;
  void read_addresses() noexcept;
  Progress finish(ProxyError error) noexcept;

  std::optional<SocketAddress> source_;
  ProxyError error_ = ProxyError::none;
  Progress progress_ = Progress::need_more;
  std::uint16_t taken_ = 0;                          // of the header, kept or passed over
  std::array<unsigned char, kLineBytesMax> kept_{};  // a line, or a block up to its addresses
};
static_assert(sizeof(ProxyParser) <= 256, "one per connection that says nothing yet");

}  // namespace weir::wire
