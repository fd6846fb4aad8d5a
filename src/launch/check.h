// --check: probes the host for what the plan needs and says what would be used. Starts nothing and
// leaves nothing behind.
#pragma once

#include <string>

#include "plan.h"
#include "weir/base/result.h"
#include "weir/cli/options.h"

namespace weir::launch {

/// The report, several lines; an error if a start would fail.
[[nodiscard]] Result<std::string> check(const cli::Options& options);

}  // namespace weir::launch
