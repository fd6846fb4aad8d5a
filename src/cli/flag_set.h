// Row: a flag with the function that stores its value, and apply(), which runs them. The one
// place where text becomes options, for the command line and the configuration file alike.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "given.h"
#include "weir/cli/flag_table.h"
#include "weir/cli/outcome.h"

namespace weir::cli {

template <class Options>
struct Row {
  Flag flag;
  /// Stores `value`; false when it is not what flag.accepts says, and then `options` is as before.
  /// A repeatable flag's is called once a value, in order. A switch gets an empty value.
  bool (*set)(Options& options, std::string_view value);
};

template <class Options>
[[nodiscard]] std::vector<Flag> flags_of(const std::vector<Row<Options>>& rows) {
  std::vector<Flag> flags;
  flags.reserve(rows.size());
  for (const Row<Options>& row : rows) flags.push_back(row.flag);
  return flags;
}

/// Stores every value; the refusal names the first that is not accepted.
template <class Options>
[[nodiscard]] std::optional<Refused> apply(std::string_view program,
                                           const std::vector<Row<Options>>& rows,
                                           const std::vector<Given>& given, Options& options) {
  for (const Given& g : given) {
    const Row<Options>& row = rows[g.row];
    if (row.set(options, g.value)) continue;
    return Refused{fmt::format("{}: {}: {} is not accepted: expected {}", program, g.where,
                               in_quotes(g.value), row.flag.accepts)};
  }
  return std::nullopt;
}

}  // namespace weir::cli
