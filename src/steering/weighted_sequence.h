// The turn order of weighted round-robin: a cycle in which each slot appears in proportion to its
// weight, its turns spread as evenly as they go rather than in a run ("smooth": 5,1,1 gives
// a a b a c a a, not a a a a a b c).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "weir/steering/abi.h"

namespace weir::steering {

/// One cycle, 1..WEIR_SEQUENCE_MAX long. weights[slot] is 1..WEIR_WEIGHT_MAX; there are
/// 1..WEIR_SLOTS_MAX. Exact while the weights, divided by their greatest common divisor, add up to
/// no more than WEIR_SEQUENCE_MAX; beyond, they are scaled down to fit, and each slot keeps at
/// least one turn.
[[nodiscard]] std::vector<std::uint16_t> smooth_sequence(std::span<const std::uint32_t> weights);

}  // namespace weir::steering
