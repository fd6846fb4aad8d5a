// The status as a table for a terminal: a head, one row a worker, a line of totals.
#pragma once

#include <string>

#include "weir/admin/status.h"

namespace weir::admin {

/// Lines that end in a newline; columns are as wide as their widest cell, numbers flush right.
/// No colour and no cursor movement: fit for a pipe, and for any number of workers.
[[nodiscard]] std::string render_table(const Status& status);

}  // namespace weir::admin
