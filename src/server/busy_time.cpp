#include "weir/server/busy_time.h"

#include <algorithm>
#include <chrono>
#include <ctime>

namespace weir::server {
namespace {

constexpr Duration kSpan = std::chrono::milliseconds{1};

}  // namespace

std::uint64_t thread_cpu_ns() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(time.tv_nsec);
}

BusyTime::BusyTime(Instant now) noexcept : span_began_{now}, cpu_ns_{thread_cpu_ns()} {}

std::uint64_t BusyTime::turned(Instant woke, Instant slept, Instant now, Duration looked) noexcept {
  awake_ns_ += static_cast<std::uint64_t>((slept - woke).count());
  looked_ns_ += static_cast<std::uint64_t>(looked.count());
  if (now - span_began_ < kSpan) return 0;
  const std::uint64_t cpu_ns = thread_cpu_ns();
  const std::uint64_t used_ns = cpu_ns - cpu_ns_;
  const std::uint64_t busy_ns = std::max(used_ns - std::min(used_ns, looked_ns_), awake_ns_);
  span_began_ = now;
  cpu_ns_ = cpu_ns;
  awake_ns_ = 0;
  looked_ns_ = 0;
  return busy_ns;
}

}  // namespace weir::server
