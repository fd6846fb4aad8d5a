// The two tables that policies look up: Maglev's, and the smooth weighted sequence.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

#include "steering/maglev.h"
#include "steering/weighted_sequence.h"

namespace weir::steering {
namespace {

using Weights = std::vector<std::uint32_t>;

std::vector<std::uint16_t> maglev(const Weights& weights) {
  std::vector<std::uint16_t> table(WEIR_MAGLEV_SIZE, 0xeeee);
  build_maglev(weights, std::span<std::uint16_t, WEIR_MAGLEV_SIZE>{table});
  return table;
}

std::vector<std::uint64_t> entries_of(const std::vector<std::uint16_t>& table, std::size_t slots) {
  std::vector<std::uint64_t> counts(slots);
  for (const std::uint16_t slot : table) ++counts.at(slot);
  return counts;
}

TEST(Maglev, EqualSlotsGetEqualSharesToOneEntry) {
  for (const std::size_t slots : {1U, 2U, 3U, 8U, 100U, 1024U}) {
    const auto counts = entries_of(maglev(Weights(slots, 1)), slots);
    const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
    EXPECT_LE(*most - *least, 1U) << slots;
  }
}

TEST(Maglev, WeightsGetTheirShareToOneEntryAWeightStep) {
  const Weights weights{1000, 500, 16, 3, 1};
  const auto counts = entries_of(maglev(weights), weights.size());
  for (std::size_t slot = 0; slot < weights.size(); ++slot)
    EXPECT_NEAR(static_cast<double>(counts[slot]), WEIR_MAGLEV_SIZE * weights[slot] / 1520.0, 2.0);
}

TEST(Maglev, OneSlotLessMovesLittleMoreThanItsOwnShare) {
  // Beyond the lost slot's own entries, which must move, fewer than 1 in 100 of the table.
  for (const std::size_t slots : {4U, 16U, 64U, 256U}) {
    const auto before = maglev(Weights(slots, 1));
    const auto after = maglev(Weights(slots - 1, 1));
    std::size_t needless = 0;
    for (std::size_t i = 0; i < before.size(); ++i)
      if (before[i] != slots - 1 && after[i] != before[i]) ++needless;
    RecordProperty("needless_of_" + std::to_string(slots), static_cast<int>(needless));
    EXPECT_LT(needless, WEIR_MAGLEV_SIZE / 100) << slots;
  }
}

TEST(Maglev, IsTheSameForTheSameWeights) {
  EXPECT_EQ(maglev({3, 2, 1}), maglev({3, 2, 1}));
  EXPECT_NE(maglev({3, 2, 1}), maglev({1, 2, 3}));
}

struct SequenceCase {
  Weights weights;
  std::vector<std::uint16_t> sequence;
};

TEST(SmoothSequence, SpreadsTheTurnsOfHeavySlots) {
  const SequenceCase cases[] = {
      {{1}, {0}},
      {{7}, {0}},
      {{1, 1, 1}, {0, 1, 2}},
      {{5, 1, 1}, {0, 0, 1, 0, 2, 0, 0}},
      {{4, 2}, {0, 1, 0}},  // as 2, 1
      {{4, 2, 1}, {0, 1, 0, 2, 0, 1, 0}},
  };
  for (const SequenceCase& c : cases) EXPECT_EQ(smooth_sequence(c.weights), c.sequence);
}

TEST(SmoothSequence, TurnsAreExactWhileTheyFit) {
  const Weights weights{1000, 999, 1};
  const auto sequence = smooth_sequence(weights);
  ASSERT_EQ(sequence.size(), 2000U);
  for (std::uint16_t slot = 0; slot < 3; ++slot)
    EXPECT_EQ(std::count(sequence.begin(), sequence.end(), slot), weights[slot]);
}

TEST(SmoothSequence, NoPrefixIsFarFromItsShare) {
  // What "smooth" means: after any number of steps a slot is within one turn of its due, give or
  // take the other slots' claims, which for a handful of slots is two.
  const Weights weights{7, 5, 3, 2, 1};
  const auto sequence = smooth_sequence(weights);
  std::vector<double> had(weights.size());
  for (std::size_t step = 0; step < sequence.size(); ++step) {
    had[sequence[step]] += 1;
    for (std::size_t slot = 0; slot < weights.size(); ++slot)
      ASSERT_NEAR(had[slot], static_cast<double>(step + 1) * weights[slot] / 18.0, 2.0) << step;
  }
}

TEST(SmoothSequence, LongCyclesAreScaledDownAndForgetNoSlot) {
  Weights weights(1024, 1000);
  for (std::size_t slot = 0; slot < 512; ++slot) weights[slot] = 1;
  const auto sequence = smooth_sequence(weights);
  EXPECT_LE(sequence.size(), WEIR_SEQUENCE_MAX);
  EXPECT_GE(sequence.size(), WEIR_SEQUENCE_MAX / 2);
  EXPECT_EQ(std::set<std::uint16_t>(sequence.begin(), sequence.end()).size(), 1024U);
}

}  // namespace
}  // namespace weir::steering
