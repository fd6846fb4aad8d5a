#include "weir/process/hang_watch.h"

#include <algorithm>
#include <utility>

namespace weir::process {

void HangWatch::set_limit(Duration limit) noexcept {
  if (limit == limit_) return;
  limit_ = limit;
  for (Slot& slot : slots_) slot.asleep = Duration::zero();
}

void HangWatch::started(std::uint32_t slot, Instant now) noexcept {
  slots_[slot].looked_at = now;
  slots_[slot].asleep = Duration::zero();
}

bool HangWatch::is_over(std::uint32_t slot, std::uint64_t awake_at_ns, Instant now) noexcept {
  Slot& s = slots_[slot];
  const Duration apart = std::min(now - std::exchange(s.looked_at, now), kApartAtMost);
  const bool woke = std::exchange(s.awake_at_ns, awake_at_ns) != awake_at_ns;
  s.asleep = woke ? Duration::zero() : s.asleep + apart;
  if (limit_ == Duration::zero() || s.asleep < limit_) return false;
  s.asleep = Duration::zero();
  return true;
}

}  // namespace weir::process
