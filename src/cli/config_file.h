// The configuration file: the flags of the table, one `name = value` a line, in CLI11's dialect
// of TOML. Comments begin with #; a value may stand in quotes, several of a repeatable flag in
// ["a", "b"]; there are no sections. Values are not judged here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "given.h"
#include "weir/base/result.h"
#include "weir/cli/flag_table.h"
#include "weir/cli/outcome.h"

namespace weir::cli {

/// What the file at `path` gives. Refuses, with file and line, a file that cannot be read, a line
/// that is no setting, an unknown key, one for the command line only, and one that is there twice
/// and not repeatable. May throw bad_alloc.
[[nodiscard]] Result<std::vector<Given>, Refused> read_config_file(std::string_view program,
                                                                   const std::vector<Flag>& flags,
                                                                   const std::string& path);

}  // namespace weir::cli
