// NotifySocket: the datagram socket on which a service manager takes notifications (sd_notify(3)).
// The protocol is a promise of systemd's and fits a screen; its library does no more here, and
// would bring liblzma, libzstd and libgcrypt into a process that forks workers for hostile bytes.
#pragma once

#include <sys/un.h>

#include <optional>
#include <string_view>

#include "weir/base/clock.h"
#include "weir/base/result.h"
#include "weir/base/unique_fd.h"

namespace weir::process {

class NotifySocket {
 public:
  /// That of $NOTIFY_SOCKET; nothing where no manager listens. Fails where the name is none.
  [[nodiscard]] static Result<std::optional<NotifySocket>> from_environment();

  /// Sends one datagram, without waiting, with a descriptor beside it unless that is -1. False if
  /// the manager does not take it now.
  [[nodiscard]] bool send(std::string_view assignments, int fd = -1) const noexcept;

 private:
  NotifySocket(UniqueFd fd, sockaddr_un to, socklen_t size) noexcept
      : fd_{std::move(fd)}, to_{to}, size_{size} {}

  UniqueFd fd_;
  sockaddr_un to_;
  socklen_t size_;
};

/// How often the manager wants to hear from this process: $WATCHDOG_USEC, unless $WATCHDOG_PID
/// names another. 0: not at all.
[[nodiscard]] Duration watchdog_from_environment();

}  // namespace weir::process
