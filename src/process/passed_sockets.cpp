#include "weir/process/passed_sockets.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string_view>

#include "weir/base/units.h"

namespace weir::process {
namespace {

constexpr int kFirstPassed = 3;
constexpr std::uint64_t kPassedMax = 65'536;

/// An option that is a number; -1 where the descriptor has none such.
int option(int fd, int name) noexcept {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

/// Which socket it is: the same for each of its descriptors.
ino_t inode_of(int fd) noexcept {
  struct stat found {};
  return ::fstat(fd, &found) == 0 ? found.st_ino : 0;
}

Result<PassedSocket> checked(int fd, const std::string& name) {
  const auto wrong = [&](std::string_view what, std::string remedy) {
    return Error{fmt::format("descriptor {} ('{}'), which was passed to weir, {}", fd, name, what),
                 std::move(remedy)};
  };
  const int domain = option(fd, SO_DOMAIN);
  if (domain == -1) return wrong("is no socket", "pass listening TCP sockets only");
  if ((domain != AF_INET && domain != AF_INET6) || option(fd, SO_TYPE) != SOCK_STREAM)
    return wrong("is no TCP socket", "use ListenStream= with a port or an address and a port");
  if (option(fd, SO_ACCEPTCONN) != 1)
    return wrong("does not listen", "leave Accept= of its socket unit at no");
  if (option(fd, SO_REUSEPORT) != 1)
    return wrong("cannot be shared by workers", "set ReusePort=yes in its socket unit");
  const auto address = SocketAddress::local_of(fd);
  if (!address) return os_error(fmt::format("the address of descriptor {}", fd), errno);
  if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
    return os_error(fmt::format("descriptor {}", fd), errno);
  return PassedSocket{.fd = fd, .name = name, .address = *address};
}

}  // namespace

Result<std::vector<std::pair<int, std::string>>> read_listen_fds(const char* pid, const char* fds,
                                                                 const char* names, pid_t self) {
  std::vector<std::pair<int, std::string>> read;
  if (pid == nullptr || fds == nullptr) return read;
  const auto whose = parse_number<std::uint64_t>(pid);
  const auto count = parse_number<std::uint64_t>(fds);
  if (!whose || !count || *count > kPassedMax)
    return Error{fmt::format("LISTEN_PID is '{}' and LISTEN_FDS '{}'", pid, fds),
                 "they are numbers, or not set at all"};
  if (*whose != static_cast<std::uint64_t>(self)) return read;
  std::string_view left{names == nullptr ? "" : names};
  const int last_one = static_cast<int>(*count) - 1;
  for (int i = 0; i <= last_one; ++i) {
    const std::size_t end = left.find(':');
    const bool last = i == last_one;
    if (names != nullptr && (end == left.npos) != last)
      return Error{fmt::format("LISTEN_FDNAMES is '{}' for {} descriptors", names, *count),
                   "it has one name for each, with colons between them"};
    const std::string_view name = left.substr(0, end);
    read.emplace_back(kFirstPassed + i, name.empty() ? "unknown" : name);
    left.remove_prefix(end == left.npos ? left.size() : end + 1);
  }
  return read;
}

Result<std::vector<PassedSocket>> take_passed_sockets() {
  const auto listed = read_listen_fds(::getenv("LISTEN_PID"), ::getenv("LISTEN_FDS"),
                                      ::getenv("LISTEN_FDNAMES"), ::getpid());
  if (!listed) return listed.error();
  for (const char* variable : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(variable);
  std::vector<PassedSocket> sockets;
  for (const auto& [fd, name] : *listed) {
    auto socket = checked(fd, name);
    if (!socket && name == kStoredListener) {
      ::close(fd);
      continue;
    }
    if (!socket) return socket.error();
    sockets.push_back(std::move(*socket));
  }
  return sockets;
}

std::vector<PassedSocket> take_stored(std::vector<PassedSocket>& sockets) {
  std::vector<PassedSocket> stored;
  std::vector<PassedSocket> others;
  for (PassedSocket& socket : sockets)
    (socket.name == kStoredListener ? stored : others).push_back(std::move(socket));
  sockets = std::move(others);
  std::erase_if(stored, [&sockets](const PassedSocket& own) {
    const bool twice = std::ranges::any_of(sockets, [&own](const PassedSocket& other) {
      return inode_of(other.fd) == inode_of(own.fd);
    });
    if (twice) ::close(own.fd);
    return twice;
  });
  return stored;
}

}  // namespace weir::process
