// The help text, from the flag table: groups of two columns, the right one wrapped.
#include <fmt/format.h>

#include <string>
#include <string_view>

#include "weir/cli/flag_table.h"

namespace weir::cli {
namespace {

constexpr std::size_t kWidth = 100;  // columns
constexpr std::size_t kTextAt = 32;  // where the right column begins

/// Appends `text`, broken at spaces, with `out`'s last line already `used` columns long.
void append_wrapped(std::string& out, std::string_view text, std::size_t used) {
  std::size_t column = used;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    if (column != used && column + 1 + word.size() > kWidth) {
      out += fmt::format("\n{:{}}", "", used);
      column = used;
    }
    if (column != used) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  out += '\n';
}

std::string described(const Flag& flag) {
  std::string text{flag.help};
  if (flag.repeatable) text += "; may be given again";
  if (!flag.standard.empty()) text += fmt::format(" (default {})", flag.standard);
  return text;
}

void append_flag(std::string& out, const Flag& flag) {
  std::string left = fmt::format("  --{}", flag.name);
  if (!flag.value.empty()) left += fmt::format(" {}", flag.value);
  out += left;
  if (left.size() + 2 > kTextAt) {
    out += fmt::format("\n{:{}}", "", kTextAt);
  } else {
    out.append(kTextAt - left.size(), ' ');
  }
  append_wrapped(out, described(flag), kTextAt);
}

}  // namespace

std::string help_text(const Manual& manual) {
  std::string out;
  for (const std::string& line : manual.synopsis)
    out += fmt::format("{} {} {}\n", out.empty() ? "Usage:" : "      ", manual.program, line);
  out += fmt::format("{}: {}.\n", manual.program, manual.purpose);
  std::string_view group;
  for (const Flag& flag : manual.flags) {
    if (flag.group != group) out += fmt::format("\n{}:\n", flag.group);
    group = flag.group;
    append_flag(out, flag);
  }
  if (!manual.units.empty()) {
    out += '\n';
    append_wrapped(out, manual.units, 0);
  }
  return out;
}

}  // namespace weir::cli
