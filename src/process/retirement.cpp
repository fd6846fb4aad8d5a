#include "weir/process/retirement.h"

#include <algorithm>
#include <utility>

namespace weir::process {
namespace {

/// One that stays, with what it will hold.
struct Taker {
  std::uint32_t slot;
  std::uint64_t load;
  std::uint32_t weight;
  std::uint32_t takes = 0;  // of the one that gives now
};

/// Whether `a` comes after `b`: has more for its weight with one session more.
bool fuller(const Taker& a, const Taker& b) {
  const std::uint64_t of_a = (a.load + 1) * b.weight;
  const std::uint64_t of_b = (b.load + 1) * a.weight;
  return of_a != of_b ? of_a > of_b : a.slot > b.slot;
}

/// Shares `count` sessions out among the takers, a heap whose first is the one to take next.
void share_out(std::vector<Taker>& takers, std::uint32_t count) {
  while (count-- > 0) {
    std::ranges::pop_heap(takers, fuller);
    ++takers.back().load;
    ++takers.back().takes;
    std::ranges::push_heap(takers, fuller);
  }
}

}  // namespace

/// Sets off what has left against what was ordered, oldest first, and gives up on what did not.
void Retirement::settle(std::span<const SlotLoad> loads, Instant now) {
  left_seen_.resize(loads.size());
  for (std::size_t slot = staying_; slot < loads.size(); ++slot) {
    const std::uint64_t left = loads[slot].left;
    std::uint64_t gone = left - left_seen_[slot].value_or(left);
    left_seen_[slot] = left;
    for (UnderWay& way : under_way_) {
      if (way.order.from != slot) continue;
      const auto done = static_cast<std::uint32_t>(std::min<std::uint64_t>(gone, way.order.count));
      way.order.count -= done;
      gone -= done;
    }
  }
  std::erase_if(under_way_, [&](const UnderWay& way) {
    return way.order.count == 0 || now - way.since >= kObeyWithin;
  });
}

std::vector<MoveOrder> Retirement::look(std::span<const SlotLoad> loads, Instant now) {
  settle(loads, now);
  budget_.refill(now);
  std::vector<Taker> takers;
  for (std::uint32_t slot = 0; slot < staying_; ++slot)
    if (loads[slot].able)
      takers.push_back({.slot = slot, .load = loads[slot].load, .weight = loads[slot].weight});
  std::vector<bool> busy(loads.size());
  for (const UnderWay& way : under_way_) {
    busy[way.order.from] = true;
    const auto taker = std::ranges::find(takers, way.order.to, &Taker::slot);
    if (taker != takers.end()) taker->load += way.order.count;
  }
  std::vector<MoveOrder> orders;
  if (takers.empty()) return orders;
  std::ranges::make_heap(takers, fuller);
  for (auto slot = staying_; slot < loads.size(); ++slot) {
    if (!loads[slot].able || busy[slot]) continue;
    share_out(takers, budget_.take(loads[slot].sessions));
    for (Taker& taker : takers)
      if (const std::uint32_t count = std::exchange(taker.takes, 0); count > 0)
        orders.push_back({.from = slot, .to = taker.slot, .count = count});
  }
  for (const MoveOrder& made : orders) under_way_.push_back({.order = made, .since = now});
  return orders;
}

}  // namespace weir::process
