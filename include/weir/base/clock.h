// Time as the parts pass it around: an instant on CLOCK_MONOTONIC, which is also what
// bpf_ktime_get_ns() reads, so that a worker's stamp and the steering program's now compare.
#pragma once

#include <chrono>
#include <cstdint>

namespace weir {

using Duration = std::chrono::nanoseconds;
/// steady_clock is CLOCK_MONOTONIC with libstdc++ and libc++ on Linux.
using Instant = std::chrono::time_point<std::chrono::steady_clock, Duration>;

[[nodiscard]] inline Instant monotonic_now() noexcept {
  return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
}

[[nodiscard]] inline std::uint64_t to_ns(Instant instant) noexcept {
  return static_cast<std::uint64_t>(instant.time_since_epoch().count());
}

}  // namespace weir
