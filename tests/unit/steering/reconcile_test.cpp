// The reconciler against histories: a model of one slot lives through them, and the corrections
// are applied to its count as the master would.
#include "steering/reconcile.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

namespace weir::steering {
namespace {

using namespace std::chrono_literals;

constexpr Duration kTick = 100ms;

/// One slot as the world sees it. `reading` is the truth but for load, which may drift.
class SlotModel {
 public:
  void syn(std::uint64_t n = 1) { reading.load += n, reading.assigned += n; }
  void complete(std::uint64_t n = 1) { reading.queued += n; }
  void accept(std::uint64_t n = 1) { reading.queued -= n, reading.open += n; }
  void end(std::uint64_t n = 1) { reading.load -= n, reading.open -= n; }
  void connect(std::uint64_t n = 1) { syn(n), complete(n), accept(n); }

  /// Lets a tick pass; returns the correction, which is applied.
  std::int64_t tick(Duration after = kTick) {
    now += after;
    const std::int64_t correction = reconciler.observe(now, reading);
    reading.load = static_cast<std::uint64_t>(static_cast<std::int64_t>(reading.load) + correction);
    return correction;
  }
  void ticks(Duration span) {
    for (Duration passed{}; passed < span; passed += kTick) tick();
  }
  [[nodiscard]] std::uint64_t truth() const { return reading.open + reading.queued; }

  Instant now{std::chrono::hours{5}};
  SlotReading reading;
  SlotReconciler reconciler;
};

constexpr Duration kSettled = kGrace + kTick * (kTicks + 1);

TEST(Reconcile, AnExactTableIsLeftAlone) {
  SlotModel slot;
  for (int i = 0; i < 100; ++i) {
    slot.connect(3);
    if (i > 10) slot.end(2);
    EXPECT_EQ(slot.tick(), 0) << i;
  }
}

TEST(Reconcile, HandshakesUnderWayAreLeftAlone) {
  SlotModel slot;
  slot.ticks(10s);
  for (int i = 0; i < 100; ++i) {  // each takes 2 s: 20 ticks
    slot.syn(5);
    if (i >= 20) slot.complete(5), slot.accept(5);
    EXPECT_EQ(slot.tick(), 0) << i;
  }
}

TEST(Reconcile, AFloodOfSynsIsGoneWithinTheGraceAndThreeTicks) {
  SlotModel slot;
  slot.connect(40);
  slot.ticks(5s);
  for (std::uint64_t i = 0; i < 50; ++i) {
    slot.syn(10'000);
    slot.tick();
    const std::uint64_t of_the_last_grace = 10'000 * std::min<std::uint64_t>(i, 29);
    EXPECT_GE(slot.reading.load, slot.truth() + of_the_last_grace) << "took back a young SYN";
  }
  slot.ticks(kSettled);
  EXPECT_EQ(slot.reading.load, 40U);
}

TEST(Reconcile, WhileTrafficGoesOnOnlyAGracesWorthOfPhantomsIsExcused) {
  SlotModel slot;
  slot.ticks(5s);
  slot.syn(50'000);
  for (int i = 0; i < 100; ++i) {
    slot.connect(100);
    slot.end(100);
    slot.tick();
  }
  EXPECT_LE(slot.reading.load, 3'100U);  // 100 a tick for 3 s, and the tick itself
  slot.ticks(kSettled);
  EXPECT_EQ(slot.reading.load, 0U);
}

TEST(Reconcile, AHandshakeSlowerThanTheGraceIsTakenBackAndAddedAgain) {
  SlotModel slot;
  slot.ticks(5s);
  slot.syn();
  slot.ticks(kSettled);
  EXPECT_EQ(slot.reading.load, 0U);
  slot.ticks(4s);
  slot.complete();  // the SYN-ACK's third retry got through
  slot.ticks(kTick * kTicks);
  EXPECT_EQ(slot.reading.load, 1U);
}

TEST(Reconcile, WhatTheProgramDidNotCountIsAddedAfterThreeTicks) {
  SlotModel slot;
  slot.complete(7);  // placed by the kernel's hash
  EXPECT_EQ(slot.tick(), 0);
  EXPECT_EQ(slot.tick(), 0);
  EXPECT_EQ(slot.tick(), 7);
  EXPECT_EQ(slot.tick(), 0);
}

TEST(Reconcile, OnlyTheLeastThatAllThreeTicksSawIsAdded) {
  SlotModel slot;
  slot.complete(7);
  slot.tick();
  slot.complete(20);
  slot.tick();
  EXPECT_EQ(slot.tick(), 7);
}

TEST(Reconcile, AReadingBetweenTwoPlacesIsNoProof) {
  SlotModel slot;
  slot.connect(10);
  slot.ticks(5s);
  for (int i = 0; i < 10; ++i) {  // every other tick falls into some gap
    slot.reading.open += i % 2 == 0 ? 1 : -1ULL;
    EXPECT_EQ(slot.tick(), 0);
  }
  for (int i = 0; i < 10; ++i) {
    slot.reading.open += i % 2 == 0 ? -1ULL : 1;
    EXPECT_EQ(slot.tick(), 0);
  }
}

TEST(Reconcile, AWorkerStuckBetweenAcceptingAndCountingGetsItsConnectionsBack) {
  SlotModel slot;
  slot.ticks(5s);
  slot.syn(8), slot.complete(8);
  slot.tick();
  slot.reading.queued -= 8;  // accepted by the kernel for it; it hangs before it looks
  slot.ticks(kSettled + 2s);
  EXPECT_EQ(slot.reading.load, 0U);
  slot.reading.open += 8;
  slot.ticks(kTick * kTicks);
  EXPECT_EQ(slot.reading.load, 8U);
}

TEST(Reconcile, ARestartedSlotSettlesOnItsQueue) {
  SlotModel slot;
  slot.connect(100);
  slot.syn(6), slot.complete(4);  // two still in handshake
  slot.ticks(1s);
  slot.reading.open = 0;  // LoadTable::restart_slot
  slot.reading.load = slot.reading.queued;
  slot.ticks(1s);
  slot.complete(2);
  slot.ticks(kSettled);
  EXPECT_EQ(slot.reading.load, 6U);
}

TEST(Reconcile, NothingIsCalledOldBeforeItWasWatchedForTheGrace) {
  SlotModel slot;
  slot.syn(5);
  for (Duration passed{}; passed < kGrace; passed += kTick) EXPECT_EQ(slot.tick(), 0);
  slot.ticks(kTick * (kTicks + 1));
  EXPECT_EQ(slot.reading.load, 0U);
}

TEST(Reconcile, TicksMayBeFarApartOrClose) {
  for (const Duration tick : {Duration{1ms}, Duration{33ms}, Duration{10s}}) {
    SlotModel slot;
    slot.syn(5);
    for (Duration passed{}; passed < kGrace; passed += tick) slot.tick(tick);
    for (int i = 0; i < 150; ++i) slot.tick(tick);
    EXPECT_EQ(slot.reading.load, 0U);
  }
}

TEST(Reconcile, WhateverHappenedTheTableIsExactAfterAQuietGrace) {
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    SlotModel slot;
    std::mt19937 random{seed};
    std::uint64_t handshakes = 0;
    for (int i = 0; i < 300; ++i) {
      const auto some = [&](std::uint64_t limit) {
        return limit == 0 ? 0 : random() % (limit + 1);
      };
      const std::uint64_t syns = some(20);
      slot.syn(syns), handshakes += syns;
      const std::uint64_t completed = some(handshakes);
      slot.complete(completed), handshakes -= completed;
      handshakes -= some(handshakes / 4);  // given up by their clients
      slot.accept(some(slot.reading.queued));
      const std::uint64_t ended = some(std::min(slot.reading.open, slot.reading.load));
      slot.end(ended);
      if (random() % 50 == 0) slot.reading.load += some(50);  // drift of any other cause
      if (random() % 50 == 0) slot.reading.load -= some(slot.reading.load);
      slot.tick();
    }
    slot.ticks(kSettled * 2);
    EXPECT_EQ(slot.reading.load, slot.truth()) << "seed " << seed;
  }
}

TEST(Lasting, LetsThroughTheLeastOfThreeOfOneSign) {
  Lasting lasting;
  const std::pair<std::int64_t, std::int64_t> history[] = {
      {5, 0},  {3, 0},  {9, 3},   {9, 0},  {9, 0}, {0, 0}, {4, 0}, {4, 0},
      {-2, 0}, {-8, 0}, {-7, -2}, {-1, 0}, {1, 0}, {1, 0}, {1, 1}};
  for (const auto& [value, lets_through] : history) EXPECT_EQ(lasting.observe(value), lets_through);
}

}  // namespace
}  // namespace weir::steering
