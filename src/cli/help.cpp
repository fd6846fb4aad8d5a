// The help text, from the flag table: groups of two columns, the right one wrapped.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "weir/cli/flag_table.h"
#include "wrap.h"

namespace weir::cli {
namespace {

constexpr std::size_t kTextAt = 32;          // where the right column begins
constexpr std::size_t kClauseUnbroken = 48;  // a default up to this long keeps to one line

/// "(default 4096)", in one piece if it is a short one.
std::string default_clause(std::string_view standard) {
  std::string clause = fmt::format("(default {})", standard);
  if (clause.size() <= kClauseUnbroken) std::replace(clause.begin(), clause.end(), ' ', kHardSpace);
  return clause;
}

std::string described(const Flag& flag) {
  std::string text = flag.full_help();
  if (flag.repeatable) text += "; may be given again";
  if (!flag.fallback().empty()) text += ' ' + default_clause(flag.fallback());
  return text;
}

void append_flag(std::string& out, const Flag& flag) {
  const std::string indent(kTextAt, ' ');
  std::string left = fmt::format("  --{}", flag.name);
  if (!flag.value.empty()) left += fmt::format(" {}", flag.value);
  out += left;
  out += left.size() + 2 > kTextAt ? '\n' + indent : std::string(kTextAt - left.size(), ' ');
  append_wrapped(out, described(flag), indent);
}

}  // namespace

void append_wrapped(std::string& out, std::string_view text, std::string_view indent) {
  std::size_t column = indent.size();
  bool line_begins = true;
  while (!text.empty()) {
    std::string word{text.substr(0, text.find(' '))};
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    std::replace(word.begin(), word.end(), kHardSpace, ' ');
    if (!line_begins && column + 1 + word.size() > kTextWidth) {
      out += fmt::format("\n{}", indent);
      column = indent.size();
      line_begins = true;
    }
    if (!line_begins) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    line_begins = false;
  }
  out += '\n';
}

std::string that_take_a_restart(const Manual& manual) {
  std::string names;
  for (const Flag& flag : manual.flags)
    if (!flag.reloads && !flag.command_line_only)
      names += fmt::format("{}--{}", names.empty() ? "" : ", ", flag.name);
  return names;
}

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
    append_wrapped(out, manual.units, "");
  }
  if (!manual.reload.empty()) {
    out += '\n';
    append_wrapped(out,
                   fmt::format("{} A restart is what these take: {}.", manual.reload,
                               that_take_a_restart(manual)),
                   "");
  }
  return out;
}

}  // namespace weir::cli
