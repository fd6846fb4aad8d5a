#include "weir/process/rebalancer.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace weir::process {
namespace {

/// What each slot is to hold: its share in whole sessions. What the shares have behind the point is
/// given to those that have most of it, and among equals to whoever holds most already.
std::vector<std::int64_t> targets(std::span<const SlotLoad> loads, std::span<const double> shares) {
  std::vector<std::int64_t> whole(loads.size());
  std::int64_t left = 0;
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < loads.size(); ++i) {
    if (!loads[i].counts) continue;
    whole[i] = static_cast<std::int64_t>(shares[i]);
    left += static_cast<std::int64_t>(loads[i].load) - whole[i];
    order.push_back(i);
  }
  const auto rest = [&](std::size_t i) { return shares[i] - static_cast<double>(whole[i]); };
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
    constexpr double equal = 1e-6;
    if (std::abs(rest(a) - rest(b)) > equal) return rest(a) > rest(b);
    return loads[a].load > loads[b].load;
  });
  for (std::size_t i = 0; left > 0 && i < order.size(); ++i, --left) ++whole[order[i]];
  return whole;
}

}  // namespace

void MoveBudget::refill(Instant now) noexcept {
  const double most = std::max(1.0, static_cast<double>(per_second_) / kBurstsPerSecond);
  const double seconds =
      refilled_at_ ? std::chrono::duration<double>(now - *refilled_at_).count() : 1;
  refilled_at_ = now;
  sessions_ = std::min(most, sessions_ + seconds * per_second_);
}

std::uint32_t MoveBudget::take(std::uint64_t wanted) noexcept {
  const auto taken =
      static_cast<std::uint32_t>(std::min(wanted, static_cast<std::uint64_t>(sessions_)));
  sessions_ -= taken;
  return taken;
}

Rebalancer::Rebalancer(std::uint32_t slots, const RebalanceOptions& options)
    : options_{options}, slots_(slots), budget_{options.per_second} {}

Rebalancer::Distances Rebalancer::distances(std::span<const SlotLoad> loads) const {
  Distances found{.over = std::vector<std::int64_t>(loads.size())};
  double load = 0;
  double weight = 0;
  for (const SlotLoad& slot : loads) {
    if (!slot.counts) continue;
    load += static_cast<double>(slot.load);
    weight += slot.weight;
  }
  if (load == 0) return found;
  std::vector<double> shares(loads.size());
  for (std::size_t i = 0; i < loads.size(); ++i)
    if (loads[i].counts) shares[i] = load * loads[i].weight / weight;

  const std::vector<std::int64_t> target = targets(loads, shares);
  std::uint64_t excess = 0;
  std::uint64_t need = 0;
  for (std::size_t i = 0; i < loads.size(); ++i) {
    const SlotLoad& slot = loads[i];
    if (!slot.counts) continue;
    const double held = static_cast<double>(slot.load) / shares[i];
    found.imbalance = std::max(found.imbalance, held);
    found.off |= std::abs(static_cast<double>(slot.load) - shares[i]) > 1;
    if (!slot.able) continue;
    found.over[i] = static_cast<std::int64_t>(slot.load) - target[i];
    if (found.over[i] > 0) {
      if (slots_[i].rests) {
        found.over[i] = 0;
        continue;
      }
      found.over[i] = std::min(found.over[i], static_cast<std::int64_t>(slot.sessions));
      excess += static_cast<std::uint64_t>(found.over[i]);
    } else {
      need += static_cast<std::uint64_t>(-found.over[i]);
    }
    found.uneven |= held > kOver || held < kUnder;
  }
  found.movable = found.off ? std::min(excess, need) : 0;
  return found;
}

std::uint64_t Rebalancer::level(std::span<const SlotLoad> loads) {
  for (Slot& slot : slots_) slot.rests = false;
  const std::uint64_t movable = distances(loads).movable;
  asked_ = movable > 0;
  return movable;
}

void Rebalancer::resize(std::uint32_t slots) {
  slots_.resize(slots);
  std::erase_if(under_way_, [&](const UnderWay& way) {
    return way.order.from >= slots || way.order.to >= slots;
  });
}

/// Sets off what has left against what was ordered, oldest first, and gives up on what did not.
void Rebalancer::settle(std::span<const SlotLoad> loads, Instant now) {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    // A slot that is new here may have been there before, and its total goes on.
    std::uint64_t gone = loads[i].left - slots_[i].left_seen.value_or(loads[i].left);
    slots_[i].left_seen = loads[i].left;
    for (UnderWay& way : under_way_) {
      if (way.order.from != i) continue;
      const auto done = static_cast<std::uint32_t>(std::min<std::uint64_t>(gone, way.order.count));
      way.order.count -= done;
      gone -= done;
      moved_ += done;
    }
    slots_[i].rests = slots_[i].rests && now < slots_[i].rests_until;
  }
  std::erase_if(under_way_, [&](const UnderWay& way) {
    if (way.order.count == 0) return true;
    if (now - way.since < kObeyWithin) return false;
    slots_[way.order.from].rests = true;
    slots_[way.order.from].rests_until = now + kRest;
    return true;
  });
}

bool Rebalancer::should_begin(const Distances& found) {
  if (std::exchange(asked_, false)) return found.movable > 0;
  const bool uneven = options_.automatic && found.uneven && found.movable >= kWorthIt;
  uneven_looks_ = uneven ? uneven_looks_ + 1 : 0;
  return uneven_looks_ >= kPatience;
}

void Rebalancer::set_options(const RebalanceOptions& options) noexcept {
  if (options_.automatic && !options.automatic) active_ = false;
  uneven_looks_ = 0;
  options_ = options;
  budget_.set_rate(options.per_second);
}

/// From those that have most too many to those that lack most.
std::vector<MoveOrder> Rebalancer::order(std::vector<std::int64_t> over, Instant now) {
  for (const UnderWay& way : under_way_) over[way.order.from] = over[way.order.to] = 0;
  std::vector<std::uint32_t> by_distance(over.size());
  std::iota(by_distance.begin(), by_distance.end(), 0U);
  std::ranges::sort(by_distance, [&](auto a, auto b) { return over[a] > over[b]; });

  std::vector<MoveOrder> orders;
  auto giver = by_distance.begin();
  auto taker = by_distance.rbegin();
  while (giver != by_distance.end() && taker != by_distance.rend() && !budget_.empty()) {
    std::int64_t& excess = over[*giver];
    std::int64_t& need = over[*taker];
    if (excess <= 0 || need >= 0) break;
    const std::uint32_t count = budget_.take(static_cast<std::uint64_t>(std::min(excess, -need)));
    orders.push_back({.from = *giver, .to = *taker, .count = count});
    excess -= count;
    need += count;
    if (excess == 0) ++giver;
    if (need == 0) ++taker;
  }
  for (const MoveOrder& made : orders) under_way_.push_back({.order = made, .since = now});
  return orders;
}

Rebalance Rebalancer::look(std::span<const SlotLoad> loads, bool balanced, Instant now) {
  settle(loads, now);
  budget_.refill(now);
  const Distances found = distances(loads);
  Rebalance out;
  out.imbalance = found.imbalance;
  if (!active_) {
    if (!balanced || !should_begin(found)) return out;
    active_ = true;
    moved_ = 0;
    out.turn = Rebalance::Turn::began;
  }
  if (balanced) out.orders = order(found.over, now);
  const bool idle = found.movable == 0 && under_way_.empty();
  stuck_looks_ = idle ? stuck_looks_ + 1 : 0;
  if (!balanced || (idle && (!found.off || stuck_looks_ >= kPatienceWhenStuck))) {
    active_ = false;
    stuck_looks_ = 0;
    uneven_looks_ = 0;
    out.turn = found.off ? Rebalance::Turn::stuck : Rebalance::Turn::level;
  }
  out.moved = moved_;
  return out;
}

}  // namespace weir::process
