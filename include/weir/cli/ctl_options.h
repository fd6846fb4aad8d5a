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

/// So many sessions, from the worker of one slot to that of another.
struct MoveWords {
  unsigned count = 0;  // 1..1000000
  unsigned from = 0;
  unsigned to = 0;
};

struct CtlOptions {
  std::string command;                            // "status", "reload", "drain" and so on
  std::string control;                            // the socket's path; never empty
  bool json = false;                              // status: the object alone, instead of the table
  std::optional<std::chrono::nanoseconds> watch;  // status: again and again, this far apart
  std::optional<unsigned> slot;                   // drain, weight: always set
  std::optional<MoveWords> move;                  // move: always set
  std::optional<std::chrono::nanoseconds> seconds;  // record: for so long; else until interrupted
  std::string binary;                               // upgrade: absolute; empty: the running one's
  std::optional<unsigned> workers;                  // workers: always set, 1..1024
  std::string policy;              // steer: never empty; weir knows which there are
  std::optional<unsigned> weight;  // weight: always set, 1..1000
};

/// Reads the command line. `default_control` is default_control_path(). Never throws.
[[nodiscard]] Outcome<CtlOptions> parse_ctl(int argc, const char* const* argv,
                                            const std::string& default_control) noexcept;

/// The flag table, for the help and the manual page.
[[nodiscard]] Manual weirctl_manual();

}  // namespace weir::cli
