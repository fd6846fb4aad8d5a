// BusyTime: for how long a worker had work, which its row tells and steering by load goes by.
//
// The time from a wake to the next sleep is only a part of it: nearly all that sending and
// receiving takes is spent by the kernel within the call that sleeps (io_uring_enter). A worker
// that echoed 64 B on 64 connections took 7 % of a CPU and was awake for 0.4 % of the time. The
// thread's CPU time has both, but not what an awake worker waits for its CPU. So it is whichever is
// greater, over spans of a millisecond: reading CPU time is a system call, too dear for every turn.
#pragma once

#include <cstdint>

#include "weir/base/clock.h"

namespace weir::server {

class BusyTime {
 public:
  /// From here on, of the calling thread.
  explicit BusyTime(Instant now) noexcept;

  /// Once a turn of the loop: it had been awake from `woke` until `slept`, of the time from then on
  /// it `looked` for work so long without finding any, which is none (BusyPoll), and it is `now`.
  /// Returns the nanoseconds of work that have come to be known.
  [[nodiscard]] std::uint64_t turned(Instant woke, Instant slept, Instant now,
                                     Duration looked = {}) noexcept;

 private:
  Instant span_began_;
  std::uint64_t cpu_ns_;  // of the thread, then
  std::uint64_t awake_ns_ = 0;
  std::uint64_t looked_ns_ = 0;
};

/// CPU time of the calling thread, ever.
[[nodiscard]] std::uint64_t thread_cpu_ns() noexcept;

}  // namespace weir::server
