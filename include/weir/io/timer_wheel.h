// TimerWheel: one coarse timer per session, by number. Arming and disarming cost a few stores;
// nothing happens per message: a session notes when it last heard from its peer, and when its
// timer fires it works out its real deadline and arms again.
//
// A hashed wheel of one round (Varghese and Lauck, 1987, scheme 6, without round counts): a
// deadline further away than a round is kept in the last bucket and fires early. The owner must
// check its deadline anyway, so an early call costs one look per round.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <deque>
#include <limits>
#include <optional>

#include "weir/base/clock.h"

namespace weir::io {

class TimerWheel {
 public:
  static constexpr Duration kTick = std::chrono::milliseconds{16};
  static constexpr std::uint32_t kBuckets = 2'048;  // a round of 32.8 s

  explicit TimerWheel(Instant now) noexcept;

  /// Fires `id` at `at` or up to a tick after, or early where `at` is over a round away. Moves a
  /// timer that is armed.
  void arm(std::uint32_t id, Instant at);
  void disarm(std::uint32_t id) noexcept;

  /// When run_until() has something to do next; nothing if no timer is armed.
  [[nodiscard]] std::optional<Instant> next() const noexcept;

  /// Disarms each timer that is due and calls `fire(id)` for it; `fire` may arm and disarm any.
  template <class Fire>
  void run_until(Instant now, Fire&& fire) {
    const std::uint64_t target = tick_of(now);
    while (armed_ > 0 && done_ < target) {
      const std::uint32_t bucket = static_cast<std::uint32_t>((done_ + 1) % kBuckets);
      // A timer armed by `fire` lands at least one tick after done_ + 1, never in this bucket,
      // since done_ moves first.
      ++done_;
      while (heads_[bucket] != kNone) {
        const std::uint32_t id = heads_[bucket];
        disarm(id);
        fire(id);
      }
    }
    if (armed_ == 0 && done_ < target) done_ = target;
  }

 private:
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
  struct Node {
    std::uint32_t previous = kNone;
    std::uint32_t next = kNone;
    std::uint32_t bucket = kNone;  // kNone: not armed
  };

  [[nodiscard]] static std::uint64_t tick_of(Instant at) noexcept {
    return to_ns(at) / static_cast<std::uint64_t>(kTick.count());
  }

  std::uint64_t done_;  // the last tick whose bucket was run
  std::uint32_t armed_ = 0;
  std::deque<Node> nodes_;  // by id; grows without being copied
  std::array<std::uint32_t, kBuckets> heads_;
  std::array<std::uint64_t, kBuckets / 64> occupied_{};  // a bit a bucket
};

}  // namespace weir::io
