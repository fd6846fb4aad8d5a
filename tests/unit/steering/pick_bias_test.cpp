// The scan under the policies that add a bias to each key. What the biases are is
// load_score_test.cpp's.
#include <limits>

#include "table_fixture.h"

namespace weir::steering {
namespace {

class BiasTest : public TableTest {
 protected:
  void publish(const std::vector<double>& biases) {
    table.publish_biases(Instant{Duration{now}}, biases);
  }
};
class Biased : public BiasTest, public ::testing::WithParamInterface<Policy> {};
INSTANTIATE_TEST_SUITE_P(Policies, Biased,
                         ::testing::Values(Policy::least_load, Policy::predictive));

TEST_P(Biased, WithoutBiasesItIsLeastConnections) {
  for (const std::uint32_t slots : {1U, 2U, 7U, 33U, 1024U}) {
    configure(slots, GetParam());
    std::vector<std::uint64_t> counts(slots);
    for (std::uint32_t i = 0; i < 5 * slots + 3; ++i) {
      ++counts[static_cast<std::size_t>(steer())];
      ASSERT_LE(range_of(counts), 1U) << slots << " slots, pick " << i;
    }
  }
  EXPECT_EQ(table.program_counters().fallback, 0U) << "the scan is the policy, no fallback";
}

TEST_P(Biased, ASlotGetsAsManyFewerAsItsBiasSays) {
  configure(4, GetParam());
  publish(std::vector<double>{0, 30, 10, 20});
  EXPECT_EQ(steer_many(340), (std::vector<std::uint64_t>{100, 70, 90, 80}));
}

TEST_P(Biased, PartsOfAConnectionCount) {
  configure(2, GetParam());
  publish(std::vector<double>{0.25, 0.5});
  for (int i = 0; i < 10; ++i) EXPECT_EQ(steer(), i % 2);
}

TEST_P(Biased, ABurstBetweenTwoPublicationsDoesNotHerd) {
  // Slot 0 looks far emptier at the tick; 10,000 SYNs later it has caught up and no more than that.
  configure(32, GetParam());
  std::vector<double> biases(32, 50);
  biases[0] = 0;
  publish(biases);
  auto counts = steer_many(10'000);
  EXPECT_NEAR(static_cast<double>(counts[0]), 10'000 / 32.0 + 50, 2);
  counts.erase(counts.begin());
  EXPECT_LE(range_of(counts), 1U);
}

TEST_P(Biased, WeightsAndBiasesAddUp) {
  configure({.slots = 2, .policy = GetParam(), .weights = {4, 1}});
  publish(std::vector<double>{10, 0});  // of weight 1: worth 40 of slot 0's own
  EXPECT_EQ(steer_many(110), (std::vector<std::uint64_t>{80, 30}));
}

TEST_P(Biased, ADownOrHungSlotIsPassedOverHoweverSmallItsBias) {
  configure(3, GetParam());
  publish(std::vector<double>{1e6, 0, 1e6});
  table.mark_down(1);
  EXPECT_EQ(steer_many(10)[1], 0U);
  table.mark_serving(1);
  stop(1);
  EXPECT_EQ(steer_many(10)[1], 0U);
  EXPECT_EQ(table.program_counters().hung_marked, 1U);
}

TEST_P(Biased, TheGreatestBiasReachesNoFlag) {
  configure(2, GetParam());
  publish(std::vector<double>{1e30, std::numeric_limits<double>::infinity()});
  for (__u64& key : {std::ref(raw.key[0]), std::ref(raw.key[1])})
    key |= WEIR_KEY_SATURATED - (__u64{1} << WEIR_KEY_LOAD_SHIFT);
  for (int i = 0; i < 4; ++i) EXPECT_GE(steer(), 0) << "a flag would make it abstain";
  EXPECT_EQ(table.program_counters().hung_marked, 0U);
}

TEST_P(Biased, WhatIsNoBiasCountsAsZero) {
  configure(3, GetParam());
  publish(std::vector<double>{-5, std::numeric_limits<double>::quiet_NaN()});
  for (const __u64 bias : raw.bias) ASSERT_EQ(bias, 0U);
}

TEST_P(Biased, WhatNobodyRenewsCountsNoLongerThanThreeSeconds) {
  configure(2, GetParam());
  publish(std::vector<double>{0, 100});
  now += 1'000'000'000;
  wake(0);
  wake(1);
  EXPECT_EQ(steer_many(50), (std::vector<std::uint64_t>{50, 0}));
  now += 2'300'000'000;
  wake(0);
  wake(1);
  EXPECT_EQ(steer_many(50)[1], 50U) << "the emptier one again";
}

TEST_F(BiasTest, OtherPoliciesHeedNoBias) {
  for (const Policy policy : {Policy::least_connections, Policy::cpu_local}) {
    configure(2, policy);
    publish(std::vector<double>{0, 1e6});
    EXPECT_EQ(range_of(steer_many(100)), 0U) << to_string(policy);
  }
}

TEST_F(BiasTest, ConfiguringForgetsTheBiases) {
  configure(2, Policy::least_load);
  publish(std::vector<double>{0, 1e6});
  configure(2, Policy::least_load);
  EXPECT_EQ(range_of(steer_many(100)), 0U);
}

}  // namespace
}  // namespace weir::steering
