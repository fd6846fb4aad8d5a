// The control command record: sessions are recorded while somebody reads.
#pragma once

#include "weir/admin/control_server.h"
#include "weir/process/master.h"

namespace weir::launch {

/// {"command":"record"} begins one, and is answered with {"began_ns":...} (CLOCK_MONOTONIC) and the
/// descriptor to read from, whose lines weir/admin/recording.h describes;
/// {"command":"record","end":...}, with what that answer said, ends it, and so does closing the
/// descriptor. `master` is borrowed and must outlive the command.
[[nodiscard]] admin::Command record_command(process::Master& master);

}  // namespace weir::launch
