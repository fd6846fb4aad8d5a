// The status that weirctl shows, read from the master and the load table.
#pragma once

#include <string>
#include <vector>

#include "plan.h"
#include "weir/admin/status.h"
#include "weir/process/master.h"

namespace weir::launch {

[[nodiscard]] admin::Status status_of(const Plan& plan, const process::Master& master);

/// The listen addresses with what their connections begin with: "tls:127.0.0.1:9443".
[[nodiscard]] std::vector<std::string> listen_names(const Plan& plan,
                                                    const process::Master& master);

}  // namespace weir::launch
