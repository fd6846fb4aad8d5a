// A worker's view of its slot, in both ways of counting.
#include "table_fixture.h"

namespace weir::steering {
namespace {

using Slot = TableTest;

TEST_F(Slot, CountedByTheProgramAWorkerCountsOpenAndUncountsLoad) {
  configure(2, Policy::round_robin);
  (void)steer_many(4);
  WorkerSlot mine = worker(1);
  EXPECT_TRUE(mine.accepted());
  EXPECT_TRUE(mine.accepted());
  EXPECT_EQ(table.snapshot(1).load, 2U);
  EXPECT_EQ(table.snapshot(1).row.open, 2U);
  mine.ended();
  EXPECT_EQ(table.snapshot(1).load, 1U);
  EXPECT_EQ(table.snapshot(1).row.open, 1U);
  EXPECT_EQ(table.snapshot(1).row.accepted, 2U);
  EXPECT_EQ(table.total(), 3U);
}

TEST_F(Slot, CountedByTheWorkerItKeepsTheMaximumItself) {
  configure({.slots = 2, .weights = {}, .max_connections = 3});
  WorkerSlot first{raw, 0, WorkerSlot::Counting::by_worker};
  WorkerSlot second{raw, 1, WorkerSlot::Counting::by_worker};
  EXPECT_TRUE(first.accepted());
  EXPECT_TRUE(first.accepted());
  EXPECT_TRUE(second.accepted());
  EXPECT_FALSE(second.accepted());
  EXPECT_EQ(table.total(), 3U);
  EXPECT_EQ(table.snapshot(1).load, 1U);
  EXPECT_EQ(table.snapshot(1).row.open, 1U);
  EXPECT_EQ(table.snapshot(1).row.refused, 1U);
  first.ended();
  EXPECT_TRUE(second.accepted());
  EXPECT_EQ(table.snapshot(0).load, 1U);
  EXPECT_EQ(table.total(), 3U);
}

TEST_F(Slot, WakingStampsTheClockThatTheProgramReads) {
  configure(1, Policy::least_connections);
  worker(0).woke(Instant{Duration{123'456'789}});
  EXPECT_EQ(raw.row[0].awake_at_ns, 123'456'789U);
}

TEST_F(Slot, WakingClearsTheHungBitAndNothingElse) {
  configure(1, Policy::least_connections);
  (void)steer_many(3);
  table.mark_down(0);
  raw.key[0] |= WEIR_KEY_HUNG;
  wake(0);
  const SlotSnapshot seen = table.snapshot(0);
  EXPECT_FALSE(seen.hung);
  EXPECT_FALSE(seen.serving);
  EXPECT_EQ(seen.load, 3U);
}

}  // namespace
}  // namespace weir::steering
