// SocketFile: a listening Unix socket with its name in the file system, made so that nobody else
// can connect at any moment, and no other weir's is taken away.
#pragma once

#include <sys/types.h>

#include <string>

#include "weir/base/result.h"
#include "weir/base/unique_fd.h"

namespace weir::admin {

class SocketFile {
 public:
  /// Binds and listens at `path`, mode 0600. A socket there that nobody listens on is replaced;
  /// fails with a remedy when somebody does, when it is no socket, or as the system says.
  [[nodiscard]] static Result<SocketFile> listen(std::string path, int backlog);

  /// A socket that another process has made at `path`, and hands over.
  [[nodiscard]] static Result<SocketFile> inherit(UniqueFd fd, std::string path);
  /// remove() leaves the name from now on: it is another process's.
  void keep() noexcept { kept_ = true; }

  /// Removes the name, unless it has come to mean another file. Call before the socket is closed:
  /// until then the inode's number cannot be given to another.
  void remove() const noexcept;

  /// The listening socket; whoever takes it closes it.
  [[nodiscard]] UniqueFd take_fd() noexcept { return std::move(fd_); }

 private:
  SocketFile(UniqueFd fd, std::string path, dev_t device, ino_t inode);

  UniqueFd fd_;
  std::string path_;
  dev_t device_;
  ino_t inode_;
  bool kept_ = false;
};

/// Makes `directory` with mode 0755; one that is there is left as it is.
[[nodiscard]] Result<void> make_directory(const std::string& directory);

}  // namespace weir::admin
