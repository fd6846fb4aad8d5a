#include "weir/base/socket_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <array>
#include <bit>
#include <cstring>

#include "weir/base/units.h"

namespace weir {
namespace {

// sockaddr_storage may be read and written as the family's own type (POSIX, sys/socket.h).
sockaddr_in& v4(sockaddr_storage& s) {
  return reinterpret_cast<sockaddr_in&>(s);
}
const sockaddr_in& v4(const sockaddr_storage& s) {
  return reinterpret_cast<const sockaddr_in&>(s);
}
sockaddr_in6& v6(sockaddr_storage& s) {
  return reinterpret_cast<sockaddr_in6&>(s);
}
const sockaddr_in6& v6(const sockaddr_storage& s) {
  return reinterpret_cast<const sockaddr_in6&>(s);
}

template <class Query>
std::optional<SocketAddress> ask(Query query, int fd) noexcept {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (query(fd, address, &length) != 0) return std::nullopt;
  return SocketAddress{address, length};
}

}  // namespace

SocketAddress::SocketAddress(const sockaddr* address, socklen_t length) noexcept {
  std::memcpy(&storage_, address, std::min<std::size_t>(length, sizeof storage_));
}

std::optional<SocketAddress> SocketAddress::parse(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = parse_number<std::uint16_t>(text.substr(colon + 1));
  std::string host{text.substr(0, colon)};
  if (!port) return std::nullopt;
  if (host == "*") host = "0.0.0.0";

  SocketAddress result;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    result.storage_.ss_family = AF_INET6;
    const std::string inner = host.substr(1, host.size() - 2);
    if (inet_pton(AF_INET6, inner.c_str(), &v6(result.storage_).sin6_addr) != 1)
      return std::nullopt;
  } else {
    result.storage_.ss_family = AF_INET;
    if (inet_pton(AF_INET, host.c_str(), &v4(result.storage_).sin_addr) != 1) return std::nullopt;
  }
  result.set_port(*port);
  return result;
}

std::optional<SocketAddress> SocketAddress::local_of(int fd) noexcept {
  return ask(::getsockname, fd);
}

std::optional<SocketAddress> SocketAddress::peer_of(int fd) noexcept {
  return ask(::getpeername, fd);
}

std::uint16_t SocketAddress::port() const noexcept {
  return ntohs(is_ipv6() ? v6(storage_).sin6_port : v4(storage_).sin_port);
}

void SocketAddress::set_port(std::uint16_t port) noexcept {
  (is_ipv6() ? v6(storage_).sin6_port : v4(storage_).sin_port) = htons(port);
}

const sockaddr* SocketAddress::data() const noexcept {
  return reinterpret_cast<const sockaddr*>(&storage_);
}

socklen_t SocketAddress::size() const noexcept {
  return is_ipv6() ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
}

std::string SocketAddress::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (is_ipv6()) {
    inet_ntop(AF_INET6, &v6(storage_).sin6_addr, text.data(), text.size());
    return fmt::format("[{}]:{}", text.data(), port());
  }
  inet_ntop(AF_INET, &v4(storage_).sin_addr, text.data(), text.size());
  return fmt::format("{}:{}", text.data(), port());
}

}  // namespace weir
