#include "weir/process/supervisor.h"

#include <algorithm>

namespace weir::process {

void Supervisor::started(std::uint32_t slot, Instant now) noexcept {
  slots_[slot].started_at = now;
}

Duration Supervisor::after_exit(std::uint32_t slot, Instant now) noexcept {
  Slot& s = slots_[slot];
  s.crashes = now - s.started_at >= kSettled ? 1 : s.crashes + 1;
  s.started_at = now;  // if the next does not even start, that counts as a crash of one just begun
  if (s.crashes == 1) return Duration::zero();
  const std::uint32_t doublings = std::min(s.crashes - 2, 16U);
  return std::min(kFirstPause * (1U << doublings), kLongestPause);
}

}  // namespace weir::process
