#include "weir/server/busy_time.h"

#include <gtest/gtest.h>

#include <chrono>

namespace weir::server {
namespace {

using namespace std::chrono_literals;

/// Takes so much of this thread's CPU, and a little more.
void work(Duration time) {
  const std::uint64_t until = thread_cpu_ns() + static_cast<std::uint64_t>(time.count());
  while (thread_cpu_ns() < until) {
  }
}

constexpr Instant kBegin{100s};

TEST(BusyTime, HasWhatTheKernelTookWhileTheLoopWasAsleep) {
  BusyTime busy{kBegin};
  work(3ms);
  EXPECT_GE(busy.turned(kBegin, kBegin + 10us, kBegin + 5ms), 3'000'000U);
}

TEST(BusyTime, HasWhatTheLoopWaitedForItsCpuAwake) {
  BusyTime busy{kBegin};
  const std::uint64_t cpu_ns = thread_cpu_ns();
  const std::uint64_t found = busy.turned(kBegin, kBegin + 50s, kBegin + 60s);
  ASSERT_LT(thread_cpu_ns() - cpu_ns, 50'000'000'000U);
  EXPECT_EQ(found, 50'000'000'000U);
}

TEST(BusyTime, IsToldOnceASpanIsOverAndAllOfItThen) {
  BusyTime busy{kBegin};
  work(2ms);
  EXPECT_EQ(busy.turned(kBegin, kBegin + 100us, kBegin + 200us), 0U);
  EXPECT_EQ(busy.turned(kBegin + 200us, kBegin + 300us, kBegin + 999us), 0U);
  EXPECT_GE(busy.turned(kBegin + 999us, kBegin + 999us, kBegin + 1ms), 2'000'000U);
  // The next span has only what came since, and that of several turns together.
  EXPECT_EQ(busy.turned(kBegin + 1ms, kBegin + 30s, kBegin + 1ms + 1us), 0U);
  EXPECT_EQ(busy.turned(kBegin + 40s, kBegin + 50s, kBegin + 60s), 39'999'000'000U);
  EXPECT_LT(busy.turned(kBegin + 60s, kBegin + 60s, kBegin + 70s), 2'000'000U);
}

TEST(BusyTime, IsTheGreaterOfBothAndNotTheirSum) {
  const std::uint64_t begin_ns = thread_cpu_ns();
  BusyTime busy{kBegin};
  work(4ms);
  const std::uint64_t found = busy.turned(kBegin, kBegin + 1ms, kBegin + 5ms);
  EXPECT_GE(found, 4'000'000U);
  EXPECT_LE(found, thread_cpu_ns() - begin_ns);
}

}  // namespace
}  // namespace weir::server
