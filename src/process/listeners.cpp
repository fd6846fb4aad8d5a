#include "weir/process/listeners.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <span>

#include "listener_order.h"

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

/// What `fd` has for IPV6_V6ONLY; 1 for an IPv4 socket.
int v6only_of(int fd) noexcept {
  int value = 1;
  socklen_t size = sizeof value;
  ::getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value, &size);
  return value;
}

/// Accepted sockets inherit it, which saves a system call each: a message must not wait for the
/// acknowledgement of the one before (RFC 896).
bool set_no_delay(int fd) noexcept {
  return set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

/// Makes a socket and binds it; 0 or an errno.
int bind_new(UniqueFd& fd, const SocketAddress& address, bool reuse_port, int v6only) noexcept {
  fd.reset(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!fd) return errno;
  // Each family has its own group: "::" must not take IPv4 in where 0.0.0.0 is asked for as well.
  const bool ok = set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1) &&
                  (!reuse_port || set(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1)) &&
                  (!address.is_ipv6() || set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, v6only)) &&
                  ::bind(fd.get(), address.data(), address.size()) == 0;
  return ok ? 0 : errno;
}

/// The kernel lets sockets share a port only if one user made them all.
Error cannot_join(const SocketAddress& address, std::size_t passed, std::uint32_t slots) {
  return {
      fmt::format("cannot listen on {} beside the socket that was passed: it is another user's",
                  address.to_string()),
      fmt::format("have one socket for each worker passed ({}, not {}), or run weir as the user "
                  "that makes it, with --user for its workers",
                  slots, passed)};
}

/// Binds sockets to `address`, beside those of the group, until there are `slots`.
Result<void> bind_more(std::vector<UniqueFd>& group, SocketAddress& address, std::size_t passed,
                       std::uint32_t slots) {
  const int v6only = passed == 0 ? 1 : v6only_of(group.front().get());
  group.reserve(slots);
  while (group.size() < slots) {
    UniqueFd fd;
    const int error = bind_new(fd, address, true, v6only);
    if (error == EADDRINUSE && passed > 0) return cannot_join(address, passed, slots);
    if (error != 0) return bind_error(address, error);
    group.push_back(std::move(fd));
    if (const auto local = SocketAddress::local_of(group.back().get());
        local && address.port() == 0)
      address.set_port(local->port());
  }
  return {};
}

/// In their order, which is that of the slots: the kernel counts the sockets of a group as they
/// begin to listen.
Result<void> listen_all(std::span<const UniqueFd> group, const SocketAddress& address,
                        int backlog) {
  for (const UniqueFd& fd : group)
    if (!set_no_delay(fd.get()) || ::listen(fd.get(), backlog) != 0)
      return bind_error(address, errno);
  return {};
}

bool listens(int fd) noexcept {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 && value != 0;
}

/// What an estate has of a group, whose first socket always listens: one that was shut may be there
/// still, or not. Returns the slots of those.
Result<std::vector<std::uint32_t>> reopen(std::vector<UniqueFd>& group,
                                          const SocketAddress& address, int backlog) {
  std::vector<std::uint32_t> slots;
  for (std::uint32_t slot = 0; slot < group.size(); ++slot) {
    UniqueFd& fd = group[slot];
    if (fd && listens(fd.get())) continue;
    if (!fd)
      if (const int error = bind_new(fd, address, true, v6only_of(group.front().get())); error != 0)
        return bind_error(address, error);
    if (auto listening = listen_all(std::span{&fd, 1}, address, backlog); !listening)
      return listening.error();
    slots.push_back(slot);
  }
  return slots;
}

/// `disorder`: set where there is one.
Result<std::vector<UniqueFd>> open_group(SocketAddress& address, const std::vector<int>& passed,
                                         std::uint32_t slots, int backlog,
                                         std::optional<Error>& disorder) {
  if (passed.empty() && address.port() != 0)
    if (auto free = probe_address(address); !free) return free.error();
  if (passed.size() > slots)  // one that nobody accepts from would take in its share
    return Error{fmt::format("{} sockets were passed for {}, and there are {} workers",
                             passed.size(), address.to_string(), slots),
                 "start as many workers, or have fewer passed"};
  std::vector<UniqueFd> group;
  group.reserve(slots);
  for (const int fd : passed) group.emplace_back(fd);
  if (auto bound = bind_more(group, address, passed.size(), slots); !bound) return bound.error();
  // Also of those that were passed: it sets their backlog.
  if (auto listening = listen_all(group, address, backlog); !listening) return listening.error();
  if (passed.size() > 1)  // whose order is that of whoever made them listen
    if (auto sorted = sort_by_index(group, address); !sorted) disorder = sorted.error();
  return group;
}

}  // namespace

Result<void> probe_address(const SocketAddress& address) {
  // Without SO_REUSEPORT, bind() fails if anything listens there.
  UniqueFd fd;
  if (const int error = bind_new(fd, address, false, 1); error != 0)
    return bind_error(address, error);
  return {};
}

Listeners::Listeners(std::uint32_t backlog) noexcept
    : backlog_{static_cast<int>(std::min<std::uint32_t>(backlog, INT32_MAX))} {}

void Listeners::add(const SocketAddress& address, Group group) {
  addresses_.push_back(address);
  passed_ = std::max(passed_, static_cast<std::uint32_t>(group.passed));
  groups_.push_back(std::move(group));
}

Result<Listeners> Listeners::open(std::vector<ListenOn> addresses, std::uint32_t slots,
                                  std::uint32_t backlog) {
  Listeners made{backlog};
  for (ListenOn& listen : addresses) {
    auto opened = open_group(listen.address, listen.passed, slots, made.backlog_, made.disorder_);
    if (!opened) return opened.error();
    made.add(listen.address,
             {.sockets = std::move(*opened), .passed = listen.passed.size() - listen.own});
  }
  return made;
}

Result<Listeners> Listeners::inherit(std::vector<ListenOn> addresses, std::uint32_t slots,
                                     std::uint32_t backlog, Estate& estate) {
  Listeners made{backlog};
  const std::vector<EstateTerms::Listen>& terms = estate.terms.listens;
  for (ListenOn& listen : addresses) {
    const std::string asked = listen.address.to_string();
    std::size_t index = 0;
    while (index < terms.size() && (terms[index].asked.to_string() != asked ||
                                    !estate.has(fmt::format("listener.{}.0", index))))
      ++index;
    if (index == terms.size()) {
      auto opened = open_group(listen.address, listen.passed, slots, made.backlog_, made.disorder_);
      if (!opened) return opened.error();
      made.add(listen.address,
               {.sockets = std::move(*opened), .passed = listen.passed.size() - listen.own});
      continue;
    }
    for (const int fd : listen.passed) ::close(fd);  // the same sockets once more
    Group group{.passed = terms[index].passed, .inherited = index};
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
      auto fd = estate.take(fmt::format("listener.{}.{}", index, slot));
      group.sockets.push_back(fd ? std::move(*fd) : UniqueFd{});
    }
    auto reopened = reopen(group.sockets, terms[index].address, made.backlog_);
    if (!reopened) return reopened.error();
    group.reopened = std::move(*reopened);
    made.add(terms[index].address, std::move(group));
  }
  return made;
}

Result<void> Listeners::grow(std::uint32_t slots) {
  const auto before = static_cast<std::uint32_t>(groups_.front().sockets.size());
  if (slots <= before) return {};
  const auto fail = [&](const Error& why) {
    shrink(before);
    return why;
  };
  // All are bound before one of them listens: what can fail does so before a connection comes.
  for (std::size_t i = 0; i < groups_.size(); ++i)
    if (auto bound = bind_more(groups_[i].sockets, addresses_[i], groups_[i].passed, slots); !bound)
      return fail(bound.error());
  for (std::size_t i = 0; i < groups_.size(); ++i)
    if (auto listening =
            listen_all(std::span{groups_[i].sockets}.subspan(before), addresses_[i], backlog_);
        !listening)
      return fail(listening.error());
  return {};
}

void Listeners::shrink(std::uint32_t slots) noexcept {
  // The last one first, so that the others stay where they are in their group.
  for (Group& group : groups_)
    while (group.sockets.size() > slots) group.sockets.pop_back();
}

void Listeners::shut(std::uint32_t slot) noexcept {
  for (Group& group : groups_) {
    UniqueFd& socket = group.sockets[slot];
    if (socket) ::shutdown(socket.get(), SHUT_RD);
    socket.reset();
  }
}

std::vector<int> Listeners::of_address(std::size_t address) const {
  std::vector<int> fds;
  for (const UniqueFd& fd : groups_[address].sockets) fds.push_back(fd.get());
  return fds;
}

std::vector<int> Listeners::of_slot(std::uint32_t slot) const {
  std::vector<int> fds;
  for (const Group& group : groups_) fds.push_back(group.sockets[slot].get());
  return fds;
}

std::vector<std::vector<int>> Listeners::by_slot() const {
  std::vector<std::vector<int>> slots;
  for (std::uint32_t slot = 0; slot < groups_.front().sockets.size(); ++slot)
    slots.push_back(of_slot(slot));
  return slots;
}

}  // namespace weir::process
