// The layout's promises that a static_assert in abi.h does not already make.
#include "weir/steering/abi.h"

#include <gtest/gtest.h>

#include <numeric>

#include "weir/steering/policy.h"

namespace weir::steering {
namespace {

constexpr std::size_t kLine = 64;

TEST(Abi, WhatDifferentCoresWriteIsOnDifferentCacheLines) {
  EXPECT_EQ(offsetof(weir_table, admission) % kLine, 0U);
  EXPECT_EQ(offsetof(weir_table, total) % kLine, 0U);
  EXPECT_EQ(offsetof(weir_table, ticket) % kLine, 0U);
  EXPECT_EQ(offsetof(weir_table, key) % kLine, 0U);
  EXPECT_EQ(offsetof(weir_table, bias) % kLine, 0U);
  EXPECT_EQ(offsetof(weir_table, local_slot) % kLine, 0U);
  EXPECT_EQ(offsetof(weir_table, steered) % kLine, 0U);
  EXPECT_EQ(offsetof(weir_table, row) % kLine, 0U);
  EXPECT_EQ(offsetof(weir_table, cpu) % kLine, 0U);
  EXPECT_EQ(sizeof(weir_row) % kLine, 0U);
}

TEST(Abi, EveryLoopWritesOneLineOfTheRow) {
  EXPECT_EQ(offsetof(weir_row, awake_at_ns), 0U);
  EXPECT_LT(offsetof(weir_row, enters), kLine);
}

TEST(Abi, TheKeysFieldsTileAWord) {
  EXPECT_EQ(WEIR_KEY_OUT ^ WEIR_KEY_HUNG ^ WEIR_KEY_LOAD_MASK ^ WEIR_SLOT_MASK, ~0ULL);
  EXPECT_EQ(WEIR_KEY_OUT & WEIR_KEY_HUNG, 0U);
  EXPECT_EQ(WEIR_KEY_LOAD_MASK & (WEIR_KEY_UNHEALTHY | WEIR_SLOT_MASK), 0U);
  EXPECT_EQ(WEIR_KEY_LOAD_MASK & WEIR_KEY_SATURATED, WEIR_KEY_SATURATED);
}

TEST(Abi, AFullKeyWithTheGreatestBiasReachesNoFlag) {
  const __u64 fullest = WEIR_KEY_SATURATED - 1 + (__u64{WEIR_LOAD_SCALE} << WEIR_KEY_LOAD_SHIFT);
  EXPECT_LT(fullest + WEIR_BIAS_MAX, WEIR_KEY_HUNG);
  EXPECT_EQ(WEIR_BIAS_MAX & WEIR_SLOT_MASK, 0U);
}

TEST(Abi, WeightsUpTo16DivideTheScale) {
  for (unsigned weight = 1; weight <= 16; ++weight) EXPECT_EQ(WEIR_LOAD_SCALE % weight, 0U);
}

TEST(Abi, TheLoadFieldHoldsMoreConnectionsThanAHostCan) {
  // Half of it, which is where adding stops.
  EXPECT_GT((WEIR_KEY_SATURATED >> WEIR_KEY_LOAD_SHIFT) / WEIR_LOAD_SCALE, 190'000'000U);
}

TEST(Abi, MaglevsSizeIsPrime) {
  for (unsigned divisor = 2; divisor * divisor <= WEIR_MAGLEV_SIZE; ++divisor)
    ASSERT_NE(WEIR_MAGLEV_SIZE % divisor, 0U) << divisor;
}

TEST(Policy, EveryNameIsReadBack) {
  for (const std::string_view name : policy_names()) {
    const auto policy = parse_policy(name);
    ASSERT_TRUE(policy) << name;
    EXPECT_EQ(to_string(*policy), name);
  }
  EXPECT_EQ(policy_names().size(), 10U);
  EXPECT_EQ(parse_policy("weighted-round-robin"), Policy::weighted_round_robin);
  for (const std::string_view name : {"", "least", "Round-Robin", "uri"})
    EXPECT_FALSE(parse_policy(name)) << name;
}

TEST(Policy, BackendsHaveTheNamesOfTheFlag) {
  EXPECT_EQ(parse_backend("auto"), BackendChoice::automatic);
  EXPECT_EQ(parse_backend("cbpf"), BackendChoice::cbpf);
  EXPECT_FALSE(parse_backend("automatic"));
  EXPECT_EQ(to_string(BackendChoice::none), "none");
  EXPECT_EQ(to_string(Backend::ebpf), "ebpf");
  EXPECT_EQ(to_string(Backend::cbpf), "cbpf");
  EXPECT_EQ(to_string(Backend::none), "none");
}

}  // namespace
}  // namespace weir::steering
