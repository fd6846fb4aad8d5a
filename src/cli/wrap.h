// Breaking text at spaces, for the help and the configuration file.
#pragma once

#include <string>
#include <string_view>

namespace weir::cli {

inline constexpr std::size_t kTextWidth = 100;  // columns

/// Stands for a space that must not become a line's end.
inline constexpr char kHardSpace = '\x1f';

/// Appends `text` and a newline to `out`, whose last line is as long as `indent`; each further
/// line begins with `indent`. A word longer than the width stands on a line of its own.
void append_wrapped(std::string& out, std::string_view text, std::string_view indent);

}  // namespace weir::cli
