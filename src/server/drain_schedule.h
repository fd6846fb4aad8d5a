// DrainSchedule: when a worker that drains closes which of its sessions, so that their clients do
// not come back as one wave. Decides, and only decides: the worker closes, and tests pass any time.
//
// The closes are spread evenly over the timeout, and those of all workers fall between each other:
// of n sessions the k-th (from 0) is closed at (k + slot / slots) / n of the timeout. So the last
// one of all is closed within it, and the one session of the only worker at once.
#pragma once

#include <cstdint>
#include <optional>

#include "weir/base/clock.h"

namespace weir::server {

class DrainSchedule {
 public:
  /// Of the worker of `slot` out of `slots`, for the `sessions` that it has at `begin`. `timeout`
  /// is an hour at most; 0 has all closed at once.
  DrainSchedule(std::uint64_t sessions, Instant begin, Duration timeout, std::uint32_t slot,
                std::uint32_t slots) noexcept;

  /// How many of the sessions should have been closed by `now`.
  [[nodiscard]] std::uint64_t due(Instant now) const noexcept;
  /// When the next one is due after `closed` of them; nothing if that was all.
  [[nodiscard]] std::optional<Instant> next(std::uint64_t closed) const noexcept;
  /// From here on no session is to be left open.
  [[nodiscard]] Instant end() const noexcept { return begin_ + timeout_; }

 private:
  // In microseconds: 2^28 sessions times an hour of them is below 2^64.
  using Micros = std::chrono::duration<std::uint64_t, std::micro>;

  std::uint64_t sessions_;
  Instant begin_;
  Micros timeout_;
  Micros offset_{0};  // of the first close
};

}  // namespace weir::server
