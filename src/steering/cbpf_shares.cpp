#include "cbpf_shares.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>

namespace weir::steering {
namespace {

using Seconds = std::chrono::duration<double>;

constexpr Seconds kInterval = std::chrono::milliseconds{100};
/// A rate over less than this says little; looks for another reason come in between.
constexpr Seconds kLeastInterval = std::chrono::milliseconds{50};
/// How much of what was foreseen before is kept when fewer come: a second later a tenth.
constexpr double kKept = 0.8;

}  // namespace

void CbpfShares::count_arrivals(Instant now, std::span<const ShareReading> slots) {
  std::uint64_t arrived = 0;
  for (const ShareReading& slot : slots) arrived += slot.arrived;
  const Seconds since = counted_at_ ? Seconds{now - *counted_at_} : Seconds{0};
  if (counted_at_ && since < kLeastInterval) return;
  if (counted_at_) {
    // Below zero where a slot that had counted much is no more.
    const auto came =
        std::max<double>(0, static_cast<double>(arrived) - static_cast<double>(arrived_));
    const double seen = came * (kInterval / since);
    per_interval_ = std::max(seen, kKept * per_interval_ + (1 - kKept) * seen);
  }
  counted_at_ = now;
  arrived_ = arrived;
}

std::vector<double> CbpfShares::look(Instant now, std::span<const ShareReading> slots) {
  count_arrivals(now, slots);
  const bool any = std::ranges::any_of(slots, &ShareReading::in_service);
  double connections = 0;
  double weights = 0;
  double count = 0;
  for (const ShareReading& slot : slots) {
    if (any && !slot.in_service) continue;
    connections += static_cast<double>(slot.load);
    weights += slot.weight;
    ++count;
  }
  const double horizon =
      std::max({2 * per_interval_, kFollow * connections, kArrivalsPerSlot * count});
  std::vector<double> shares(slots.size());
  double sum = 0;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (any && !slots[i].in_service) continue;
    const double base = slots[i].weight / weights;
    const double lacks = any ? base * connections - static_cast<double>(slots[i].load) : 0;
    shares[i] = base * std::clamp(1 + lacks / (base * horizon), kLeast, kMost);
    sum += shares[i];
  }
  for (double& share : shares) share /= sum;
  return shares;
}

bool CbpfShares::worth_it(std::span<const double> now_in_use, std::span<const double> wanted,
                          std::span<const ShareReading> slots) {
  if (now_in_use.size() != wanted.size()) return true;
  double weights = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if ((now_in_use[i] > 0) != (wanted[i] > 0)) return true;
    if (wanted[i] > 0) weights += slots[i].weight;
  }
  for (std::size_t i = 0; i < wanted.size(); ++i)
    if (std::abs(wanted[i] - now_in_use[i]) > kWorthIt * slots[i].weight / weights) return true;
  return false;
}

}  // namespace weir::steering
