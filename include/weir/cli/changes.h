// Changes: what two sets of options say differently, flag by flag, and which of it a running weir
// can take over (Flag::reloads). Compares what the flags come to, not how they were written: 1m is
// no change of 60s, and nor is what was the default and is now spelt out.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weir/cli/options.h"

namespace weir::cli {

struct Change {
  std::string_view flag;  // "idle-timeout"
  std::string before;     // as it is written, a long list in part; where nothing is, in words
  std::string after;
  std::string place;     // of the new value, as Options::places; empty: it is the default now
  bool reloads = false;  // else it takes a restart or an upgrade

  /// "--idle-timeout 60s (was 120s)".
  [[nodiscard]] std::string to_string() const;
};

/// In the order of the flag table.
[[nodiscard]] std::vector<Change> changes(const Options& before, const Options& after);

/// What there is to say against taking over `changes` while running; empty: nothing. Names every
/// flag that cannot change, its place where it has one, and both values.
[[nodiscard]] std::string against(std::span<const Change> changes);

}  // namespace weir::cli
