// The master's part in moving sessions: it reads the loads, asks the Rebalancer, and posts orders.
// It sees no session; the workers hand them to each other.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <span>

#include "master_worker.h"
#include "weir/base/log.h"
#include "weir/process/master.h"

namespace weir::process {
namespace {

using steering::Policy;

/// Whether the policy levels connections, so that a worker has a share of them to hold. The hashes
/// put a client where its address says, or its request; cpu-local, least-load and predictive have
/// reasons of their own to give a worker more or fewer. To move sessions would undo that.
constexpr bool aims_at_balance(Policy policy) noexcept {
  switch (policy) {
    case Policy::least_connections:
    case Policy::two_choices:
    case Policy::round_robin:
    case Policy::weighted_round_robin: return true;
    case Policy::source_hash:
    case Policy::tuple_hash:
    case Policy::cpu_local:
    case Policy::least_load:
    case Policy::predictive:
    case Policy::uri_hash: return false;
  }
  return false;
}

bool hangs(const steering::SlotSnapshot& seen, Duration threshold, Instant now) noexcept {
  return seen.hung || weir_overslept(to_ns(now), seen.row.awake_at_ns,
                                     static_cast<std::uint64_t>(threshold.count()));
}

}  // namespace

SlotLoad Master::load_of(std::uint32_t slot, Instant now) const {
  const steering::LoadTable& table = steering_.table();
  const bool weighted = table.policy() != Policy::round_robin;  // which ignores weights
  const steering::SlotSnapshot seen = table.snapshot(slot);
  const Worker& worker = *workers_[slot];
  const bool serves = worker.state == WorkerState::serving;
  const bool works = serves || worker.state == WorkerState::retiring;
  // One that has not been told of all slots yet would not know where to.
  const bool able =
      works && worker.news.empty() && !hangs(seen, options_.steering.table.hang_threshold, now);
  return {.counts = serves,
          .able = able,
          .load = seen.load,
          .sessions = seen.row.open,
          .left = seen.row.left,
          .weight = weighted ? seen.weight : 1};
}

/// Of all slots, those that go taking no part.
std::vector<SlotLoad> Master::loads(Instant now) const {
  std::vector<SlotLoad> out(options_.workers);
  for (std::uint32_t slot = 0; slot < options_.workers; ++slot) {
    out[slot] = load_of(slot, now);
    out[slot].able = out[slot].able && out[slot].counts;
  }
  return out;
}

void Master::look_at_balance(Instant now) {
  const std::vector<SlotLoad> seen = loads(now);
  const bool balanced = aims_at_balance(steering_.table().policy());
  const Rebalance found = rebalancer_.look(seen, balanced, now);
  if (found.turn == Rebalance::Turn::began)
    spdlog::info("rebalancing: the fullest worker has {:.2f} times its share", found.imbalance);
  for (const MoveOrder& order : found.orders)
    if (const auto given = give(order); !given) spdlog::warn("{}", to_string(given.error()));
  if (found.turn == Rebalance::Turn::level)
    spdlog::info("rebalanced: {} sessions moved, the fullest worker has {:.2f} times its share",
                 found.moved, found.imbalance);
  if (found.turn == Rebalance::Turn::stuck)
    spdlog::info(
        "rebalancing ends: {} sessions moved, the others cannot (TLS, or no worker to take them); "
        "the fullest worker has {:.2f} times its share",
        found.moved, found.imbalance);
}

Result<std::uint64_t> Master::rebalance() {
  if (succeeded_) return Error{"a new master has taken over", "ask that one"};
  const Policy policy = steering_.table().policy();
  if (!aims_at_balance(policy))
    return Error{
        fmt::format("under --steer {} {}, and moving its sessions would undo that",
                    to_string(policy),
                    policy == Policy::uri_hash    ? "a session's worker follows from its request"
                    : steering::is_hashed(policy) ? "a client's worker follows from its address"
                                                  : "a worker may well have more than its share"),
        "rebalancing is for least-connections, two-choices, round-robin and weighted-round-robin"};
  const std::vector<SlotLoad> seen = loads(monotonic_now());
  if (std::ranges::count(seen, true, &SlotLoad::able) < 2)
    return Error{"fewer than two workers serve and do not hang", "there is nobody to share with"};
  return rebalancer_.level(seen);
}

Result<void> Master::move(std::uint32_t from, std::uint32_t to, std::uint32_t count) {
  if (succeeded_) return Error{"a new master has taken over", "ask that one"};
  for (const std::uint32_t slot : {from, to}) {
    if (auto known = check_slot(slot); !known) return known;
    if (view(slot).state == WorkerState::serving) continue;
    return Error{fmt::format("the worker of slot {} is {}", slot, to_string(view(slot).state)),
                 "sessions move between workers that serve"};
  }
  if (from == to)
    return Error{fmt::format("slot {} is to give sessions to itself", from), "name two slots"};
  spdlog::info("slot {} gives up to {} sessions to slot {}", from, count, to);
  return give({.from = from, .to = to, .count = count});
}

Result<void> Master::give(const MoveOrder& order) {
  const GiveOrder letter{.target = order.to, .count = order.count};
  const Posted posted = post(inboxes_.writer(order.from), LetterKind::give, order.from,
                             std::as_bytes(std::span{&letter, 1}));
  if (posted == Posted::posted) return {};
  return os_error(fmt::format("telling slot {} to give sessions", order.from), errno);
}

}  // namespace weir::process
