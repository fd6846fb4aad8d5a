// Distribution: how long sessions last, what messages cost, how busy clients are.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "random.h"

namespace weir::sim {

struct Distribution {
  enum class Kind : std::uint8_t { fixed, exponential, pareto, lognormal };

  Kind kind = Kind::fixed;
  double mean = 1;
  double shape = 0;  // pareto: alpha, above 1; lognormal: sigma

  [[nodiscard]] double draw(Random& random) const noexcept;
};

/// "fixed:MEAN", "exp:MEAN", "pareto:MEAN:ALPHA" (alpha above 1, or there is no mean) or
/// "lognormal:MEAN:SIGMA"; nothing if it is none of these.
[[nodiscard]] std::optional<Distribution> parse_distribution(std::string_view text);

}  // namespace weir::sim
