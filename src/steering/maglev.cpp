#include "maglev.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <vector>

#include "weir/steering/pick.h"  // weir_mix

namespace weir::steering {
namespace {

constexpr std::uint16_t kFree = 0xffff;
static_assert(kFree >= WEIR_SLOTS_MAX);

/// A slot's walk over all entries, in an order of its own: a start, and a skip that, the size being
/// prime, visits each entry once.
struct Walk {
  std::uint32_t at;
  std::uint32_t skip;
  std::uint32_t credit = 0;  // turns earned and not taken, times the largest weight
};

Walk walk_of(std::size_t slot) {
  const __u64 random = weir_mix(slot + 1);  // weir_mix(0) is 0
  return {.at = static_cast<std::uint32_t>(random >> 32) % WEIR_MAGLEV_SIZE,
          .skip = static_cast<std::uint32_t>(random) % (WEIR_MAGLEV_SIZE - 1) + 1};
}

void advance(Walk& walk) {
  walk.at = (walk.at + walk.skip) % WEIR_MAGLEV_SIZE;
}

}  // namespace

void build_maglev(std::span<const std::uint32_t> weights,
                  std::span<std::uint16_t, WEIR_MAGLEV_SIZE> table) {
  assert(!weights.empty() && weights.size() <= WEIR_SLOTS_MAX);
  const std::uint32_t heaviest = *std::max_element(weights.begin(), weights.end());
  std::vector<Walk> walks;
  for (std::size_t slot = 0; slot < weights.size(); ++slot) walks.push_back(walk_of(slot));

  // Filled aside and copied at the end: were `table` shared memory, a late reader of a buffer just
  // retired must find a slot in each entry, not a mark of ours.
  std::vector<std::uint16_t> entries(WEIR_MAGLEV_SIZE, kFree);
  std::uint32_t filled = 0;
  while (filled < WEIR_MAGLEV_SIZE) {
    for (std::size_t slot = 0; slot < walks.size() && filled < WEIR_MAGLEV_SIZE; ++slot) {
      Walk& walk = walks[slot];
      walk.credit += weights[slot];
      if (walk.credit < heaviest) continue;  // a lighter slot sits some rounds out
      walk.credit -= heaviest;
      while (entries[walk.at] != kFree) advance(walk);
      entries[walk.at] = static_cast<std::uint16_t>(slot);
      advance(walk);
      ++filled;
    }
  }
  std::copy(entries.begin(), entries.end(), table.begin());
}

}  // namespace weir::steering
