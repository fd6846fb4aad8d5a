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

TEST_F(Slot, AWorkerThatWakesOftenLooksAtItsKeyNowAndThen) {
  using namespace std::chrono_literals;
  configure(1, Policy::least_connections);
  WorkerSlot slot = worker(0);
  const auto found_hung_at = [&](Instant at) {
    raw.key[0] |= WEIR_KEY_HUNG;
    slot.woke(at);
    return table.snapshot(0).hung;
  };
  EXPECT_FALSE(found_hung_at(Instant{10s}));
  EXPECT_TRUE(found_hung_at(Instant{10s + 499us}));
  EXPECT_FALSE(found_hung_at(Instant{10s + 500us}));
  EXPECT_TRUE(found_hung_at(Instant{10s + 999us}));
  EXPECT_FALSE(found_hung_at(Instant{10s + 2ms})) << "over the least threshold";
}

TEST_F(Slot, IsTakenOnceByAWorkerWhoseMasterIsInCharge) {
  configure(1, Policy::least_connections);
  using Standing = WorkerSlot::Standing;
  WorkerSlot first{raw, 0, WorkerSlot::Counting::by_program, Standing::waits};
  WorkerSlot second{raw, 0, WorkerSlot::Counting::by_program, Standing::waits};
  const Tenure of_first{.pid = 100, .bank = 0};
  const Tenure of_second{.pid = 200, .bank = 1};
  EXPECT_FALSE(table.owner(0));
  EXPECT_FALSE(second.take(of_second)) << "its master is not in charge";
  EXPECT_TRUE(first.take(of_first));
  table.set_bank(1);
  EXPECT_FALSE(second.take(of_second)) << "it is the first one's";
  EXPECT_EQ(table.owner(0)->pid, 100);
  EXPECT_FALSE(table.clear_owner(0, 200));
  first.let_go();
  EXPECT_TRUE(second.take(of_second));
  EXPECT_EQ(table.owner(0)->pid, 200);
  EXPECT_EQ(table.owner(0)->bank, 1U);
  EXPECT_FALSE(table.clear_owner(0, 100)) << "the dead was not its owner any more";
  EXPECT_TRUE(table.clear_owner(0, 200));
  EXPECT_FALSE(table.owner(0));
}

TEST_F(Slot, WhoHasLetItGoCountsWhereNobodyLooksButForTheLoad) {
  configure(1, Policy::least_connections);
  (void)steer_many(3);
  WorkerSlot leaves{raw, 0, WorkerSlot::Counting::by_program, WorkerSlot::Standing::waits};
  ASSERT_TRUE(leaves.take({.pid = 100}));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(leaves.accepted());
  add_own(leaves.row().messages_in, 7);
  leaves.let_go();
  const weir_row then = leaves.row();
  EXPECT_EQ(table.snapshot(0).row.open, 0U);
  EXPECT_EQ(table.snapshot(0).row.messages_in, 7U);
  EXPECT_EQ(table.snapshot(0).load, 3U);

  WorkerSlot successor{raw, 0, WorkerSlot::Counting::by_program, WorkerSlot::Standing::waits};
  ASSERT_TRUE(successor.take({.pid = 200}));
  leaves.moved_to(0);
  successor.arrived();
  add_own(leaves.row().messages_in, 5);
  leaves.ended();
  EXPECT_EQ(table.snapshot(0).row.open, 1U);
  EXPECT_EQ(table.snapshot(0).load, 2U);
  EXPECT_EQ(table.total(), 2U);
  EXPECT_EQ(table.snapshot(0).row.messages_in, 7U);

  const weir_row sums = sums_since(leaves.row(), then);
  EXPECT_EQ(sums.messages_in, 5U);
  EXPECT_EQ(sums.open, 0U) << "is no sum";
  add_sums(successor.row(), sums);
  EXPECT_EQ(table.snapshot(0).row.messages_in, 12U);
  EXPECT_EQ(table.snapshot(0).row.open, 1U);
}

}  // namespace
}  // namespace weir::steering
