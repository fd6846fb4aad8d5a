#include "weir/process/notify_socket.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "weir/base/rights.h"
#include "weir/base/units.h"

namespace weir::process {
namespace {

/// The number that the environment has by that name; nothing where it has none.
std::optional<std::uint64_t> number_of(const char* name) {
  const char* const given = ::getenv(name);
  return given != nullptr ? parse_number<std::uint64_t>(given) : std::nullopt;
}

}  // namespace

Result<std::optional<NotifySocket>> NotifySocket::from_environment() {
  const char* const given = ::getenv("NOTIFY_SOCKET");
  if (given == nullptr || *given == '\0') return std::optional<NotifySocket>{};
  const std::string_view name{given};
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if ((name.front() != '/' && name.front() != '@') || name.size() >= sizeof to.sun_path)
    return Error{fmt::format("NOTIFY_SOCKET is '{}', which is no socket's name", name),
                 "have it begin with / or @, or leave it unset"};
  name.copy(to.sun_path, name.size());
  if (name.front() == '@') to.sun_path[0] = '\0';  // the abstract namespace
  UniqueFd fd{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd) return os_error("the socket to notify the service manager", errno);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  return std::optional{NotifySocket{std::move(fd), to, size}};
}

bool NotifySocket::send(std::string_view assignments, int fd) const noexcept {
  iovec part{const_cast<char*>(assignments.data()), assignments.size()};
  RightsRoom<1> room;
  sockaddr_un to = to_;
  msghdr message{};
  message.msg_name = &to;
  message.msg_namelen = size_;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  attach_rights(message, room.bytes, std::span{&fd, fd >= 0 ? 1U : 0U});
  const ssize_t sent = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
  return sent == static_cast<ssize_t>(assignments.size());
}

Duration watchdog_from_environment() {
  const auto pid = number_of("WATCHDOG_PID");
  if (pid && *pid != static_cast<std::uint64_t>(::getpid())) return Duration::zero();
  // A day and more is as good as never.
  constexpr std::uint64_t most = 86'400'000'000;
  const auto every = number_of("WATCHDOG_USEC");
  if (!every || *every > most) return Duration::zero();
  return std::chrono::microseconds{*every};
}

}  // namespace weir::process
