// SocketAddress: an IPv4 or IPv6 address and a TCP port, as the kernel takes it and as people
// write it. Numeric only: no name is ever looked up.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir {

class SocketAddress {
 public:
  SocketAddress() noexcept = default;
  SocketAddress(const sockaddr* address, socklen_t length) noexcept;

  /// "127.0.0.1:9000", "[::1]:9000", or "*:9000" for all IPv4 addresses. Port 0 is allowed.
  [[nodiscard]] static std::optional<SocketAddress> parse(std::string_view text);
  /// The address a socket is bound to; nothing if the kernel does not say.
  [[nodiscard]] static std::optional<SocketAddress> local_of(int fd) noexcept;
  /// The address a socket is connected to; nothing if the kernel does not say.
  [[nodiscard]] static std::optional<SocketAddress> peer_of(int fd) noexcept;

  [[nodiscard]] int family() const noexcept { return storage_.ss_family; }
  [[nodiscard]] bool is_ipv6() const noexcept { return family() == AF_INET6; }
  [[nodiscard]] std::uint16_t port() const noexcept;
  void set_port(std::uint16_t port) noexcept;
  [[nodiscard]] const sockaddr* data() const noexcept;
  [[nodiscard]] socklen_t size() const noexcept;

  /// The form that parse() reads.
  [[nodiscard]] std::string to_string() const;

 private:
  sockaddr_storage storage_{};
};

}  // namespace weir
