// Passed sockets: listening sockets that the service manager made and hands over at the start
// (sd_listen_fds(3)): weir's ports may then be below 1024 without a privilege, and are there before
// weir is.
//
// Workers share a port through SO_REUSEPORT, which has to be set before a socket is bound: a socket
// that was made without it can have no others beside it, and is refused.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "weir/base/result.h"
#include "weir/base/socket_address.h"

namespace weir::process {

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
/// cannot be shared.
[[nodiscard]] Result<std::vector<PassedSocket>> take_passed_sockets();

}  // namespace weir::process
