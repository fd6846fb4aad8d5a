// The models that weir is compared with do what their papers and the kernel say.
#include "sim/baselines.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace weir::sim {
namespace {

constexpr Duration kThreshold = std::chrono::milliseconds{50};
constexpr Nanoseconds kMs = 1'000'000;

class HermesTest : public ::testing::Test {
 protected:
  /// Every worker finished a turn at `now`, with so many connections more than before.
  void turn(Hermes& hermes, const std::vector<std::uint32_t>& accepted, Nanoseconds now) {
    for (std::uint32_t worker = 0; worker < accepted.size(); ++worker) {
      hermes.woke(worker, now, 1, now);
      hermes.turned({.worker = worker, .ended = now, .accepted = accepted[worker], .sleeps = true});
    }
  }
  static std::set<std::uint32_t> picked(Hermes& hermes, Nanoseconds now) {
    std::set<std::uint32_t> out;
    Random random{9};
    for (int i = 0; i < 4'000; ++i) {
      Session session;
      session.hash = static_cast<std::uint32_t>(random.next());
      out.insert(hermes.pick(now, session));
    }
    return out;
  }
};

TEST_F(HermesTest, BeforeAnyTurnAllAreHashedTo) {
  Hermes hermes{4, kThreshold};
  EXPECT_EQ(picked(hermes, 0), (std::set<std::uint32_t>{0, 1, 2, 3}));
}

TEST_F(HermesTest, MoreThanHalfOverTheMeanOfConnectionsIsOut) {
  Hermes hermes{4, kThreshold};
  turn(hermes, {10, 10, 10, 30}, kMs);  // the mean is 15, with theta 22.5
  EXPECT_EQ(picked(hermes, kMs), (std::set<std::uint32_t>{0, 1, 2}));
  turn(hermes, {10, 10, 10, 0}, 2 * kMs);
  EXPECT_EQ(picked(hermes, kMs), (std::set<std::uint32_t>{0, 1, 2, 3}));
}

TEST_F(HermesTest, MoreThanHalfOverTheMeanOfPendingEventsIsOut) {
  Hermes hermes{4, kThreshold};
  hermes.woke(0, 0, 100, 10 * kMs);
  hermes.woke(1, 0, 10, 10 * kMs);
  hermes.woke(2, 0, 10, 10 * kMs);
  hermes.turned({.worker = 3, .ended = 5 * kMs, .sleeps = true});  // half of each is left
  EXPECT_EQ(picked(hermes, 5 * kMs), (std::set<std::uint32_t>{1, 2, 3}));
}

TEST_F(HermesTest, ALoopThatBeganLongAgoIsOut) {
  Hermes hermes{3, kThreshold};
  hermes.woke(1, 0, 1, 100 * kMs);
  hermes.turned({.worker = 0, .ended = 49 * kMs, .sleeps = true});
  EXPECT_EQ(picked(hermes, 0).count(1), 0U) << "its one event is over the mean of a third";
  hermes.woke(1, 0, 0, 0);
  hermes.turned({.worker = 0, .ended = 49 * kMs, .sleeps = true});
  EXPECT_EQ(picked(hermes, 0).count(1), 1U);
  hermes.turned({.worker = 0, .ended = 50 * kMs, .sleeps = true});
  EXPECT_EQ(picked(hermes, 0).count(1), 0U);
}

TEST_F(HermesTest, OneInTheSetIsNoSet) {
  Hermes hermes{3, kThreshold};
  hermes.crashed(1, 0);
  hermes.crashed(2, 0);
  hermes.turned({.worker = 0, .ended = kMs, .sleeps = true});
  EXPECT_EQ(picked(hermes, 0), (std::set<std::uint32_t>{0, 1, 2}));
}

TEST_F(HermesTest, MoreThan64AreGroupsOf64) {
  Hermes hermes{130, kThreshold};
  EXPECT_EQ(picked(hermes, 0).size(), 130U);
  turn(hermes, std::vector<std::uint32_t>(130, 1), kMs);
  EXPECT_EQ(picked(hermes, kMs).size(), 130U);
}

TEST(KernelHash, GoesByTheHashAlone) {
  KernelHash steerer{4};
  Session session;
  session.hash = 0;
  EXPECT_EQ(steerer.pick(0, session), 0U);
  session.hash = ~0U;
  EXPECT_EQ(steerer.pick(0, session), 3U);
}

TEST(Steerers, AreAllMadeByTheirNames) {
  for (const std::string_view name : steerer_names()) EXPECT_TRUE(make_steerer(name, {})) << name;
  EXPECT_FALSE(make_steerer("random", {}));
  EXPECT_TRUE(is_baseline("hermes") && is_baseline("round-robin"));
  EXPECT_FALSE(is_baseline("least-connections"));
}

}  // namespace
}  // namespace weir::sim
