// Given: one value as the operator wrote it, before anything judged it, and how to speak of it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace weir::cli {

struct Given {
  std::size_t row;    // of the flag table
  std::string value;  // empty for a switch
  std::string where;  // "--workers", or "/etc/weir/weir.conf:3: workers"
};

[[nodiscard]] inline bool gives(const std::vector<Given>& given, std::size_t row) {
  return std::any_of(given.begin(), given.end(), [row](const Given& g) { return g.row == row; });
}

/// 'text', with what would break the line or move the cursor shown as '?'.
[[nodiscard]] std::string in_quotes(std::string_view text);

/// "; did you mean --workers?" when one of `names` is near `word`, each name led by `prefix`; else
/// "; " and `otherwise`.
[[nodiscard]] std::string did_you_mean(std::string_view word,
                                       const std::vector<std::string_view>& names,
                                       std::string_view prefix, std::string_view otherwise);

}  // namespace weir::cli
