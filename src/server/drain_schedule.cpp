#include "drain_schedule.h"

namespace weir::server {

DrainSchedule::DrainSchedule(std::uint64_t sessions, Instant begin, Duration timeout,
                             std::uint32_t slot, std::uint32_t slots) noexcept
    : sessions_{sessions},
      begin_{begin},
      timeout_{std::chrono::duration_cast<Micros>(timeout)},
      offset_{sessions == 0 ? 0 : timeout_.count() * slot / (slots * sessions)} {}

std::uint64_t DrainSchedule::due(Instant now) const noexcept {
  if (now >= end()) return sessions_;
  if (sessions_ == 0 || now < begin_ + offset_) return 0;
  const auto passed = std::chrono::duration_cast<Micros>(now - begin_ - offset_);
  return passed.count() * sessions_ / timeout_.count() + 1;
}

std::optional<Instant> DrainSchedule::next(std::uint64_t closed) const noexcept {
  if (closed >= sessions_) return std::nullopt;
  // Rounded up, or due() would not find it due at this time.
  return begin_ + offset_ + Micros{(timeout_.count() * closed + sessions_ - 1) / sessions_};
}

}  // namespace weir::server
