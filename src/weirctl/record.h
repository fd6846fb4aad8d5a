// weirctl record: reads what the workers tell of their sessions, and makes a trace of it.
#pragma once

#include <string>

#include "weir/base/result.h"
#include "weir/cli/ctl_options.h"

namespace weir::ctl {

/// Records until the time is over, a signal comes (SIGINT, SIGTERM, SIGHUP), or weir ends. The
/// whole trace, whose last lines say what is not in it. Fails where no recording could be begun.
[[nodiscard]] Result<std::string> record(const cli::CtlOptions& options);

}  // namespace weir::ctl
