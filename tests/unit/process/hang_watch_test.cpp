#include "weir/process/hang_watch.h"

#include <gtest/gtest.h>

#include "instants.h"

namespace weir::process {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Looks every tick until the worker is over; how long that took, at most a minute.
Duration until_over(HangWatch& watch, std::uint64_t awake_at_ns, Instant from) {
  Instant now = from;
  while (!watch.is_over(0, awake_at_ns, now) && now - from < seconds{60}) now += kTick;
  return now - from;
}

TEST(HangWatch, AWorkerIsOverOnceItHasNotWokenForTheLimit) {
  HangWatch watch{1, seconds{10}};
  watch.started(0, kStart);
  EXPECT_FALSE(watch.is_over(0, 1, kStart));
  EXPECT_EQ(until_over(watch, 1, kStart), seconds{10});
}

TEST(HangWatch, OneThatWakesNeverIs) {
  HangWatch watch{1, milliseconds{300}};
  watch.started(0, kStart);
  Instant now = kStart;
  for (std::uint64_t wake = 1; wake < 1'000; ++wake, now += kTick)
    EXPECT_FALSE(watch.is_over(0, wake / 2, now)) << wake;
}

TEST(HangWatch, OneThatNeverWokeIsCountedFromItsStart) {
  HangWatch watch{1, seconds{10}};
  watch.started(0, kStart);
  EXPECT_EQ(until_over(watch, 0, kStart), seconds{10}) << "the stamp of an earlier worker, or none";
}

TEST(HangWatch, TimeInWhichTheMasterStoodStillAsWellDoesNotCount) {
  HangWatch watch{1, seconds{10}};
  watch.started(0, kStart);
  EXPECT_FALSE(watch.is_over(0, 1, kStart));
  EXPECT_FALSE(watch.is_over(0, 1, kStart + seconds{3'600})) << "counts as 250 ms";
  EXPECT_EQ(until_over(watch, 1, kStart + seconds{3'600}), seconds{10} - milliseconds{200});
}

TEST(HangWatch, ItsSuccessorIsLookedAtAnew) {
  HangWatch watch{1, seconds{1}};
  watch.started(0, kStart);
  EXPECT_EQ(until_over(watch, 0, kStart), seconds{1});
  watch.started(0, kStart + milliseconds{900});
  EXPECT_EQ(until_over(watch, 0, kStart + milliseconds{900}), seconds{1});
}

TEST(HangWatch, OneThatOutlivesItsEndIsToldAgainAfterAnotherLimit) {
  HangWatch watch{1, seconds{1}};
  watch.started(0, kStart);
  EXPECT_EQ(until_over(watch, 0, kStart), seconds{1});
  EXPECT_FALSE(watch.is_over(0, 0, kStart + seconds{1} + kTick));
}

TEST(HangWatch, ALimitOfZeroIsNone) {
  HangWatch watch{1, Duration::zero()};
  watch.started(0, kStart);
  EXPECT_EQ(until_over(watch, 1, kStart), seconds{60});
}

TEST(HangWatch, AnotherLimitCountsFromWhenItIsSet) {
  HangWatch watch{1, Duration::zero()};
  watch.started(0, kStart);
  EXPECT_EQ(until_over(watch, 1, kStart), seconds{60}) << "asleep, and nobody's business";
  watch.set_limit(seconds{2});
  Instant now = kStart + seconds{60};
  for (int tick = 0; tick <= 10; ++tick) EXPECT_FALSE(watch.is_over(0, 1, now + tick * kTick));
  watch.set_limit(seconds{2});  // the same changes nothing
  EXPECT_EQ(until_over(watch, 1, now + seconds{1}), seconds{1});
}

TEST(HangWatch, SlotsAreLookedAtApart) {
  HangWatch watch{2, milliseconds{200}};
  watch.started(0, kStart);
  watch.started(1, kStart);
  for (int tick = 0; tick < 2; ++tick)
    EXPECT_FALSE(watch.is_over(0, 1, kStart + tick * kTick)) << tick;
  EXPECT_TRUE(watch.is_over(0, 1, kStart + 2 * kTick));
  EXPECT_FALSE(watch.is_over(1, 1, kStart + 2 * kTick)) << "its first stamp";
}

TEST(HangWatch, ASlotThatComesAgainKnowsNothingOfItsEarlierWorker) {
  HangWatch watch{2, milliseconds{300}};
  watch.started(1, kStart);
  for (int i = 0; i < 3; ++i) (void)watch.is_over(1, 1, kStart + i * kTick);
  watch.resize(1);
  watch.resize(2);
  watch.started(1, kStart + 3 * kTick);
  EXPECT_FALSE(watch.is_over(1, 1, kStart + 4 * kTick));
  EXPECT_FALSE(watch.is_over(1, 1, kStart + 6 * kTick));
  EXPECT_TRUE(watch.is_over(1, 1, kStart + 7 * kTick));
}

}  // namespace
}  // namespace weir::process
