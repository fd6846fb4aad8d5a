// cpu-local: the worker of the CPU that took the SYN, as long as that is fair.
#include "table_fixture.h"

namespace weir::steering {
namespace {

class CpuLocal : public TableTest {
 protected:
  /// Slot i on CPU 10 + i.
  void pinned(std::uint32_t slots, const std::vector<std::uint32_t>& weights = {}) {
    std::vector<int> cpus;
    for (std::uint32_t slot = 0; slot < slots; ++slot) cpus.push_back(static_cast<int>(10 + slot));
    configure({.slots = slots, .policy = Policy::cpu_local, .weights = weights, .cpus = cpus});
  }
  int steer_on(std::uint32_t cpu) {
    weir_syn made = syn();
    made.cpu = cpu;
    return weir_steer(&raw, &made);
  }
};

TEST_F(CpuLocal, TakesTheWorkerOfTheCpu) {
  pinned(4);
  for (std::uint32_t i = 0; i < 400; ++i)
    EXPECT_EQ(steer_on(10 + i % 4), static_cast<int>(i % 4)) << i;
  EXPECT_EQ(table.program_counters().fallback, 0U);
}

TEST_F(CpuLocal, NoSlotGoesOverFiveQuartersOfTheMean) {
  pinned(8);
  std::vector<std::uint64_t> counts(8);
  for (int i = 0; i < 80'000; ++i) ++counts[static_cast<std::size_t>(steer_on(13))];
  EXPECT_NEAR(static_cast<double>(counts[3]), 12'500, 2);
  counts.erase(counts.begin() + 3);
  EXPECT_LE(range_of(counts), 1U) << "what is over goes where there is least";
}

TEST_F(CpuLocal, TheMeanIsWeighted) {
  pinned(2, {3, 1});
  std::vector<std::uint64_t> counts(2);
  for (int i = 0; i < 8'000; ++i) ++counts[static_cast<std::size_t>(steer_on(11))];
  EXPECT_NEAR(static_cast<double>(counts[1]), 2'500, 2);  // 5/4 of its quarter
}

TEST_F(CpuLocal, TheMeanIsOfTheSlotsInService) {
  pinned(4);
  table.mark_down(0);
  table.mark_down(1);
  std::vector<std::uint64_t> counts(4);
  for (int i = 0; i < 8'000; ++i) ++counts[static_cast<std::size_t>(steer_on(12))];
  EXPECT_NEAR(static_cast<double>(counts[2]), 5'000, 2);
  EXPECT_EQ(counts[0] + counts[1], 0U);
}

TEST_F(CpuLocal, WhatNoWorkerIsBoundToIsLeastConnections) {
  pinned(4);
  for (const std::uint32_t cpu : {0U, 9U, 14U, 1023U, 1034U, 70'000U}) {
    std::vector<std::uint64_t> counts(4);
    for (int i = 0; i < 40; ++i) ++counts[static_cast<std::size_t>(steer_on(cpu))];
    EXPECT_EQ(counts, std::vector<std::uint64_t>(4, 10)) << cpu;
  }
}

TEST_F(CpuLocal, UnpinnedItIsLeastConnections) {
  configure(5, Policy::cpu_local);
  EXPECT_LE(range_of(steer_many(1'001)), 1U);
}

TEST_F(CpuLocal, OfSeveralWorkersOnACpuTheFirstIsLocal) {
  configure({.slots = 3, .policy = Policy::cpu_local, .weights = {}, .cpus = {7, 7, 8}});
  EXPECT_EQ(steer_on(7), 0);
}

TEST_F(CpuLocal, ADownOrHungWorkerIsPassedOver) {
  pinned(3);
  stop(1);
  EXPECT_NE(steer_on(11), 1);
  wake(1);
  EXPECT_EQ(steer_on(11), 1);
  table.mark_down(1);
  EXPECT_NE(steer_on(11), 1);
}

TEST_F(CpuLocal, ATotalBelowZeroIsNoReasonToOverfill) {
  pinned(2);
  raw.total.value = static_cast<__u64>(-5);
  EXPECT_GE(steer_on(10), 0);
  EXPECT_GE(steer_on(10), 0);
  EXPECT_EQ(table.snapshot(0).load, 1U);
}

}  // namespace
}  // namespace weir::steering
