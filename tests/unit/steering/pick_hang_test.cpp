// Health: which slots are passed over, and what is done when few or none are left. The rules hold
// for every policy, so every test here runs for each.
#include <string>

#include "table_fixture.h"

namespace weir::steering {
namespace {

class Health : public TableTest, public ::testing::WithParamInterface<std::string_view> {
 protected:
  void configure(std::uint32_t slots) { TableTest::configure(slots, policy()); }
  static Policy policy() { return *parse_policy(GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(EveryPolicy, Health, ::testing::ValuesIn(policy_names()),
                         [](const auto& param) {
                           std::string name{param.param};
                           std::erase(name, '-');
                           return name;
                         });

TEST_P(Health, ASlotOutOfServiceGetsNothing) {
  configure(8);
  table.mark_down(3);
  const auto counts = steer_many(20'000);
  EXPECT_EQ(counts[3], 0U);
  for (const std::uint32_t slot : {0U, 1U, 2U, 4U, 5U, 6U, 7U}) EXPECT_GT(counts[slot], 1'000U);
}

TEST_P(Health, ASlotWhoseWorkerStoppedGetsNothingAndIsMarkedOnce) {
  configure(8);
  stop(5);
  EXPECT_EQ(steer_many(20'000)[5], 0U);
  EXPECT_TRUE(table.snapshot(5).hung);
  EXPECT_EQ(table.program_counters().hung_marked, 1U);
}

TEST_P(Health, AWorkerThatWakesGetsConnectionsAgain) {
  configure(4);
  stop(2);
  EXPECT_EQ(steer_many(1'000)[2], 0U);
  wake(2);
  EXPECT_FALSE(table.snapshot(2).hung);
  EXPECT_GT(steer_many(1'000)[2], 100U);
}

TEST_P(Health, TheThresholdIsMet_NotPassed_WhileHealthy) {
  configure(2);
  raw.row[1].awake_at_ns = now - kThreshold;  // just as old as is allowed
  EXPECT_GT(steer_many(100)[1], 0U);
  EXPECT_FALSE(table.snapshot(1).hung);
}

TEST_P(Health, AWorkerThatWokeAfterTheProgramsClockIsHealthy) {
  configure(2);
  for (std::uint32_t slot = 0; slot < 2; ++slot) raw.row[slot].awake_at_ns = now + 1'000;
  EXPECT_GT(steer_many(100)[1], 0U);
  EXPECT_EQ(table.program_counters().hung_marked, 0U);
}

TEST_P(Health, NobodyIsJudgedWithoutAThreshold) {
  configure(4);
  table.set_hang_threshold(Duration::zero());
  for (std::uint32_t slot = 0; slot < 4; ++slot) raw.row[slot].awake_at_ns = 1;
  for (const auto count : steer_many(4'000)) EXPECT_GT(count, 500U);
  EXPECT_EQ(table.program_counters().hung_marked, 0U);
}

TEST_P(Health, TheOnlyHealthySlotGetsEverything) {
  for (const std::uint32_t slots : {2U, 16U, 40U, 1024U}) {
    configure(slots);
    const std::uint32_t healthy = slots - 1;
    for (std::uint32_t slot = 0; slot < healthy; ++slot) {
      if (slot % 2 == 0)
        table.mark_down(slot);
      else
        stop(slot);
    }
    EXPECT_EQ(steer_many(200)[healthy], 200U) << slots;
  }
}

TEST_P(Health, WithNoHealthySlotTheLeastLoadedServingOneIsUsed) {
  configure(6);
  for (int i = 0; i < 5; ++i)
    for (std::uint32_t slot = 0; slot < 6; ++slot)
      if (slot != 4 && slot != 0) weir_charge(&raw, slot);
  weir_charge(&raw, 4);  // slot 4: 1 connection, slot 0: none but down, the others 5
  table.mark_down(0);
  for (std::uint32_t slot = 0; slot < 6; ++slot) stop(slot);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(steer(), 4);  // up to the others' 5
  EXPECT_EQ(steer_many(100)[0], 0U);
  EXPECT_EQ(table.program_counters().abstained, 0U);
}

TEST_P(Health, WithAllHungTheLoadStaysEven) {
  configure(64);
  for (std::uint32_t slot = 0; slot < 64; ++slot) stop(slot);
  EXPECT_LE(range_of(steer_many(6'400)), 1U);
  EXPECT_EQ(table.program_counters().hung_marked, 64U);
}

TEST_P(Health, WithNoServingSlotItAbstainsAndCountsNothing) {
  configure(6);
  for (std::uint32_t slot = 0; slot < 6; ++slot) table.mark_down(slot);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(steer(), WEIR_ABSTAIN);
  EXPECT_EQ(table.total(), 0U);
  EXPECT_EQ(table.program_counters().abstained, 10U);
  for (std::uint32_t slot = 0; slot < 6; ++slot) EXPECT_EQ(table.snapshot(slot).assigned, 0U);
}

TEST_P(Health, ManyHungAtOnceAreAllFoundByOneSyn) {
  configure(100);
  for (std::uint32_t slot = 0; slot < 100; ++slot)
    if (slot != 77) stop(slot);
  // Only the fallback looks at all; a policy's own candidate may happen to be the healthy one.
  for (int i = 0; i < 50; ++i) EXPECT_EQ(steer(), 77);
  if (policy() == Policy::least_connections) {
    EXPECT_EQ(table.program_counters().hung_marked, 99U);
  }
}

}  // namespace
}  // namespace weir::steering
