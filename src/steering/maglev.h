// Maglev: the lookup table of the hash policies (Eisenbud et al., NSDI 2016, section 3.4). The
// slots take turns, each claiming the next free entry of its own permutation of the table, until
// the table is full.
//
// Of N slots of equal weight each gets WEIR_MAGLEV_SIZE / N entries, rounded up or down. When the
// configured slots change, nearly all entries of the slots that stay keep their slot; a slot that
// is merely down is not a change (pick.h hashes again), and moves nothing but its own share.
#pragma once

#include <cstdint>
#include <span>

#include "weir/steering/abi.h"

namespace weir::steering {

/// Fills `table`. weights[slot] is 1..WEIR_WEIGHT_MAX; there are 1..WEIR_SLOTS_MAX. The result
/// depends on the weights alone, so every host and every version builds the same table.
void build_maglev(std::span<const std::uint32_t> weights,
                  std::span<std::uint16_t, WEIR_MAGLEV_SIZE> table);

}  // namespace weir::steering
