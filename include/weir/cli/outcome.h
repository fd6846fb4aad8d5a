// What reading a command line comes to: options to run with, a text that was asked for, or a
// refusal. The caller prints and exits; nothing in this part does.
#pragma once

#include <string>
#include <variant>

namespace weir::cli {

/// --help or --version: print `text`, which ends in a newline, to standard output and exit 0.
struct Printed {
  std::string text;
};

/// A usage or configuration error: print `line`, which has no newline, to standard error and
/// exit with kUsageError.
struct Refused {
  std::string line;
};

inline constexpr int kUsageError = 2;

template <class Options>
using Outcome = std::variant<Options, Printed, Refused>;

}  // namespace weir::cli
