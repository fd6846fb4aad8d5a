#include "weighted_sequence.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <numeric>

namespace weir::steering {
namespace {

std::uint64_t sum(std::span<const std::uint32_t> turns) {
  return std::accumulate(turns.begin(), turns.end(), std::uint64_t{0});
}

/// The turns of each slot in one cycle.
std::vector<std::uint32_t> turns_of(std::span<const std::uint32_t> weights) {
  std::uint32_t divisor = 0;
  for (const std::uint32_t weight : weights) divisor = std::gcd(divisor, weight);
  std::vector<std::uint32_t> turns(weights.begin(), weights.end());
  for (std::uint32_t& turn : turns) turn /= divisor;

  const std::uint64_t total = sum(turns);
  if (total <= WEIR_SEQUENCE_MAX) return turns;
  // Each is rounded down, or up to 1: at most one turn a slot too many, which is held back here.
  const std::uint64_t room = WEIR_SEQUENCE_MAX - turns.size();
  for (std::uint32_t& turn : turns)
    turn = static_cast<std::uint32_t>(std::max<std::uint64_t>(1, turn * room / total));
  return turns;
}

}  // namespace

std::vector<std::uint16_t> smooth_sequence(std::span<const std::uint32_t> weights) {
  assert(!weights.empty() && weights.size() <= WEIR_SLOTS_MAX);
  const std::vector<std::uint32_t> turns = turns_of(weights);
  const auto length = static_cast<std::int64_t>(sum(turns));

  // At each step every slot earns its turns, and the one with most earned goes and pays a whole
  // cycle: after a cycle all are even again.
  std::vector<std::int64_t> earned(turns.size(), 0);
  std::vector<std::uint16_t> sequence;
  sequence.reserve(static_cast<std::size_t>(length));
  for (std::int64_t step = 0; step < length; ++step) {
    std::size_t richest = 0;
    for (std::size_t slot = 0; slot < turns.size(); ++slot) {
      earned[slot] += turns[slot];
      if (earned[slot] > earned[richest]) richest = slot;
    }
    earned[richest] -= length;
    sequence.push_back(static_cast<std::uint16_t>(richest));
  }
  return sequence;
}

}  // namespace weir::steering
