// Passed sockets: listening sockets that the service manager made and hands over at the start
// (sd_listen_fds(3)): weir's ports may then be below 1024 without a privilege, and are there before
// weir is.
//
// Workers share a port through SO_REUSEPORT, which has to be set before a socket is bound: a socket
// that was made without it can have no others beside it, and is refused.
//
// weir has the manager store its own listeners too (FDSTORE=1), which come back the same way when
// it is started again: what waits in them outlives even the end of all its processes.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weir/base/result.h"
#include "weir/base/socket_address.h"

namespace weir::process {

/// What weir's own listeners are called in the manager's store.
inline constexpr std::string_view kStoredListener = "weir-listener";

struct PassedSocket {
  int fd = -1;       // owned by whoever takes it up
  std::string name;  // FileDescriptorName= of its unit; "unknown" where nothing names it
  SocketAddress address;
};

/// Descriptors and names as $LISTEN_PID, $LISTEN_FDS and $LISTEN_FDNAMES say; each may be null.
/// Empty where there are none, or they are another process's. Fails on what is no number, or on
/// names of another count.
[[nodiscard]] Result<std::vector<std::pair<int, std::string>>> read_listen_fds(const char* pid,
                                                                               const char* fds,
                                                                               const char* names,
                                                                               pid_t self);

/// Those of this process's environment, once: the variables are gone afterwards, and the
/// descriptors close on exec. Fails, naming the socket, where one is no listening TCP socket, or
/// cannot be shared; one of weir's own that does not listen any more is left out.
[[nodiscard]] Result<std::vector<PassedSocket>> take_passed_sockets();

/// Takes weir's own listeners out of those that were passed. One that is there under another name
/// too, passed by a socket unit, is closed.
[[nodiscard]] std::vector<PassedSocket> take_stored(std::vector<PassedSocket>& sockets);

}  // namespace weir::process
