// How refusals speak of what was typed: quoted, and what was most likely meant.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "given.h"
#include "weir/cli/flag_table.h"

namespace weir::cli {
namespace {

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (optimal
/// string alignment). Quadratic, on words as long as a flag.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      d[i][j] = std::min({replaced, d[i - 1][j] + 1, d[i][j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

constexpr std::size_t kWordMax = 64;  // bytes; nothing longer is a mistyped flag

}  // namespace

std::string in_quotes(std::string_view text) {
  std::string out{"'"};
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte == 0x7f ? '?' : c;
  }
  out += '\'';
  return out;
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> names) {
  if (word.empty() || word.size() > kWordMax) return {};
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;  // exclusive
  for (const std::string_view name : names) {
    // A name cut short is nearly as good as the name.
    const std::size_t d = name.starts_with(word) ? 1 : distance(word, name);
    if (d < best_distance) {
      best = name;
      best_distance = d;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& names,
                         std::string_view prefix, std::string_view otherwise) {
  const std::string_view name = nearest(word, names);
  if (name.empty()) return fmt::format("; {}", otherwise);
  return fmt::format("; did you mean {}{}?", prefix, name);
}

}  // namespace weir::cli
