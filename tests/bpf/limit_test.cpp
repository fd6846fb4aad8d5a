// --max-connections: refused in the kernel, exactly at the limit.
#include "group.h"

namespace weir::steering {
namespace {

TableOptions at_most(std::uint64_t connections) {
  TableOptions options = plain(4);
  options.max_connections = connections;
  return options;
}

TEST(Limit, ExactlySoManyGetInAndTheNextIsRefused) {
  Group group{at_most(50)};
  group.connect_many(50);
  UniqueFd refused;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(group.try_connect(refused), -ECONNREFUSED);
  EXPECT_EQ(sum_of(group.queues()), 50U);
  EXPECT_EQ(group.table().total(), 50U);
  EXPECT_EQ(group.table().program_counters().refused, 3U);
}

TEST(Limit, ASessionThatEndsMakesRoomForOne) {
  Group group{at_most(8)};
  group.connect_many(8);
  {
    const UniqueFd session = group.accept(2);
    ASSERT_TRUE(session);
    group.worker(2).ended();
  }
  group.connect();
  UniqueFd refused;
  EXPECT_EQ(group.try_connect(refused), -ECONNREFUSED);
  EXPECT_EQ(group.table().snapshot(2).load, 2U);  // the room was slot 2's
}

TEST(Limit, CanBeChangedWhileRunning) {
  Group group{at_most(1)};
  group.connect();
  UniqueFd refused;
  EXPECT_EQ(group.try_connect(refused), -ECONNREFUSED);
  group.table().set_max_connections(0);
  group.connect_many(10);
}

TEST(Limit, HoldsOverAllAddressesTogether) {
  Group group{at_most(6), {"127.0.0.1:0", "[::1]:0"}};
  group.connect_many(3, 0);
  group.connect_many(3, 1);
  UniqueFd refused;
  EXPECT_EQ(group.try_connect(refused, 0), -ECONNREFUSED);
  EXPECT_EQ(group.try_connect(refused, 1), -ECONNREFUSED);
}

}  // namespace
}  // namespace weir::steering
