// Flag: one row of a program's flag table, and what is made from the rows: the help text here,
// the manual page in packaging. Parsing reads the same rows (src/cli/flag_set.h), so a flag
// cannot be accepted and undocumented, or documented and unknown.
//
// Knows nothing of any one program's options: weir and weirctl share it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir::cli {

struct Flag {
  std::string_view name = {};       // "workers": --workers; in the configuration file, the key
  std::string_view value = {};      // stands for the value in the help, "N|auto"; empty: a switch
  std::string_view group = {};      // the heading it is listed under
  std::string_view standard = {};   // the default, as a value that is accepted; may be empty
  std::string_view otherwise = {};  // in words, where no value says what holds without the flag
  std::string accepts = {};         // completes "expected ..."; empty for a switch
  std::string help = {};            // one clause, no full stop
  std::string_view manual = {};     // further sentences for the manual page; may be empty
  bool accepts_in_help = false;     // a list of words that the help shows after the clause
  bool repeatable = false;
  bool command_line_only = false;  // no key of the configuration file
  bool reloads = false;            // weirctl reload changes it; else it takes a restart

  /// What holds without the flag; may be empty.
  [[nodiscard]] std::string_view fallback() const {
    return standard.empty() ? otherwise : standard;
  }
  /// The clause, with what is accepted where that is a list to choose from.
  [[nodiscard]] std::string full_help() const {
    return accepts_in_help ? help + ": " + accepts : help;
  }
};

/// A program's table with what stands around it.
struct Manual {
  std::string_view program;           // "weir"
  std::string_view purpose;           // one clause, for NAME and the top of the help
  std::vector<std::string> synopsis;  // one line each, without the program's name
  std::vector<Flag> flags;            // in order; those of one group stand together
  std::string_view units;             // how values of a kind are written; may be empty
  std::string_view reload = {};       // how flags change while it runs; empty: none does
};

/// "--listen, --user": the flags that a reload does not change, but those that no file has.
[[nodiscard]] std::string that_take_a_restart(const Manual& manual);

/// What --help prints: at most 100 columns, grouped, with defaults; ends in a newline.
[[nodiscard]] std::string help_text(const Manual& manual);

/// The name nearest to `word` by insertions, deletions, replacements and swaps of neighbours;
/// empty when none is near enough to be what was meant.
[[nodiscard]] std::string_view nearest(std::string_view word,
                                       std::span<const std::string_view> names);

}  // namespace weir::cli
