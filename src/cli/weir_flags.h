// weir's flag table.
#pragma once

#include <vector>

#include "flag_set.h"
#include "weir/cli/options.h"

namespace weir::cli {

/// In the order of the help. Setters check one value each; what values mean together is checked
/// in cross_checks.h.
[[nodiscard]] std::vector<Row<Options>> weir_rows();

}  // namespace weir::cli
