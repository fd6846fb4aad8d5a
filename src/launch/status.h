// The status that weirctl shows, read from the master and the load table.
#pragma once

#include "weir/admin/status.h"
#include "weir/process/master.h"

namespace weir::launch {

[[nodiscard]] admin::Status status_of(const process::Master& master);

}  // namespace weir::launch
