// Reconciliation, the decision: how far a slot's counted load has drifted from the truth, told
// from readings taken every tick. Reads and writes no table, knows no socket: steering.cpp takes
// the readings and applies the corrections; tests pass histories that they made up.
//
// A connection is counted at its SYN and uncounted at its end. The truth that can be read is what
// is open (the worker's row) and what is queued (TCP_INFO of the listeners). In between lies the
// handshake, which nobody can read. So with excess = load - (open + queued):
//
// - Too many. Excess is either handshakes under way or drift. At most as much of it as SYNs were
//   steered here within kGrace can be handshakes that young; the rest is taken back. So nothing
//   younger than kGrace ever is, and a flood of SYNs that never complete is out of the table
//   kGrace after it ends. A handshake that completes later still (a SYN-ACK retried for over 3 s)
//   then shows as too few, and is added back; to wait for the kernel's last retry instead, a
//   minute or more, would leave a flood in the table for as long.
//   While traffic goes on, up to kGrace of it excuses as many phantoms: 3,000 at 1,000 SYNs a
//   second to one slot. Less is not to be had from these readings: to subtract the connections
//   that arrived in the same time takes back handshakes that are merely slow (at a steady rate as
//   many arrive as are steered, however many are on the way; the test of that name shows it).
// - Too few. Added back: an old handshake completed, or the kernel's hash placed a connection.
//
// Either way only what kTicks readings in a row agree on is corrected, by the least of them: a
// reading is not atomic, and a connection may be between two places while it is taken:
//
//   SYN -> [assigned, load] -> handshake -> queued -> (accept) -> open -> (end: load, open)
//
// The readings are therefore taken so that what moves meanwhile shows as too few counted rather
// than too many (SlotReading gives the order), save one gap: a connection that left the queue and
// that its worker has not counted as open yet. It is a batch of completions long; if the worker
// hangs in that batch for over kGrace, its connections are taken back, and added again when it
// goes on.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "weir/base/clock.h"

namespace weir::steering {

constexpr Duration kGrace = std::chrono::seconds{3};
constexpr int kTicks = 3;

/// One slot, its members read in this order.
struct SlotReading {
  std::uint64_t queued = 0;    // in the accept queues now
  std::uint64_t open = 0;      // now
  std::uint64_t load = 0;      // connections counted now
  std::uint64_t assigned = 0;  // SYNs steered here, ever
};

/// Lets through only what lasts: the least of kTicks values in a row of the same sign.
class Lasting {
 public:
  /// Takes the next value; returns what has lasted by now, or 0, and starts over if not 0.
  [[nodiscard]] std::int64_t observe(std::int64_t value) noexcept;

 private:
  std::int64_t least_ = 0;  // of the run so far, nearest to zero
  int run_ = 0;
};

/// The history of one slot.
class SlotReconciler {
 public:
  /// Takes the reading of a tick (any distance after the last one, 100 ms by custom). Returns the
  /// connections to add to the slot's load; below zero: to take from it; mostly 0.
  [[nodiscard]] std::int64_t observe(Instant now, const SlotReading& reading) noexcept;

 private:
  struct Sample {
    Instant at;
    std::uint64_t assigned = 0;
  };
  /// Samples are this far apart or more, so that kSamples of them span kGrace at any tick rate.
  static constexpr Duration kSpacing = kGrace / 30;
  static constexpr std::size_t kSamples = 32;
  static_assert(kSpacing * (kSamples - 1) > kGrace);

  void remember(const Sample& sample) noexcept;
  [[nodiscard]] const Sample* newest_before(Instant then) const noexcept;

  std::array<Sample, kSamples> samples_{};  // a ring
  std::size_t taken_ = 0;                   // samples ever taken; the last is at taken_ - 1
  Lasting drift_;
};

}  // namespace weir::steering
