// The command line, taken apart by CLI11: which flags it gives, with which words, and what words
// are left. Values are not judged here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "given.h"
#include "weir/base/result.h"
#include "weir/cli/flag_table.h"
#include "weir/cli/outcome.h"

namespace weir::cli {

struct CommandLine {
  bool help = false;     // --help stands somewhere: nothing else matters, not even a mistake
  bool version = false;  // the same for --version
  std::vector<Given> flags;
  std::vector<std::string> words;  // that belong to no flag, in order
};

/// `flags` names "help" and "version" among others. Refuses a flag that is unknown, lacks its
/// value, has one and is a switch, or stands twice and is not repeatable. May throw bad_alloc.
[[nodiscard]] Result<CommandLine, Refused> read_command_line(std::string_view program,
                                                             const std::vector<Flag>& flags,
                                                             int argc, const char* const* argv);

}  // namespace weir::cli
