// The master's operations on the table, one after another (concurrency_test.cpp runs them beside
// picks).
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "table_fixture.h"
#include "weir/base/unique_fd.h"

namespace weir::steering {
namespace {

using Table = TableTest;

TEST_F(Table, IsOutOfServiceUntilSaidOtherwise) {
  table.configure({.slots = 3, .weights = {2, 1, 1}});
  EXPECT_EQ(table.slots(), 3U);
  for (std::uint32_t slot = 0; slot < 3; ++slot) {
    const SlotSnapshot seen = table.snapshot(slot);
    EXPECT_FALSE(seen.serving);
    EXPECT_FALSE(seen.hung);
    EXPECT_EQ(seen.load, 0U);
  }
  EXPECT_EQ(table.snapshot(0).weight, 2U);
  EXPECT_EQ(steer(), WEIR_ABSTAIN);
  // The keys that a block of the scan reads beyond the last slot.
  for (std::uint32_t slot = 3; slot < WEIR_SLOTS_MAX; ++slot)
    ASSERT_EQ(raw.key[slot], WEIR_KEY_OUT | slot);
}

TEST_F(Table, ConfiguringAgainForgetsEverything) {
  configure(4, Policy::round_robin);
  (void)steer_many(10);
  stop(1);
  table.configure({.slots = 2, .weights = {}});
  EXPECT_EQ(table.total(), 0U);
  EXPECT_EQ(table.program_counters().syns, 0U);
  EXPECT_EQ(table.snapshot(0).assigned, 0U);
  EXPECT_EQ(steer(), WEIR_ABSTAIN);
}

TEST_F(Table, EveryWeightIsReadBack) {
  std::vector<std::uint32_t> weights;
  for (std::uint32_t weight = 1; weight <= WEIR_WEIGHT_MAX; ++weight) weights.push_back(weight);
  configure({.slots = WEIR_WEIGHT_MAX, .weights = weights});
  for (std::uint32_t slot = 0; slot < WEIR_WEIGHT_MAX; ++slot)
    ASSERT_EQ(table.snapshot(slot).weight, slot + 1);
}

TEST_F(Table, BadOptionsAreNamed) {
  const TableOptions bad[] = {
      {.slots = 0, .weights = {}},
      {.slots = 1025, .weights = {}},
      {.slots = 2, .weights = {1}},
      {.slots = 2, .weights = {1, 0}},
      {.slots = 2, .weights = {1, 1001}},
      {.slots = 2, .weights = {}, .hang_threshold = Duration{-1}},
  };
  for (const TableOptions& options : bad) {
    const auto valid = validate(options);
    ASSERT_FALSE(valid);
    EXPECT_FALSE(valid.error().what.empty());
    EXPECT_FALSE(valid.error().remedy.empty());
  }
  EXPECT_TRUE(validate({.slots = 1024, .weights = {}}));
}

TEST_F(Table, ChangedWeightsKeepTheConnectionsAndActOnTheNext) {
  configure({.slots = 3, .weights = {}});
  (void)steer_many(300);
  table.set_weights(std::vector<std::uint32_t>{1, 7, 1000});
  for (std::uint32_t slot = 0; slot < 3; ++slot) EXPECT_EQ(table.snapshot(slot).load, 100U);
  EXPECT_EQ(steer(), 2);  // 100 / 1000 is the least
  table.set_weights({});
  for (std::uint32_t slot = 0; slot < 2; ++slot) EXPECT_EQ(table.snapshot(slot).load, 100U);
  EXPECT_EQ(table.snapshot(2).load, 101U);
  EXPECT_EQ(table.total(), 301U);
}

TEST_F(Table, MoreSlotsLeaveWhatThereIsAndAreOutOfServiceUntilSaidOtherwise) {
  configure(2, Policy::least_connections);
  (void)steer_many(20);
  raw.row[0].messages_in = 7;
  table.set_slots(5, {});
  EXPECT_EQ(table.slots(), 5U);
  EXPECT_EQ(table.total(), 20U);
  for (std::uint32_t slot = 0; slot < 2; ++slot) {
    EXPECT_TRUE(table.snapshot(slot).serving);
    EXPECT_EQ(table.snapshot(slot).load, 10U);
  }
  for (std::uint32_t slot = 2; slot < 5; ++slot) {
    EXPECT_FALSE(table.snapshot(slot).serving);
    EXPECT_EQ(table.snapshot(slot).load, 0U);
    EXPECT_EQ(worker(0).attendance_of(slot, Instant{Duration{now}}), Attendance::unborn);
  }
  EXPECT_EQ(steer_many(10), (std::vector<std::uint64_t>{5, 5, 0, 0, 0}));
  table.mark_serving(4);
  wake(4);
  EXPECT_EQ(steer_many(10), (std::vector<std::uint64_t>{0, 0, 0, 0, 10}));
  EXPECT_EQ(raw.row[0].messages_in, 7U);
}

TEST_F(Table, EveryPolicyFindsSlotsThatWereAddedAndNoneThatWereTaken) {
  for (const auto policy :
       {Policy::least_connections, Policy::two_choices, Policy::round_robin,
        Policy::weighted_round_robin, Policy::source_hash, Policy::tuple_hash}) {
    configure(4, policy);
    table.set_slots(16, {});
    for (std::uint32_t slot = 4; slot < 16; ++slot) {
      table.mark_serving(slot);
      wake(slot);
    }
    for (const std::uint64_t count : steer_many(1'600))
      EXPECT_GE(count, 20U) << to_string(policy);  // 100 by the mean
    table.set_slots(3, {});
    EXPECT_EQ(table.slots(), 3U);
    const auto picks = steer_many(300);  // fails on any slot that is none
    EXPECT_EQ(picks.size(), 3U);
  }
}

TEST_F(Table, SlotsThatGoTakeTheirLoadOutOfTheTotalAndKeepTheirRowsTotals) {
  configure(4, Policy::round_robin);
  (void)steer_many(40);
  (void)worker(3).accepted();
  raw.row[3].messages_in = 5;
  table.mark_down(3);
  table.mark_down(2);
  table.set_slots(2, {});
  EXPECT_EQ(table.total(), 20U);
  EXPECT_EQ(table.snapshot(3).row.messages_in, 5U);
  EXPECT_EQ(table.snapshot(3).row.open, 0U);
  worker(0).pass_on(3);  // by one that was late to hear
  table.set_slots(4, {});
  EXPECT_EQ(table.snapshot(3).load, 0U);
  EXPECT_FALSE(table.snapshot(3).serving);
  EXPECT_EQ(table.snapshot(3).row.messages_in, 5U) << "a later worker goes on from there";
}

TEST_F(Table, WhoHasNotWokenIsJudgedToHangUntilItWakes) {
  configure(3, Policy::least_connections);
  table.set_hang_threshold(std::chrono::milliseconds{50});
  table.mark_down(2);
  const Instant instant = monotonic_now();
  worker(0).woke(instant);
  worker(1).woke(instant - std::chrono::milliseconds{51});
  for (std::uint32_t slot = 0; slot < 3; ++slot) table.judge(slot, instant);
  EXPECT_FALSE(table.snapshot(0).hung);
  EXPECT_TRUE(table.snapshot(1).hung);
  EXPECT_FALSE(table.snapshot(2).hung) << "it is out of service";
  worker(1).woke(instant);
  EXPECT_FALSE(table.snapshot(1).hung);
  table.set_hang_threshold({});
  table.judge(0, instant + std::chrono::hours{1});
  EXPECT_FALSE(table.snapshot(0).hung);
}

TEST_F(Table, WeightsComeWithTheSlots) {
  configure(2, Policy::least_connections);
  (void)steer_many(20);
  table.set_slots(3, std::vector<std::uint32_t>{1, 2, 4});
  EXPECT_EQ(table.snapshot(1).load, 10U);
  EXPECT_EQ(table.snapshot(1).weight, 2U);
  table.mark_serving(2);
  wake(2);
  EXPECT_EQ(steer_many(50), (std::vector<std::uint64_t>{0, 10, 40}));
}

TEST_F(Table, ByAHashAClientOfASlotThatGoesIsSentToAnotherOnceNotTwice) {
  configure(8, Policy::source_hash);
  std::vector<weir_syn> clients;
  for (int i = 0; i < 500; ++i) clients.push_back(syn());
  const auto places = [&] {
    std::vector<int> slots;
    for (const weir_syn& client : clients) slots.push_back(weir_steer(&raw, &client));
    return slots;
  };
  const auto before = places();
  for (std::uint32_t slot = 4; slot < 8; ++slot) table.mark_down(slot);
  table.look_up_first(4);
  const auto going = places();
  table.set_slots(4, {});
  EXPECT_EQ(places(), going);
  int moved = 0;
  for (std::size_t i = 0; i < clients.size(); ++i) {
    EXPECT_LT(going[i], 4);
    if (before[i] < 4 && before[i] != going[i]) ++moved;
  }
  EXPECT_LT(moved, 50) << "those of slots that stay, of some 250";
}

TEST_F(Table, ChangedWeightsFillTheIdleBufferAndSwitchToIt) {
  configure({.slots = 2, .policy = Policy::weighted_round_robin, .weights = {1, 1}});
  const __u32 before = raw.config.live;
  const auto sequence_before = raw.lookup[before].sequence_length;
  const std::vector<__u16> maglev_before(std::begin(raw.lookup[before].maglev),
                                         std::end(raw.lookup[before].maglev));
  table.set_weights(std::vector<std::uint32_t>{3, 1});
  EXPECT_EQ(raw.config.live, before ^ 1U);
  EXPECT_EQ(raw.lookup[before ^ 1U].sequence_length, 4U);
  // Who still reads the old one finds it as it was.
  EXPECT_EQ(raw.lookup[before].sequence_length, sequence_before);
  EXPECT_TRUE(std::equal(maglev_before.begin(), maglev_before.end(), raw.lookup[before].maglev));
}

TEST_F(Table, ARestartedSlotHasItsQueueAndNothingElse) {
  configure(2, Policy::round_robin);
  (void)steer_many(20);
  for (int i = 0; i < 7; ++i) EXPECT_TRUE(worker(0).accepted());
  table.mark_down(0);
  table.restart_slot(0, 3);
  EXPECT_EQ(table.snapshot(0).row.open, 0U);
  EXPECT_EQ(table.snapshot(0).load, 3U);
  EXPECT_FALSE(table.snapshot(0).serving);
  EXPECT_EQ(table.total(), 13U);
  table.restart_slot(0, 5);  // may also be more than was counted
  EXPECT_EQ(table.snapshot(0).load, 5U);
  EXPECT_EQ(table.total(), 15U);
}

TEST_F(Table, CorrectionsReachTheSlotAndTheTotal) {
  configure({.slots = 2, .weights = {3, 1}});
  table.correct_slot(0, 5);
  EXPECT_EQ(table.snapshot(0).load, 5U);
  EXPECT_EQ(table.total(), 5U);
  table.correct_slot(0, -2);
  EXPECT_EQ(table.snapshot(0).load, 3U);
  table.correct_slot(0, -100);  // never below nothing
  EXPECT_EQ(table.snapshot(0).load, 0U);
  EXPECT_EQ(table.total(), 0U);
  EXPECT_TRUE(table.snapshot(0).serving);
  raw.key[0] += raw.steered[0].step + raw.steered[0].step / 3;
  table.correct_slot(0, 0);
  EXPECT_EQ(raw.key[0], raw.steered[0].step);  // whole connections only
}

TEST_F(Table, TurningHangDetectionOffFreesThoseThatAreMarked) {
  configure(2, Policy::round_robin);
  stop(0);
  (void)steer_many(4);
  EXPECT_TRUE(table.snapshot(0).hung);
  table.set_hang_threshold(Duration::zero());
  EXPECT_FALSE(table.snapshot(0).hung);
}

TEST_F(Table, AChildSeesTheSameTable) {
  configure(2, Policy::round_robin);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const bool counted = worker(1).accepted();
    ::_exit(counted ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(table.snapshot(1).row.open, 1U);
}

TEST(TableOverMap, RefusesAnotherVersionsLayout) {
  const UniqueFd map{::memfd_create("table", MFD_CLOEXEC)};  // any mapped file will do
  ASSERT_EQ(::ftruncate(map.get(), sizeof(weir_table)), 0);
  {
    auto fresh = LoadTable::over_map(map.get());
    ASSERT_TRUE(fresh);
    fresh->configure({.slots = 5, .weights = {}});
  }
  auto again = LoadTable::over_map(map.get());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->slots(), 5U);
  again->raw().config.version = WEIR_TABLE_VERSION + 1;
  EXPECT_FALSE(LoadTable::over_map(map.get()));
}

TEST(TableOverMap, ReportsWhatCannotBeMapped) {
  EXPECT_FALSE(LoadTable::over_map(-1));
}

}  // namespace
}  // namespace weir::steering
