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

constexpr Instant kWoken{100s};

TEST(BusyTime, HasWhatTheKernelTookWhileTheLoopWasAsleep) {
  BusyTime busy{kWoken};
  work(3ms);
  EXPECT_GE(busy.turned(kWoken, kWoken + 10us, kWoken + 5ms), 3'000'000U);
}

TEST(BusyTime, HasWhatTheLoopWaitedForItsCpuAwake) {
  BusyTime busy{kWoken};
  const std::uint64_t cpu_ns = thread_cpu_ns();
  const std::uint64_t found = busy.turned(kWoken, kWoken + 50s, kWoken + 60s);
  ASSERT_LT(thread_cpu_ns() - cpu_ns, 50'000'000'000U);
  EXPECT_EQ(found, 50'000'000'000U);
}

TEST(BusyTime, IsToldOnceASpanIsOverAndAllOfItThen) {
  BusyTime busy{kWoken};
  work(2ms);
  EXPECT_EQ(busy.turned(kWoken, kWoken + 100us, kWoken + 200us), 0U);
  EXPECT_EQ(busy.turned(kWoken + 200us, kWoken + 300us, kWoken + 999us), 0U);
  EXPECT_GE(busy.turned(kWoken + 999us, kWoken + 999us, kWoken + 1ms), 2'000'000U);
  // The next span has only what came since, and that of several turns together.
  EXPECT_EQ(busy.turned(kWoken + 1ms, kWoken + 30s, kWoken + 1ms + 1us), 0U);
  EXPECT_EQ(busy.turned(kWoken + 40s, kWoken + 50s, kWoken + 60s), 39'999'000'000U);
  EXPECT_LT(busy.turned(kWoken + 60s, kWoken + 60s, kWoken + 70s), 2'000'000U);
}

TEST(BusyTime, IsTheGreaterOfBothAndNotTheirSum) {
  const std::uint64_t begin_ns = thread_cpu_ns();
  BusyTime busy{kWoken};
  work(4ms);
  const std::uint64_t found = busy.turned(kWoken, kWoken + 1ms, kWoken + 5ms);
  EXPECT_GE(found, 4'000'000U);
  EXPECT_LE(found, thread_cpu_ns() - begin_ns);
}

TEST(BusyTime, HasNotWhatWentIntoLookingForWork) {
  BusyTime busy{kWoken};
  work(4ms);
  EXPECT_LT(busy.turned(kWoken, kWoken + 10us, kWoken + 5ms, 4ms), 4'000'000U);
  work(1ms);
  EXPECT_EQ(busy.turned(kWoken + 5ms, kWoken + 5ms + 10us, kWoken + 7ms, 60s), 10'000U)
      << "it had to wait for its CPU while it looked";
  work(2ms);
  EXPECT_GE(busy.turned(kWoken + 7ms, kWoken + 7ms, kWoken + 9ms), 2'000'000U);
}

}  // namespace
}  // namespace weir::server
