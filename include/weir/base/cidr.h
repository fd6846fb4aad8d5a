// Cidr: a network, as people write it in allow lists: 10.0.0.0/8, 2001:db8::/32. RFC 4632 and
// RFC 4291, section 2.3. Numeric only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "weir/base/socket_address.h"

namespace weir {

class Cidr {
 public:
  /// "10.0.0.0/8", "2001:db8::/32"; an address without a length is the network of that address
  /// alone. Nothing for anything else. Nothing, too, where bits are set behind the length, as in
  /// 10.1.0.0/8: half of its writers meant the longer network and half the address, so that the
  /// caller's message should name the rule. An IPv4-mapped network (::ffff:10.0.0.0/104) is the
  /// IPv4 network.
  [[nodiscard]] static std::optional<Cidr> parse(std::string_view text);

  /// Whether the address lies in this network; its port does not count. An IPv4-mapped IPv6
  /// address, which is how a dual-stack listener names an IPv4 peer, is that IPv4 address, so that
  /// the answer does not depend on the listener; ::/0 is all of IPv6, and no IPv4 address is in it.
  [[nodiscard]] bool contains(const SocketAddress& address) const noexcept;

  /// The form that parse() reads, always with a length.
  [[nodiscard]] std::string to_string() const;

 private:
  /// Network byte order; an IPv4 address fills the first four bytes.
  using AddressBytes = std::array<std::uint8_t, 16>;

  Cidr(int family, const AddressBytes& network, unsigned length_bits) noexcept
      : family_{family}, length_bits_{length_bits}, network_{network} {}

  int family_;            // AF_INET or AF_INET6
  unsigned length_bits_;  // 0 to 32 or 128
  AddressBytes network_;  // its bits from length_bits_ on are zero
};

}  // namespace weir
