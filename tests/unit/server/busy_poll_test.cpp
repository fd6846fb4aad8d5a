#include "weir/server/busy_poll.h"

#include <gtest/gtest.h>

namespace weir::server {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLimit = 50us;

TEST(BusyPoll, LooksOnceWorkHasComeSoon) {
  BusyPoll poll{kLimit};
  EXPECT_EQ(poll.ahead(), 0us) << "nothing speaks for it yet";
  poll.waited(kLimit + 1ns, true);
  EXPECT_EQ(poll.ahead(), 0us);
  poll.waited(kLimit, true);
  EXPECT_EQ(poll.ahead(), kLimit);
}

TEST(BusyPoll, HasLookedInVainSoManyTimesWhenItSleeps) {
  BusyPoll poll{kLimit};
  for (int i = 0; i < 1'000; ++i) poll.waited(1us, true);
  for (int i = 0; i < BusyPoll::kReasonsMax; ++i) {
    EXPECT_EQ(poll.ahead(), kLimit) << i;
    poll.waited(16ms, true);
  }
  EXPECT_EQ(poll.ahead(), 0us);
  poll.waited(16ms, true);
  poll.waited(1us, true);
  EXPECT_EQ(poll.ahead(), kLimit) << "it owes nothing for longer waits";
}

TEST(BusyPoll, TakesNoSignOfLifeForWork) {
  BusyPoll poll{1ms};
  for (int i = 0; i < 100; ++i) poll.waited(333us, false);
  EXPECT_EQ(poll.ahead(), 0us);
}

TEST(BusyPoll, NeverLooksWithoutALimitAndBeginsAnewWithAnother) {
  BusyPoll poll{0us};
  for (int i = 0; i < 10; ++i) poll.waited(0us, true);
  EXPECT_EQ(poll.ahead(), 0us);
  poll.limit(kLimit);
  EXPECT_EQ(poll.ahead(), 0us);
  poll.waited(1us, true);
  poll.limit(kLimit);
  EXPECT_EQ(poll.ahead(), kLimit) << "the same one changes nothing";
}

}  // namespace
}  // namespace weir::server
