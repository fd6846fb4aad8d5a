// CtlOptions: what weirctl's command line says, typed and checked.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weir/cli/flag_table.h"
#include "weir/cli/outcome.h"

namespace weir::cli {

struct CtlOptions {
  std::string command;                            // "status", "reload" or "drain"
  std::string control;                            // the socket's path; never empty
  bool json = false;                              // status: the object alone, instead of the table
  std::optional<std::chrono::nanoseconds> watch;  // status: again and again, this far apart
  std::optional<unsigned> slot;                   // drain: always set
};

/// Reads the command line. `default_control` is default_control_path(). Never throws.
[[nodiscard]] Outcome<CtlOptions> parse_ctl(int argc, const char* const* argv,
                                            const std::string& default_control) noexcept;

/// The flag table, for the help and the manual page.
[[nodiscard]] Manual weirctl_manual();

}  // namespace weir::cli
