#include "reconcile.h"

#include <algorithm>
#include <cstdlib>

namespace weir::steering {
namespace {

/// a - b of two counters that may each be ahead.
std::int64_t difference(std::uint64_t a, std::uint64_t b) noexcept {
  return static_cast<std::int64_t>(a - b);
}

}  // namespace

std::int64_t Lasting::observe(std::int64_t value) noexcept {
  const bool goes_on = run_ > 0 && (value < 0) == (least_ < 0);
  if (value == 0) {
    run_ = 0;
    return 0;
  }
  least_ = goes_on && std::abs(least_) < std::abs(value) ? least_ : value;
  run_ = goes_on ? run_ + 1 : 1;
  if (run_ < kTicks) return 0;
  run_ = 0;  // what follows is measured against a corrected table
  return least_;
}

std::int64_t SlotReconciler::observe(Instant now, const SlotReading& reading) noexcept {
  const Sample* const then = newest_before(now - kGrace);
  const std::int64_t excess = difference(reading.load, reading.open + reading.queued);

  std::int64_t drift = excess;
  if (excess > 0) {
    if (then == nullptr) {
      drift = 0;  // not yet watched for long enough to call anything old
    } else {
      const std::int64_t young = difference(reading.assigned, then->assigned);
      drift = std::max<std::int64_t>(0, excess - young);
    }
  }
  remember({.at = now, .assigned = reading.assigned});
  return -drift_.observe(drift);
}

void SlotReconciler::remember(const Sample& sample) noexcept {
  if (taken_ > 0 && sample.at - samples_[(taken_ - 1) % kSamples].at < kSpacing) return;
  samples_[taken_ % kSamples] = sample;
  ++taken_;
}

const SlotReconciler::Sample* SlotReconciler::newest_before(Instant then) const noexcept {
  const std::size_t kept = std::min(taken_, kSamples);
  for (std::size_t back = 1; back <= kept; ++back) {
    const Sample& sample = samples_[(taken_ - back) % kSamples];
    if (sample.at <= then) return &sample;
  }
  return nullptr;
}

}  // namespace weir::steering
