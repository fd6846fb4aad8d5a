#include "server/drain_schedule.h"

#include <gtest/gtest.h>

#include <vector>

namespace weir::server {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Instant kBegin{seconds{5'000}};

/// When a worker that wakes exactly when something is due closes each of its sessions.
std::vector<Duration> closes(const DrainSchedule& schedule) {
  std::vector<Duration> times;
  while (const auto next = schedule.next(times.size())) {
    EXPECT_GT(schedule.due(*next), times.size()) << "due() and next() agree";
    EXPECT_EQ(schedule.due(*next - milliseconds{1}), times.size()) << "and nothing is early";
    times.push_back(*next - kBegin);
    if (testing::Test::HasFailure()) break;
  }
  return times;
}

TEST(DrainSchedule, SpreadsTheClosesEvenlyOverTheTimeout) {
  const DrainSchedule schedule{5, kBegin, seconds{10}, 0, 1};
  const std::vector<Duration> expected{seconds{0}, seconds{2}, seconds{4}, seconds{6}, seconds{8}};
  EXPECT_EQ(closes(schedule), expected);
  EXPECT_EQ(schedule.end(), kBegin + seconds{10});
}

TEST(DrainSchedule, TheClosesOfAllWorkersFallBetweenEachOther) {
  const std::vector<Duration> first{milliseconds{0}, milliseconds{500}};
  const std::vector<Duration> last{milliseconds{375}, milliseconds{875}};
  EXPECT_EQ(closes({2, kBegin, seconds{1}, 0, 4}), first);
  EXPECT_EQ(closes({2, kBegin, seconds{1}, 3, 4}), last);
}

TEST(DrainSchedule, WhoWakesLateMakesUpForIt) {
  const DrainSchedule schedule{1'000, kBegin, seconds{10}, 0, 1};
  EXPECT_EQ(schedule.due(kBegin), 1U);
  EXPECT_EQ(schedule.due(kBegin + seconds{5}), 501U);
  EXPECT_EQ(schedule.due(kBegin + seconds{10}), 1'000U);
  EXPECT_EQ(schedule.due(kBegin + hours{1}), 1'000U);
}

TEST(DrainSchedule, ATimeoutOfZeroClosesAllAtOnce) {
  const DrainSchedule schedule{7, kBegin, seconds{0}, 3, 4};
  EXPECT_EQ(schedule.due(kBegin), 7U);
  EXPECT_EQ(schedule.next(0), kBegin);
  EXPECT_EQ(schedule.next(7), std::nullopt);
}

TEST(DrainSchedule, WithoutSessionsNothingIsDue) {
  const DrainSchedule schedule{0, kBegin, seconds{10}, 1, 2};
  EXPECT_EQ(schedule.due(kBegin + seconds{1}), 0U);
  EXPECT_EQ(schedule.next(0), std::nullopt);
}

TEST(DrainSchedule, HoldsForTheMostSessionsAndTheLongestTimeout) {
  const std::uint64_t sessions = 1U << 28;
  const DrainSchedule schedule{sessions, kBegin, hours{1}, 1'023, 1'024};
  EXPECT_EQ(schedule.due(kBegin + minutes{30}), sessions / 2) << "the offset is one session's time";
  const auto last = schedule.next(sessions - 1);
  ASSERT_TRUE(last);
  EXPECT_LE(*last, schedule.end());
  EXPECT_EQ(schedule.due(*last), sessions);
}

}  // namespace
}  // namespace weir::server
