// What the options mean together: contradictions are refused, oddities are warned of.
#pragma once

#include <optional>

#include "weir/cli/options.h"
#include "weir/cli/outcome.h"

namespace weir::cli {

/// Appends to options.warnings; the refusal says which flags contradict each other, where the first
/// of them stands, and what would be accepted.
[[nodiscard]] std::optional<Refused> cross_check(Options& options, const Host& host);

}  // namespace weir::cli
