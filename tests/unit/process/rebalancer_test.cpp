#include "weir/process/rebalancer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>
#include <vector>

#include "instants.h"

namespace weir::process {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Turn = Rebalance::Turn;

/// Slots that all serve.
std::vector<SlotLoad> serving(std::initializer_list<std::uint64_t> loads) {
  std::vector<SlotLoad> slots;
  for (const std::uint64_t load : loads)
    slots.push_back({.counts = true, .able = true, .load = load, .sessions = load});
  return slots;
}

/// Workers that obey, by the next tick, as far as their sessions can move.
class Service {
 public:
  Service(std::vector<SlotLoad> begin, const RebalanceOptions& options)
      : slots{std::move(begin)}, rebalancer{static_cast<std::uint32_t>(slots.size()), options} {}

  Rebalance tick() {
    now += kTick;
    Rebalance found = rebalancer.look(slots, balanced, now);
    for (const MoveOrder& order : found.orders)
      if (obeys) obey(order);
    if (found.turn != Turn::none) turns.push_back(found.turn);
    most_at_once = std::max(most_at_once, ordered(found));
    return found;
  }
  Rebalance ticks(int count) {
    Rebalance last;
    while (count-- > 0) last = tick();
    return last;
  }
  /// Ticks until it ends; how many.
  int until_over(int most = 1'000) {
    for (int count = 1; count <= most; ++count) {
      tick();
      if (!turns.empty() && turns.back() != Turn::began) return count;
    }
    return most;
  }
  std::vector<std::uint64_t> loads() const {
    std::vector<std::uint64_t> out;
    for (const SlotLoad& slot : slots) out.push_back(slot.load);
    return out;
  }
  static std::uint64_t ordered(const Rebalance& found) {
    std::uint64_t sum = 0;
    for (const MoveOrder& order : found.orders) sum += order.count;
    return sum;
  }

  std::vector<SlotLoad> slots;
  Rebalancer rebalancer;
  Instant now = kStart;
  bool balanced = true;
  bool obeys = true;
  std::vector<std::uint64_t> fixed = std::vector<std::uint64_t>(slots.size());  // cannot move
  std::vector<Turn> turns;
  std::uint64_t most_at_once = 0;

 private:
  void obey(const MoveOrder& order) {
    SlotLoad& from = slots[order.from];
    const std::uint64_t can = from.sessions - std::min(from.sessions, fixed[order.from]);
    const std::uint64_t count = std::min<std::uint64_t>(order.count, can);
    from.load -= count;
    from.sessions -= count;
    from.left += count;
    slots[order.to].load += count;
    slots[order.to].sessions += count;
  }
};

constexpr RebalanceOptions kFast{.per_second = 1'000'000};
using Loads = std::vector<std::uint64_t>;
using Turns = std::vector<Turn>;

TEST(Rebalancer, FillsAReplacedWorkerOnceTheSkewHasLastedForThreeLooks) {
  Service service{serving({1'000, 1'000, 0, 1'000}), kFast};
  EXPECT_EQ(service.ticks(2).orders, std::vector<MoveOrder>{});
  const Rebalance third = service.tick();
  EXPECT_EQ(third.turn, Turn::began);
  EXPECT_DOUBLE_EQ(third.imbalance, 4.0 / 3);
  EXPECT_EQ(service.loads(), (Loads{750, 750, 750, 750}));
  const Rebalance last = service.tick();
  EXPECT_EQ(last.turn, Turn::level);
  EXPECT_EQ(last.moved, 750U);
  EXPECT_EQ(service.ticks(100).orders, std::vector<MoveOrder>{});
  EXPECT_EQ(service.turns, (Turns{Turn::began, Turn::level}));
}

TEST(Rebalancer, LeavesAlone) {
  const std::vector<SlotLoad> cases[] = {
      serving({}),
      serving({0, 0, 0}),
      serving({17}),
      serving({1, 0}),
      serving({2, 0}),     // one would move
      serving({110, 90}),  // 1.10 of the share
      serving({1'099, 901, 1'000}),
  };
  for (const auto& slots : cases) {
    Service service{slots, kFast};
    service.ticks(20);
    EXPECT_EQ(service.turns, Turns{}) << testing::PrintToString(service.loads());
  }
}

TEST(Rebalancer, BeginsJustAboveTheThreshold) {
  Service service{serving({1'101, 899}), kFast};
  service.until_over();
  EXPECT_EQ(service.loads(), (Loads{1'000, 1'000}));
}

TEST(Rebalancer, ASkewThatDoesNotLastBeginsNothing) {
  Service service{serving({100, 100}), kFast};
  for (int i = 0; i < 100; ++i) {
    service.slots[0].load = service.slots[0].sessions = i % 3 == 0 ? 100 : 200;
    service.tick();
  }
  EXPECT_EQ(service.turns, Turns{});
}

TEST(Rebalancer, OneEmptyWorkerAmongManyIsFilledThoughNoneIsOverByMuch) {
  std::vector<SlotLoad> slots = serving({});
  for (int i = 0; i < 100; ++i)
    slots.push_back({.counts = true, .able = true, .load = 1'000, .sessions = 1'000});
  slots[40].load = slots[40].sessions = 0;
  Service service{slots, kFast};
  service.until_over();
  for (const std::uint64_t load : service.loads()) EXPECT_EQ(load, 990U);
}

TEST(Rebalancer, LevelsToWithinOneSessionOfAnyShare) {
  const std::pair<std::vector<SlotLoad>, Loads> cases[] = {
      {serving({4, 0}), {2, 2}},
      {serving({7, 0, 0}), {3, 2, 2}},
      {serving({0, 5, 0, 0}), {1, 2, 1, 1}},
      {serving({3, 0, 0, 0}), {1, 1, 1, 0}},
      {serving({1'000'003, 1}), {500'002, 500'002}},
  };
  for (const auto& [slots, level] : cases) {
    Service service{slots, kFast};
    service.until_over();
    Loads got = service.loads();
    Loads want = level;
    std::ranges::sort(got);
    std::ranges::sort(want);
    EXPECT_EQ(got, want);
    EXPECT_EQ(service.turns, (Turns{Turn::began, Turn::level}));
  }
}

TEST(Rebalancer, HeedsWeights) {
  Service service{serving({80, 0, 0, 0}), kFast};
  for (std::size_t i = 0; i < 4; ++i) service.slots[i].weight = std::array{4U, 2U, 1U, 1U}[i];
  service.until_over();
  EXPECT_EQ(service.loads(), (Loads{40, 20, 10, 10}));
}

TEST(Rebalancer, KeepsToTheRateAndToAQuarterOfASecondAtOnce) {
  Service service{serving({8'000, 0}), {.per_second = 1'000}};
  service.ticks(2);
  service.most_at_once = 0;
  const Instant begins = service.now;
  service.until_over();
  EXPECT_EQ(service.loads(), (Loads{4'000, 4'000}));
  EXPECT_EQ(service.most_at_once, 250U) << "the first time";
  const double took = std::chrono::duration<double>(service.now - begins).count();
  EXPECT_GE(took, 3.75);
  EXPECT_LE(took, 4.1);
}

TEST(Rebalancer, GoesOnAtOneSessionASecond) {
  Service service{serving({8, 0}), {.per_second = 1}};
  EXPECT_GE(service.until_over(), 20) << "two seconds for two more";
  EXPECT_EQ(service.loads(), (Loads{5, 3})) << "within one of the share";
  EXPECT_EQ(service.most_at_once, 1U);
}

TEST(Rebalancer, OrdersNothingTwice) {
  Service service{serving({100, 0}), kFast};
  service.obeys = false;
  EXPECT_EQ(service.ticks(3).orders, (std::vector<MoveOrder>{{.from = 0, .to = 1, .count = 50}}));
  for (int i = 0; i < 9; ++i) EXPECT_EQ(service.tick().orders, std::vector<MoveOrder>{}) << i;
}

TEST(Rebalancer, WhatDoesNotComeAboutForASecondEndsItAndTheSlotRestsForTen) {
  Service service{serving({100, 0}), kFast};
  service.obeys = false;
  service.until_over();
  EXPECT_EQ(service.turns, (Turns{Turn::began, Turn::stuck}));
  const Instant ended = service.now;
  service.obeys = true;
  service.turns.clear();
  service.until_over();
  EXPECT_EQ(service.loads(), (Loads{50, 50}));
  EXPECT_GE(service.now - ended, seconds{9});
  EXPECT_LE(service.now - ended, seconds{10} + 5 * kTick);
}

TEST(Rebalancer, SessionsThatCannotMoveStayAndTheOthersAreLevelled) {
  Service service{serving({900, 600, 0}), kFast};
  service.fixed[0] = 800;
  service.until_over();
  EXPECT_EQ(service.slots[0].load, 800U);
  EXPECT_EQ(service.turns, (Turns{Turn::began, Turn::stuck}));
  std::uint64_t orders = 0;
  for (int i = 0; i < 1'000; ++i) orders += service.tick().orders.size();
  EXPECT_LE(orders, 10U) << "one in ten seconds";
}

TEST(Rebalancer, SlotsThatDoNotServeHoldNoShareAndThoseThatHangDoNothing) {
  Service service{serving({100, 0, 0, 40}), kFast};
  service.slots[1].counts = service.slots[1].able = false;  // drains
  service.slots[2].able = false;                            // hangs
  service.ticks(30);
  EXPECT_EQ(service.loads(), (Loads{93, 0, 0, 47})) << "a third of 140";
}

TEST(Rebalancer, OneThatHangsForAMomentDoesNotEndIt) {
  Service service{serving({8'000, 0}), {.per_second = 1'000}};
  service.ticks(5);
  service.slots[1].able = false;
  service.ticks(5);
  service.slots[1].able = true;
  service.until_over();
  EXPECT_EQ(service.turns, (Turns{Turn::began, Turn::level}));
}

TEST(Rebalancer, OnlyWhenAskedWhileItIsOff) {
  Service service{serving({100, 0}), {.automatic = false, .per_second = 1'000}};
  service.ticks(20);
  EXPECT_EQ(service.loads(), (Loads{100, 0}));
  EXPECT_EQ(service.rebalancer.level(service.slots), 50U);
  service.until_over();
  EXPECT_EQ(service.loads(), (Loads{50, 50}));
  service.slots[0].load = service.slots[0].sessions = 100;
  service.turns.clear();
  service.ticks(20);
  EXPECT_EQ(service.turns, Turns{}) << "once";
}

TEST(Rebalancer, OtherOptionsHoldFromTheNextLookOn) {
  Service service{serving({8'000, 0}), {.per_second = 1'000}};
  service.ticks(10);
  service.rebalancer.set_options({.automatic = false, .per_second = 1'000});
  const Loads then = service.loads();
  service.ticks(20);
  EXPECT_EQ(service.loads(), then) << "what was going on has ended";
  EXPECT_EQ(service.turns, Turns{Turn::began});
  service.rebalancer.set_options({.automatic = true, .per_second = 100'000});
  service.until_over();
  EXPECT_EQ(service.loads(), (Loads{4'000, 4'000}));
  EXPECT_GT(service.most_at_once, 250U) << "the new rate's";
}

TEST(Rebalancer, AskedItLevelsWhatIsBelowTheThreshold) {
  Service service{serving({103, 97}), kFast};
  EXPECT_EQ(service.rebalancer.level(service.slots), 3U);
  EXPECT_EQ(service.tick().turn, Turn::began);
  service.until_over();
  EXPECT_EQ(service.loads(), (Loads{100, 100}));
  EXPECT_EQ(service.rebalancer.level(service.slots), 0U);
  EXPECT_EQ(service.tick().turn, Turn::none);
}

TEST(Rebalancer, AskedItTakesUpSlotsThatRest) {
  Service service{serving({100, 0}), kFast};
  service.obeys = false;
  service.until_over();
  service.obeys = true;
  EXPECT_EQ(service.rebalancer.level(service.slots), 50U);
  service.until_over();
  EXPECT_EQ(service.loads(), (Loads{50, 50}));
}

TEST(Rebalancer, UnderAPolicyThatDoesNotBalanceNothingBegins) {
  Service service{serving({100, 0}), kFast};
  service.balanced = false;
  service.ticks(50);
  EXPECT_EQ(service.turns, Turns{});
}

TEST(Rebalancer, ConnectionsThatAreNoSessionsYetAreNotOrderedAway) {
  Service service{serving({100, 0}), kFast};
  service.slots[0].sessions = 10;
  EXPECT_EQ(service.ticks(3).orders, (std::vector<MoveOrder>{{.from = 0, .to = 1, .count = 10}}));
}

TEST(Rebalancer, WhateverTheLoadsItLevelsThemAndLosesNone) {
  std::uint32_t random = 1;
  const auto draw = [&](std::uint32_t below) {
    random = random * 1'664'525 + 1'013'904'223;
    return (random >> 8) % below;
  };
  for (int round = 0; round < 200; ++round) {
    std::vector<SlotLoad> slots(2 + draw(14));
    for (SlotLoad& slot : slots) {
      slot = {.counts = true, .able = true, .load = draw(5'000), .weight = 1 + draw(4)};
      slot.sessions = slot.load;
    }
    Service service{slots, {.automatic = false, .per_second = 1 + draw(100'000)}};
    const Loads before = service.loads();
    const double total = std::accumulate(before.begin(), before.end(), 0.0);
    if (service.rebalancer.level(service.slots) == 0) continue;
    service.until_over(1'000'000);
    const Loads after = service.loads();
    double weights = 0;
    for (const SlotLoad& slot : slots) weights += slot.weight;
    for (std::size_t i = 0; i < slots.size(); ++i)
      EXPECT_NEAR(static_cast<double>(after[i]), total * slots[i].weight / weights, 1.0);
    EXPECT_EQ(std::accumulate(after.begin(), after.end(), 0.0), total);
    EXPECT_EQ(service.turns.back(), Turn::level);
  }
}

TEST(Rebalancer, ASlotThatComesGetsItsShareAndOneThatGoesHasNoPartAnyMore) {
  Service service{serving({40, 40}), kFast};
  service.slots.push_back({.counts = true, .able = true, .left = 900});  // had workers before
  service.rebalancer.resize(3);
  service.until_over();
  EXPECT_EQ(service.loads(), (Loads{27, 27, 26}));
  service.obeys = false;
  service.slots[2].load = service.slots[2].sessions = 0;
  service.turns.clear();
  EXPECT_FALSE(service.ticks(3).orders.empty());  // to a slot that goes before they are obeyed
  service.slots.pop_back();
  service.rebalancer.resize(2);
  service.obeys = true;
  EXPECT_EQ(service.tick().orders, std::vector<MoveOrder>{});
  EXPECT_EQ(service.turns.back(), Turn::level);
}

}  // namespace
}  // namespace weir::process
