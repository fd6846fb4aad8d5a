#include "weir/process/listeners.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace weir::process {
namespace {

Error bind_error(const SocketAddress& address, int number) {
  const std::string what = fmt::format("cannot listen on {}", address.to_string());
  switch (number) {
    case EADDRINUSE:
      return {what + ": the port is in use", "stop what listens there, or choose with --listen"};
    case EACCES:
      return {what + ": ports below 1024 need a privilege",
              "grant CAP_NET_BIND_SERVICE, or choose a higher port with --listen"};
    case EADDRNOTAVAIL:
      return {what + ": not an address of this host", "choose one of its own with --listen"};
    case EAFNOSUPPORT:
      return {what + ": this host has no IPv6", "choose an IPv4 address with --listen"};
    case EMFILE: return {what + ": too few descriptors", "raise the descriptor limit (ulimit -n)"};
    default: return os_error(what, number);
  }
}

bool set(int fd, int level, int name, int value) noexcept {
  return ::setsockopt(fd, level, name, &value, sizeof value) == 0;
}

Result<UniqueFd> bound_socket(const SocketAddress& address, bool reuse_port) {
  UniqueFd fd{::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP)};
  if (!fd) return bind_error(address, errno);
  // Each family has its own group: "::" must not take IPv4 in where 0.0.0.0 is asked for as well.
  const bool ok = set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1) &&
                  (!reuse_port || set(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1)) &&
                  (!address.is_ipv6() || set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1)) &&
                  // Accepted sockets inherit it, which saves a system call each: a message must
                  // not wait for the acknowledgement of the one before (RFC 896).
                  set(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  if (!ok || ::bind(fd.get(), address.data(), address.size()) != 0)
    return bind_error(address, errno);
  return fd;
}

Result<std::vector<UniqueFd>> open_group(SocketAddress& address, std::uint32_t slots,
                                         std::uint32_t backlog) {
  if (address.port() != 0)
    if (auto free = probe_address(address); !free) return free.error();
  std::vector<UniqueFd> group;
  group.reserve(slots);
  for (std::uint32_t slot = 0; slot < slots; ++slot) {
    auto fd = bound_socket(address, true);
    if (!fd) return fd.error();
    const int limit = static_cast<int>(std::min<std::uint32_t>(backlog, INT32_MAX));
    if (::listen(fd->get(), limit) != 0) return bind_error(address, errno);
    if (const auto local = SocketAddress::local_of(fd->get()); local && address.port() == 0)
      address.set_port(local->port());
    group.push_back(std::move(*fd));
  }
  return group;
}

}  // namespace

Result<void> probe_address(const SocketAddress& address) {
  // Without SO_REUSEPORT, bind() fails if anything listens there.
  const auto fd = bound_socket(address, false);
  if (!fd) return fd.error();
  return {};
}

Result<Listeners> Listeners::open(std::vector<SocketAddress> addresses, std::uint32_t slots,
                                  std::uint32_t backlog) {
  Listeners made;
  made.addresses_ = std::move(addresses);
  for (SocketAddress& address : made.addresses_) {
    auto group = open_group(address, slots, backlog);
    if (!group) return group.error();
    made.sockets_.push_back(std::move(*group));
  }
  return made;
}

std::vector<int> Listeners::of_address(std::size_t address) const {
  std::vector<int> fds;
  for (const UniqueFd& fd : sockets_[address]) fds.push_back(fd.get());
  return fds;
}

std::vector<int> Listeners::of_slot(std::uint32_t slot) const {
  std::vector<int> fds;
  for (const auto& group : sockets_) fds.push_back(group[slot].get());
  return fds;
}

std::vector<std::vector<int>> Listeners::by_slot() const {
  std::vector<std::vector<int>> slots;
  for (std::uint32_t slot = 0; slot < sockets_.front().size(); ++slot)
    slots.push_back(of_slot(slot));
  return slots;
}

}  // namespace weir::process
