// Sandbox: the system calls that a worker may still make once it serves. Its ring carries the
// sockets' work and is restricted on its own (io/ring.h), for seccomp does not see what goes
// through a ring; this closes the other door, so that a worker taken over by a hostile peer can
// neither open a file, nor make a socket, nor start or trace a process.
#pragma once

#include "weir/base/result.h"

namespace weir::process {

/// From here on, calls outside the list fail with EPERM: a library's rare call then degrades
/// rather than kills. Cannot be undone. The ring, its buffers and whatever reads a file on first
/// use must be set up before. Fails where the kernel has no seccomp, with nothing changed. Does
/// nothing in a sanitizer build, whose run-time makes calls of its own.
[[nodiscard]] Result<void> enter_sandbox();

}  // namespace weir::process
