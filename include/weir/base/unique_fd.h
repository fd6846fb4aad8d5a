// UniqueFd: one owned file descriptor, closed on destruction.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace weir {

class UniqueFd {
 public:
  UniqueFd() noexcept = default;
  /// Takes `fd`; a negative one means none.
  explicit UniqueFd(int fd) noexcept : fd_{fd} {}
  UniqueFd(UniqueFd&& other) noexcept : fd_{other.release()} {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  ~UniqueFd() { reset(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
  /// Gives the descriptor away; this holds none afterwards.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  void reset(int fd = -1) noexcept {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

/// Another descriptor of what `fd` names, closed on exec; none, and errno, where there is no room.
[[nodiscard]] inline UniqueFd duplicate(int fd) noexcept {
  return UniqueFd{::fcntl(fd, F_DUPFD_CLOEXEC, 3)};
}

}  // namespace weir
