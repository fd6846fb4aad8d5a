// What is decided of slots that go, without any.
#include "weir/process/retirement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "instants.h"

namespace weir::process {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint32_t kFast = 1'000'000;  // sessions a second

std::vector<SlotLoad> slots_with(std::initializer_list<std::uint64_t> loads) {
  std::vector<SlotLoad> slots;
  for (const std::uint64_t load : loads)
    slots.push_back({.counts = true, .able = true, .load = load, .sessions = load});
  return slots;
}

/// Workers that obey, by the next tick, as far as `movable` says.
class Service {
 public:
  Service(std::vector<SlotLoad> begin, std::uint32_t staying, std::uint32_t per_second = kFast)
      : slots{std::move(begin)}, retirement{staying, per_second} {}

  std::vector<MoveOrder> tick() {
    now += kTick;
    const auto orders = retirement.look(slots, now);
    for (const MoveOrder& order : orders)
      for (std::uint32_t i = 0; i < order.count && slots[order.from].sessions > fixed; ++i) {
        --slots[order.from].sessions;
        --slots[order.from].load;
        ++slots[order.from].left;
        ++slots[order.to].sessions;
        ++slots[order.to].load;
      }
    return orders;
  }
  std::vector<std::uint64_t> loads() const {
    std::vector<std::uint64_t> out;
    for (const SlotLoad& slot : slots) out.push_back(slot.load);
    return out;
  }

  std::vector<SlotLoad> slots;
  Retirement retirement;
  std::uint64_t fixed = 0;  // sessions of each that cannot move
  Instant now = kStart;
};

using Loads = std::vector<std::uint64_t>;
using Orders = std::vector<MoveOrder>;

std::uint64_t ordered(const Orders& orders) {
  std::uint64_t count = 0;
  for (const MoveOrder& order : orders) count += order.count;
  return count;
}

TEST(Retirement, ThoseThatStayEndUpEven) {
  Service service{slots_with({10, 10, 10, 10, 10}), 3};
  service.tick();
  EXPECT_EQ(service.loads(), (Loads{17, 17, 16, 0, 0}));
}

TEST(Retirement, WhoeverHasLeastIsFilledFirst) {
  Service service{slots_with({30, 5, 0, 30}), 3};
  EXPECT_EQ(ordered(service.tick()), 30U);
  EXPECT_EQ(service.loads(), (Loads{30, 18, 17, 0}));
}

TEST(Retirement, WeightsAreHeeded) {
  auto slots = slots_with({0, 0, 60});
  slots[0].weight = 2;
  Service service{slots, 2};
  service.tick();
  EXPECT_EQ(service.loads(), (Loads{40, 20, 0}));
}

TEST(Retirement, WhoHangsOrIsDownTakesNothing) {
  auto slots = slots_with({0, 0, 9});
  slots[0].able = false;
  Service service{slots, 2};
  service.tick();
  EXPECT_EQ(service.loads(), (Loads{0, 9, 0}));
}

TEST(Retirement, WithNobodyToTakeThemNothingIsOrdered) {
  auto slots = slots_with({0, 9});
  slots[0].able = false;
  Service service{slots, 1};
  EXPECT_EQ(service.tick(), Orders{});
  service.slots[0].able = true;
  service.tick();
  EXPECT_EQ(service.loads(), (Loads{9, 0}));
}

TEST(Retirement, OneThatHangsIsOrderedNothingUntilItWakes) {
  auto slots = slots_with({0, 9, 9});
  slots[1].able = false;
  Service service{slots, 1};
  service.tick();
  EXPECT_EQ(service.loads(), (Loads{9, 9, 0}));
  service.slots[1].able = true;
  service.tick();
  EXPECT_EQ(service.loads(), (Loads{18, 0, 0}));
}

TEST(Retirement, NothingIsOrderedTwiceWhileItIsOnItsWay) {
  const auto slots = slots_with({0, 0, 10});
  Retirement retirement{2, kFast};
  EXPECT_EQ(ordered(retirement.look(slots, kStart)), 10U);
  for (Duration passed = kTick; passed < Retirement::kObeyWithin; passed += kTick)
    EXPECT_EQ(retirement.look(slots, kStart + passed), Orders{}) << passed.count();
}

TEST(Retirement, WhatIsOnItsWayToOneThatStaysCounts) {
  auto slots = slots_with({0, 0, 10, 10});
  slots[3].able = false;
  Retirement retirement{2, kFast};
  EXPECT_EQ(retirement.look(slots, kStart),
            (Orders{{.from = 2, .to = 0, .count = 5}, {.from = 2, .to = 1, .count = 5}}));
  slots[0].load = 4;  // the first four of them have left and are counted there
  slots[2].left = 4;
  slots[2].load = slots[2].sessions = 6;
  slots[3].able = true;
  EXPECT_EQ(retirement.look(slots, kStart + kTick),
            (Orders{{.from = 3, .to = 0, .count = 5}, {.from = 3, .to = 1, .count = 5}}));
}

TEST(Retirement, WhatOpensLaterMovesAsWellAndWhatCannotHoldsNothingUp) {
  Service service{slots_with({0, 10}), 1};
  service.fixed = 4;
  service.tick();
  EXPECT_EQ(service.loads(), (Loads{6, 4}));
  service.slots[1].sessions = service.slots[1].load = 7;  // three handshakes are done
  int ticks = 0;
  while (service.slots[1].sessions > 4 && ++ticks < 100) service.tick();
  EXPECT_EQ(service.loads(), (Loads{9, 4}));
  EXPECT_LE(ticks * kTick, Retirement::kObeyWithin + kTick);
}

TEST(Retirement, TheTotalOfAnEarlierLifeOfTheSlotIsNotTakenForObedience) {
  auto slots = slots_with({0, 10});
  slots[1].left = 1'000;
  Retirement retirement{1, kFast};
  EXPECT_EQ(ordered(retirement.look(slots, kStart)), 10U);
  EXPECT_EQ(retirement.look(slots, kStart + kTick), Orders{});
}

TEST(Retirement, NoMoreMoveInASecondThanMay) {
  Service service{slots_with({0, 2'000, 2'000}), 1, 1'000};
  std::uint64_t most = 0;
  int ticks = 0;
  while (service.slots[0].load < 4'000 && ++ticks < 1'000)
    most = std::max(most, ordered(service.tick()));
  EXPECT_LE(most, 250U);
  EXPECT_GE(ticks * kTick, milliseconds{3'700});
  EXPECT_LE(ticks * kTick, milliseconds{4'500});
}

TEST(Retirement, WhateverTheLoadsAllMoveAndTheRestIsAsEvenAsCanBe) {
  std::uint32_t random = 1;
  const auto draw = [&](std::uint32_t below) {
    random = random * 1'664'525 + 1'013'904'223;
    return (random >> 8) % below;
  };
  for (int round = 0; round < 100; ++round) {
    std::vector<SlotLoad> slots(2 + draw(14));
    for (SlotLoad& slot : slots) {
      slot = {.counts = true, .able = true, .load = draw(2'000)};
      slot.sessions = slot.load;
    }
    const std::uint32_t staying = 1 + draw(static_cast<std::uint32_t>(slots.size()) - 1);
    Service service{slots, staying, 100 + draw(100'000)};
    const Loads before = service.loads();
    for (int i = 0; i < 3'000; ++i) service.tick();
    const Loads after = service.loads();
    EXPECT_EQ(std::accumulate(after.begin(), after.end(), 0ULL),
              std::accumulate(before.begin(), before.end(), 0ULL));
    for (std::size_t i = staying; i < after.size(); ++i) EXPECT_EQ(after[i], 0U);
    // Whoever took any has no more than anyone else, but for one.
    const auto least = *std::min_element(after.begin(), after.begin() + staying);
    for (std::uint32_t i = 0; i < staying; ++i)
      EXPECT_TRUE(after[i] == before[i] || after[i] <= least + 1) << i;
  }
}

}  // namespace
}  // namespace weir::process
