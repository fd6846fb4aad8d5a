#include "socket_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace weir::admin {
namespace {

constexpr mode_t kDirectoryMode = S_IRWXU | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH;  // 0755
constexpr std::string_view kOtherPath = "give another path with --control PATH";

UniqueFd unix_socket() {
  return UniqueFd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
}

/// `path` is known to fit.
sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

int call_with(int (*call)(int, const sockaddr*, socklen_t), int fd, const std::string& path) {
  const sockaddr_un address = address_of(path);
  return call(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

/// Held while a stale socket is told from a live one and replaced: between bind and listen ours
/// looks stale too, and another weir that starts just then must not see that. The lock is the
/// directory itself, so that no lock file stays behind.
Result<UniqueFd> lock_directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  const std::string directory = slash == path.npos ? "." : path.substr(0, slash + 1);
  UniqueFd fd{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!fd)
    return os_error(fmt::format("cannot make the control socket {}", path), errno,
                    fmt::format("make its directory, or {}", kOtherPath));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0)
    return Error{fmt::format("another weir is making a control socket in {}", directory),
                 fmt::format("try again, or {}", kOtherPath)};
  return fd;
}

/// Makes room at `path`: nothing is there, or a socket that nobody listens on.
Result<void> clear(const std::string& path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return {};
    return os_error(fmt::format("cannot look at {}", path), errno, kOtherPath);
  }
  if (!S_ISSOCK(found.st_mode))
    return Error{fmt::format("{} is there, and is no socket", path),
                 fmt::format("remove it, or {}", kOtherPath)};
  const UniqueFd probe = unix_socket();
  if (!probe) return os_error("cannot make a Unix socket", errno);
  if (call_with(::connect, probe.get(), path) == 0 || errno == EAGAIN)  // EAGAIN: its queue is full
    return Error{fmt::format("another weir answers at {}", path),
                 "stop it, or give this one a path of its own with --control PATH"};
  if (errno != ECONNREFUSED)
    return os_error(fmt::format("cannot tell whether another weir answers at {}", path), errno,
                    kOtherPath);
  if (::unlink(path.c_str()) != 0)
    return os_error(fmt::format("cannot replace {}, which nobody answers", path), errno,
                    kOtherPath);
  return {};
}

}  // namespace

SocketFile::SocketFile(UniqueFd fd, std::string path, dev_t device, ino_t inode)
    : fd_{std::move(fd)}, path_{std::move(path)}, device_{device}, inode_{inode} {}

Result<SocketFile> SocketFile::listen(std::string path, int backlog) {
  if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path))
    return Error{fmt::format("the control socket's path is {} bytes long, and may be 1 to {}",
                             path.size(), sizeof(sockaddr_un::sun_path) - 1),
                 std::string{kOtherPath}};
  const auto lock = lock_directory_of(path);
  if (!lock) return lock.error();
  if (const auto cleared = clear(path); !cleared) return cleared.error();

  UniqueFd fd = unix_socket();
  struct stat made {};
  // Linux gives the file the mode of the unbound socket's inode: it is 0600 from the start, and
  // the umask, which belongs to the whole process, is left alone.
  const bool listening = fd && ::fchmod(fd.get(), S_IRUSR | S_IWUSR) == 0 &&
                         call_with(::bind, fd.get(), path) == 0 &&
                         ::lstat(path.c_str(), &made) == 0 && ::listen(fd.get(), backlog) == 0;
  if (!listening)
    return os_error(fmt::format("cannot make the control socket {}", path), errno, kOtherPath);
  return SocketFile{std::move(fd), std::move(path), made.st_dev, made.st_ino};
}

Result<SocketFile> SocketFile::inherit(UniqueFd fd, std::string path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0)
    return os_error(fmt::format("the control socket {}", path), errno, kOtherPath);
  return SocketFile{std::move(fd), std::move(path), found.st_dev, found.st_ino};
}

void SocketFile::remove() const noexcept {
  if (kept_) return;
  struct stat found {};
  if (::lstat(path_.c_str(), &found) != 0) return;
  if (found.st_dev == device_ && found.st_ino == inode_) ::unlink(path_.c_str());
}

Result<void> make_directory(const std::string& directory) {
  // chmod as well, for the umask takes from mkdir's mode.
  if (::mkdir(directory.c_str(), kDirectoryMode) == 0) {
    if (::chmod(directory.c_str(), kDirectoryMode) == 0) return {};
  } else if (errno == EEXIST) {
    return {};
  }
  return os_error(fmt::format("cannot make the directory {}", directory), errno, kOtherPath);
}

}  // namespace weir::admin
