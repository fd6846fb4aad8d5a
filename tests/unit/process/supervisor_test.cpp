#include "weir/process/supervisor.h"

#include <gtest/gtest.h>

#include "instants.h"

namespace weir::process {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Supervisor, TheFirstCrashIsAnsweredAtOnce) {
  Supervisor supervisor{2};
  supervisor.started(0, kStart);
  EXPECT_EQ(supervisor.after_exit(0, kStart + milliseconds{1}), Duration::zero());
}

TEST(Supervisor, CrashesInARowDoubleThePauseUpToABound) {
  Supervisor supervisor{1};
  Instant now = kStart;
  std::vector<Duration> pauses;
  for (int crash = 0; crash < 12; ++crash) {
    supervisor.started(0, now);
    now += milliseconds{5};
    pauses.push_back(supervisor.after_exit(0, now));
    now += pauses.back();
  }
  const std::vector<Duration> expected{
      milliseconds{0},     milliseconds{50},    milliseconds{100},   milliseconds{200},
      milliseconds{400},   milliseconds{800},   milliseconds{1'600}, milliseconds{3'200},
      milliseconds{5'000}, milliseconds{5'000}, milliseconds{5'000}, milliseconds{5'000}};
  EXPECT_EQ(pauses, expected);
}

TEST(Supervisor, TheBoundHoldsForAnyNumberOfCrashes) {
  Supervisor supervisor{1};
  supervisor.started(0, kStart);
  for (int crash = 0; crash < 1'000; ++crash)
    EXPECT_LE(supervisor.after_exit(0, kStart), Supervisor::kLongestPause);
}

TEST(Supervisor, AWorkerThatSettledStartsTheCountAnew) {
  Supervisor supervisor{1};
  for (int crash = 0; crash < 5; ++crash) {
    supervisor.started(0, kStart);
    (void)supervisor.after_exit(0, kStart + milliseconds{1});
  }
  EXPECT_EQ(supervisor.crashes(0), 5U);
  supervisor.started(0, kStart);
  EXPECT_EQ(supervisor.after_exit(0, kStart + Supervisor::kSettled), Duration::zero());
  EXPECT_EQ(supervisor.crashes(0), 1U);
}

TEST(Supervisor, AWorkerThatCannotEvenStartIsTriedLessAndLessOften) {
  Supervisor supervisor{1};
  supervisor.started(0, kStart);
  Instant now = kStart + Supervisor::kSettled;
  EXPECT_EQ(supervisor.after_exit(0, now), Duration::zero());
  for (const auto pause : {milliseconds{50}, milliseconds{100}, milliseconds{200}}) {
    EXPECT_EQ(supervisor.after_exit(0, now), pause);
    now += pause;
  }
}

TEST(Supervisor, OneSlotsCrashesAreNoneOfAnothers) {
  Supervisor supervisor{2};
  supervisor.started(0, kStart);
  supervisor.started(1, kStart);
  for (int crash = 0; crash < 4; ++crash) (void)supervisor.after_exit(0, kStart);
  EXPECT_EQ(supervisor.after_exit(1, kStart), Duration::zero());
}

}  // namespace
}  // namespace weir::process
