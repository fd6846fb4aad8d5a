// Rebalancer: decides which workers give how many sessions to which others, so that each comes to
// hold its share. Decides, and only decides: the master posts the orders, and a test passes any
// loads and any time it likes.
//
// New connections are steered to whoever has least, but sessions live for hours: a worker that was
// replaced, or that lost its share otherwise, fills up no faster than others' sessions end. So,
// once the loads have been uneven for kPatience looks in a row, sessions move until every worker is
// within one of its share. Uneven: one is over its share by more than kOver, or has less than
// kUnder of it, which among many workers puts none of the others over by much. Two bounds apart,
// to begin and to end, so that what clients do by themselves does not set sessions wandering.
//
// An order is obeyed a moment after it was posted. What is under way is told from the totals of
// sessions that left each slot: while a slot has not given all that it was told to, it gets no
// further order, and those whom it gives to get none either. Nothing is ordered twice thereby, and
// no estimate of what the loads will be is needed.
//
// Some sessions cannot move: TLS holds them, or their application. A slot that has not given what
// it was told to within kObeyWithin has no more that can, or hangs: it is left alone for kRest,
// unless somebody asks for it (level()).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "weir/base/clock.h"

namespace weir::process {

struct RebalanceOptions {
  bool automatic = true;            // begins by itself
  std::uint32_t per_second = 1000;  // sessions that may be ordered to move; never 0
};

/// One slot as it was read.
struct SlotLoad {
  bool counts = false;         // is to hold a share: its worker serves, hung or not
  bool able = false;           // gives and takes: it counts, and does not hang
  std::uint64_t load = 0;      // connections counted in the load table
  std::uint64_t sessions = 0;  // connections open, of which some can move
  std::uint64_t left = 0;      // sessions that it gave away, ever
  std::uint32_t weight = 1;    // never 0
};

/// The worker of `from` is to give so many sessions to that of `to`.
struct MoveOrder {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  std::uint32_t count = 0;

  bool operator==(const MoveOrder&) const = default;
};

/// What a look came to.
struct Rebalance {
  enum class Turn : std::uint8_t {
    none,
    began,
    level,  // ended: every slot is within one session of its share
    stuck,  // ended before that: what is left over cannot move, or has nowhere to go
  };
  std::vector<MoveOrder> orders;
  Turn turn = Turn::none;
  double imbalance = 1;     // now: the largest load over its share
  std::uint64_t moved = 0;  // since it began
};

/// How many sessions may be ordered to move now: so many a second, and no more at once than a
/// quarter second's.
class MoveBudget {
 public:
  static constexpr int kBurstsPerSecond = 4;

  explicit MoveBudget(std::uint32_t per_second) noexcept : per_second_{per_second} {}

  void set_rate(std::uint32_t per_second) noexcept { per_second_ = per_second; }
  void refill(Instant now) noexcept;
  [[nodiscard]] bool empty() const noexcept { return sessions_ < 1; }
  /// Takes up to `wanted` out of it; returns how many.
  [[nodiscard]] std::uint32_t take(std::uint64_t wanted) noexcept;

 private:
  std::uint32_t per_second_;
  std::optional<Instant> refilled_at_;
  double sessions_ = 0;
};

class Rebalancer {
 public:
  static constexpr double kOver = 1.10;
  static constexpr double kUnder = 0.50;
  static constexpr int kPatience = 3;            // looks
  static constexpr int kPatienceWhenStuck = 10;  // looks: whom it waits for may hang for a moment
  static constexpr std::uint64_t kWorthIt = 2;   // sessions; for fewer it does not begin
  static constexpr int kBurstsPerSecond = MoveBudget::kBurstsPerSecond;
  static constexpr Duration kObeyWithin = std::chrono::seconds{1};
  static constexpr Duration kRest = std::chrono::seconds{10};

  Rebalancer(std::uint32_t slots, const RebalanceOptions& options);

  /// Other options from here on. What goes on ends where it may not begin by itself any more.
  void set_options(const RebalanceOptions& options) noexcept;

  /// From now on there are so many slots; those that go have no part in what is under way.
  void resize(std::uint32_t slots);

  /// A look at the loads, by slot; call every tick. `balanced`: whether the policy is one that
  /// spreads by load; while it is not, nothing begins and what goes on ends.
  [[nodiscard]] Rebalance look(std::span<const SlotLoad> loads, bool balanced, Instant now);

  /// Has the next look begin, however little there is to do, and slots that rest taken up again.
  /// Returns how many sessions are to move; 0: all is level.
  std::uint64_t level(std::span<const SlotLoad> loads);

 private:
  struct UnderWay {
    MoveOrder order;  // its count: what has not left yet
    Instant since;
  };
  struct Slot {
    std::optional<std::uint64_t> left_seen;  // of `left`, what has been set off against orders
    bool rests = false;                      // gives nothing until then
    Instant rests_until{};
  };
  /// How far the slots are from their shares.
  struct Distances {
    std::vector<std::int64_t> over;  // whole sessions; above 0: to give, below: to take
    double imbalance = 1;
    bool off = false;           // some slot is more than a session from its share
    bool uneven = false;        // enough to begin
    std::uint64_t movable = 0;  // sessions to move; 0 unless off
  };

  [[nodiscard]] Distances distances(std::span<const SlotLoad> loads) const;
  void settle(std::span<const SlotLoad> loads, Instant now);
  [[nodiscard]] bool should_begin(const Distances& found);
  [[nodiscard]] std::vector<MoveOrder> order(std::vector<std::int64_t> over, Instant now);

  RebalanceOptions options_;
  std::vector<Slot> slots_;
  std::vector<UnderWay> under_way_;  // oldest first
  MoveBudget budget_;
  int uneven_looks_ = 0;  // in a row, as those below
  int stuck_looks_ = 0;
  bool asked_ = false;
  bool active_ = false;
  std::uint64_t moved_ = 0;
};

}  // namespace weir::process
