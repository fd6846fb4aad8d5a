// What weir does when it is told to at its control socket: the commands, and how each is asked and
// answered, in JSON.
#pragma once

#include "plan.h"
#include "weir/admin/control_server.h"
#include "weir/process/master.h"

namespace weir::launch {

/// All of them. `plan` and `master` are borrowed by every command.
[[nodiscard]] admin::CommandTable commands(const Plan& plan, process::Master& master);

}  // namespace weir::launch
