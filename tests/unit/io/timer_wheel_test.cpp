#include "weir/io/timer_wheel.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <vector>

namespace weir::io {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Instant kStart{seconds{1'000}};

std::vector<std::uint32_t> fired(TimerWheel& wheel, Instant now) {
  std::vector<std::uint32_t> ids;
  wheel.run_until(now, [&](std::uint32_t id) { ids.push_back(id); });
  return ids;
}

TEST(TimerWheel, FiresAtItsTimeAndNotBefore) {
  TimerWheel wheel{kStart};
  wheel.arm(3, kStart + milliseconds{500});
  EXPECT_TRUE(fired(wheel, kStart + milliseconds{499}).empty());
  EXPECT_EQ(fired(wheel, kStart + milliseconds{500} + TimerWheel::kTick),
            std::vector<std::uint32_t>{3});
  EXPECT_TRUE(fired(wheel, kStart + seconds{60}).empty()) << "once";
}

TEST(TimerWheel, NothingArmedMeansNothingToWaitFor) {
  TimerWheel wheel{kStart};
  EXPECT_FALSE(wheel.next());
  wheel.arm(0, kStart + seconds{1});
  EXPECT_TRUE(wheel.next());
  wheel.disarm(0);
  EXPECT_FALSE(wheel.next());
  wheel.disarm(0);
  wheel.disarm(99);  // never armed
}

TEST(TimerWheel, NextIsTheFirstDeadlineWithinATick) {
  TimerWheel wheel{kStart};
  wheel.arm(1, kStart + seconds{20});
  wheel.arm(2, kStart + milliseconds{700});
  const Instant next = *wheel.next();
  EXPECT_GE(next, kStart + milliseconds{700});
  EXPECT_LE(next, kStart + milliseconds{700} + TimerWheel::kTick);
  EXPECT_EQ(fired(wheel, next), std::vector<std::uint32_t>{2});
}

TEST(TimerWheel, ArmingAgainMovesTheTimer) {
  TimerWheel wheel{kStart};
  wheel.arm(1, kStart + seconds{1});
  wheel.arm(1, kStart + seconds{2});
  EXPECT_TRUE(fired(wheel, kStart + milliseconds{1'900}).empty());
  EXPECT_EQ(fired(wheel, kStart + milliseconds{2'100}).size(), 1U);
}

TEST(TimerWheel, ATimeInThePastFiresOnTheNextRun) {
  TimerWheel wheel{kStart};
  wheel.arm(1, kStart - seconds{5});
  EXPECT_EQ(fired(wheel, kStart + TimerWheel::kTick * 2).size(), 1U);
}

TEST(TimerWheel, PastARoundItFiresEarlyRatherThanNever) {
  TimerWheel wheel{kStart};
  wheel.arm(1, Instant::max());
  const Instant round = kStart + TimerWheel::kTick * TimerWheel::kBuckets;
  EXPECT_EQ(fired(wheel, round).size(), 1U);
}

TEST(TimerWheel, FiringMayArmAndDisarmOthers) {
  TimerWheel wheel{kStart};
  wheel.arm(1, kStart + milliseconds{100});
  wheel.arm(2, kStart + milliseconds{100});
  std::vector<std::uint32_t> ids;
  wheel.run_until(kStart + seconds{1}, [&](std::uint32_t id) {
    ids.push_back(id);
    if (id == 7) return;
    wheel.disarm(id == 1 ? 2 : 1);
    wheel.arm(7, kStart + milliseconds{400});  // due within this same run
  });
  ASSERT_EQ(ids.size(), 2U);
  EXPECT_EQ(ids.back(), 7U);
}

// The wheel against the plain definition: a set of deadlines.
TEST(TimerWheel, AgreesWithASortedListOverRandomUse) {
  std::mt19937 random{42};
  TimerWheel wheel{kStart};
  std::map<std::uint32_t, Instant> model;
  Instant now = kStart;
  for (int step = 0; step < 20'000; ++step) {
    const auto id = static_cast<std::uint32_t>(random() % 200);
    if (random() % 4 == 0) {
      wheel.disarm(id);
      model.erase(id);
    } else {
      const Instant at = now + milliseconds{random() % 30'000};
      wheel.arm(id, at);
      model[id] = at;
    }
    now += milliseconds{random() % 50};
    for (const std::uint32_t late : fired(wheel, now)) {
      ASSERT_TRUE(model.contains(late)) << "fired though not armed";
      ASSERT_LE(model[late], now) << "fired early";
      model.erase(late);
    }
    for (const auto& [waiting, at] : model)
      ASSERT_GT(at + TimerWheel::kTick * 2, now) << waiting << " is overdue";
  }
}

}  // namespace
}  // namespace weir::io
