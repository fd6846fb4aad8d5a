// Least-connections: balance, weights, ties, and the arithmetic of the packed key.
#include <array>

#include "table_fixture.h"

namespace weir::steering {
namespace {

using LeastConnections = TableTest;

TEST_F(LeastConnections, KeepsSlotsWithinOneOfEachOtherAtEveryStep) {
  for (const std::uint32_t slots : {1U, 2U, 3U, 7U, 8U, 16U, 17U, 64U, 100U, 1024U}) {
    configure(slots, Policy::least_connections);
    std::vector<std::uint64_t> counts(slots);
    for (std::uint32_t i = 0; i < 10 * slots + 5; ++i) {
      ++counts[static_cast<std::size_t>(steer())];
      ASSERT_LE(range_of(counts), 1U) << slots << " slots, pick " << i;
    }
  }
}

TEST_F(LeastConnections, StaysBalancedWhileConnectionsEndAtRandom) {
  configure(8, Policy::least_connections);
  std::vector<std::uint32_t> open;
  for (int i = 0; i < 200'000; ++i) {
    const int slot = steer();
    open.push_back(static_cast<std::uint32_t>(slot));
    EXPECT_TRUE(worker(open.back()).accepted());
    if (open.size() <= 4'000) continue;
    std::swap(open[random() % open.size()], open.back());
    worker(open.back()).ended();
    open.pop_back();
  }
  std::vector<std::uint64_t> loads;
  for (std::uint32_t slot = 0; slot < 8; ++slot) loads.push_back(table.snapshot(slot).load);
  const double most = static_cast<double>(*std::max_element(loads.begin(), loads.end()));
  EXPECT_LE(most / 500, 1.02);
  EXPECT_EQ(table.total(), 4'000U);
}

TEST_F(LeastConnections, GivesEachWeightItsExactMultiple) {
  std::vector<std::uint32_t> weights;
  for (std::uint32_t weight = 1; weight <= 16; ++weight) weights.push_back(weight);
  configure({.slots = 16, .weights = weights});
  const auto counts = steer_many(100 * 136);  // 136 = 1 + 2 + ... + 16
  for (std::uint32_t slot = 0; slot < 16; ++slot) EXPECT_EQ(counts[slot], 100 * weights[slot]);
}

TEST_F(LeastConnections, SharesFollowAnyWeight) {
  const std::vector<std::uint32_t> weights{1000, 999, 501, 37, 17, 3, 1};
  configure({.slots = 7, .weights = weights});
  expect_shares(steer_many(2'000'000), weights);
}

TEST_F(LeastConnections, SharesOf1024SlotsAreEqualOverMillionsOfPicks) {
  configure(1024, Policy::least_connections);
  EXPECT_LE(range_of(steer_many(2'000'000)), 1U);
}

TEST_F(LeastConnections, OnAnIdleHostEverySlotIsPickedAlike) {
  for (const std::uint32_t slots : {2U, 3U, 5U, 9U, 17U, 100U}) {
    configure(slots, Policy::least_connections);
    std::vector<std::uint64_t> counts(slots);
    const std::uint64_t picks = 4'000 * slots;
    for (std::uint64_t i = 0; i < picks; ++i) {
      const auto slot = static_cast<std::uint32_t>(steer());
      ++counts[slot];
      worker(slot).ended();
    }
    // 4,000 expected each, a standard deviation of 63: six of them.
    for (std::uint32_t slot = 0; slot < slots; ++slot)
      EXPECT_NEAR(static_cast<double>(counts[slot]), 4'000, 380) << slot << " of " << slots;
  }
}

TEST_F(LeastConnections, ATieIsAmongTheLeastLoadedOnly) {
  configure(9, Policy::least_connections);
  for (const std::uint32_t slot : {0U, 2U, 4U, 6U, 8U}) weir_charge(&raw, slot);
  std::vector<std::uint64_t> counts(9);
  for (int i = 0; i < 9'000; ++i) {
    const auto slot = static_cast<std::uint32_t>(steer());
    ++counts[slot];
    worker(slot).ended();
  }
  for (std::uint32_t slot = 0; slot < 9; ++slot) EXPECT_EQ(counts[slot] > 0, slot % 2 == 1) << slot;
}

TEST_F(LeastConnections, CountsWhatItSteered) {
  configure(4, Policy::least_connections);
  const auto counts = steer_many(1'000);
  for (std::uint32_t slot = 0; slot < 4; ++slot) {
    EXPECT_EQ(table.snapshot(slot).load, counts[slot]);
    EXPECT_EQ(table.snapshot(slot).assigned, counts[slot]);
  }
  EXPECT_EQ(table.total(), 1'000U);
  EXPECT_EQ(table.program_counters().syns, 1'000U);
}

TEST_F(LeastConnections, AFullLoadFieldNeverReachesTheFlags) {
  configure(1, Policy::least_connections);
  raw.key[0] = WEIR_KEY_SATURATED - (1ULL << WEIR_KEY_LOAD_SHIFT);  // the last not saturated
  for (int i = 0; i < 1'000; ++i) ASSERT_EQ(steer(), 0);
  EXPECT_EQ(raw.key[0] & WEIR_KEY_UNHEALTHY, 0U);
  EXPECT_NE(raw.key[0] & WEIR_KEY_SATURATED, 0U);
  EXPECT_LE(raw.key[0], WEIR_KEY_SATURATED + raw.steered[0].step);  // added to once, at most
}

TEST_F(LeastConnections, EndsThatWereNeverCountedDoNotBorrowFromTheFlags) {
  configure(2, Policy::least_connections);
  for (const __u64 flags : {__u64{0}, __u64{WEIR_KEY_HUNG}, __u64{WEIR_KEY_OUT}}) {
    raw.key[1] = flags | (3ULL << WEIR_KEY_LOAD_SHIFT) | 1;  // less than one step
    worker(1).ended();
    EXPECT_EQ(raw.key[1], flags | 1);
    worker(1).ended();
    EXPECT_EQ(raw.key[1], flags | 1);
  }
  EXPECT_EQ(raw.total.value, 0U);  // not total(), which hides what is below
  EXPECT_EQ(raw.row[1].open, 0U);
}

TEST_F(LeastConnections, AConnectionThatCouldNotBeSelectedIsTakenBack) {
  configure(1, Policy::least_connections);
  const weir_syn made = syn();
  ASSERT_EQ(weir_steer(&raw, &made), 0);
  weir_discharge(&raw, &made, 0);
  EXPECT_EQ(table.snapshot(0).load, 0U);
  EXPECT_EQ(table.snapshot(0).assigned, 0U);
  EXPECT_EQ(table.total(), 0U);

  ASSERT_EQ(weir_steer(&raw, &made), 0);
  table.restart_slot(0, 0);  // the master empties the slot before the program gets to it
  weir_discharge(&raw, &made, 0);
  EXPECT_EQ(raw.key[0], 0U) << "no borrow into the flags";
}

struct LimitCase {
  std::uint64_t max;
  std::uint64_t syns;
  std::uint64_t let_in;
};

TEST_F(LeastConnections, LetsExactlyTheMaximumIn) {
  for (const LimitCase& c : {LimitCase{1, 5, 1}, {10, 10, 10}, {10, 11, 10}, {0, 50, 50}}) {
    configure({.slots = 3, .weights = {}, .max_connections = c.max});
    std::uint64_t let_in = 0;
    for (std::uint64_t i = 0; i < c.syns; ++i)
      if (steer() >= 0) ++let_in;
    EXPECT_EQ(let_in, c.let_in) << c.max;
    EXPECT_EQ(table.total(), c.let_in);
    EXPECT_EQ(table.program_counters().refused, c.syns - c.let_in);
  }
}

TEST_F(LeastConnections, OneThatEndedMakesRoomForOne) {
  configure({.slots = 2, .weights = {}, .max_connections = 2});
  const int first = steer();
  EXPECT_GE(steer(), 0);
  EXPECT_EQ(steer(), WEIR_REFUSE);
  worker(static_cast<std::uint32_t>(first)).ended();
  EXPECT_EQ(steer(), first);
  EXPECT_EQ(steer(), WEIR_REFUSE);
}

TEST_F(LeastConnections, AMigratedConnectionIsNeverRefusedAndNotCountedTwice) {
  configure({.slots = 2, .weights = {}, .max_connections = 1});
  EXPECT_GE(steer(), 0);
  weir_syn migrating = syn();
  migrating.migrating = 1;
  EXPECT_GE(weir_steer(&raw, &migrating), 0);
  EXPECT_EQ(table.total(), 1U);
  EXPECT_EQ(table.program_counters().migrated, 1U);
  EXPECT_EQ(table.program_counters().syns, 1U);
}

TEST_F(LeastConnections, ATotalBelowZeroIsNotFull) {
  configure({.slots = 2, .weights = {}, .max_connections = 10});
  raw.total.value = static_cast<__u64>(-1);
  EXPECT_GE(steer(), 0);
  EXPECT_EQ(table.program_counters().refused, 0U);
}

TEST_F(LeastConnections, ATableOfNoSlotsAbstains) {
  EXPECT_EQ(steer(), WEIR_ABSTAIN);  // as mapped: all zero
  EXPECT_EQ(table.total(), 0U);
}

}  // namespace
}  // namespace weir::steering
