// The configuration file that the package installs: every key, commented out, with its default.
#pragma once

#include <string>

namespace weir::cli {

/// Lines of at most 100 columns. A key whose default can be written as a value stands with it
/// (#workers = auto), another with what the value is called (#max-connections = N).
[[nodiscard]] std::string config_text();

}  // namespace weir::cli
