// The master's part in a reload: it takes over what can change of its own options, sets what the
// steering program reads, and has every worker told its rules. What the rules say it does not know.

#include <algorithm>
#include <numeric>
#include <utility>

#include "weir/base/log.h"
#include "weir/process/master.h"

namespace weir::process {

std::size_t Master::adopt(const MasterOptions& options, std::vector<std::byte> rules) {
  // First, for a worker that is to give signs of life wakes by its letter.
  rules_ = std::move(rules);
  rules_due_.resize(options_.workers);
  std::iota(rules_due_.begin(), rules_due_.end(), 0U);
  post_rules();
  for (const std::uint32_t slot : rules_due_)
    spdlog::warn("slot {}: its inbox has no room for the new rules; tries again", slot);

  set_steering(options.steering.table);
  hang_watch_.set_limit(options.hang_kill);
  report_.set_stop_patience(options.stop_patience);
  rebalancer_.set_options(options.rebalance);
  options_.hang_kill = options.hang_kill;
  options_.stop_patience = options.stop_patience;
  options_.rebalance = options.rebalance;
  options_.upgrade_timeout = options.upgrade_timeout;
  options_.staffing = options.staffing;
  options_.terms.workers_asked = options.terms.workers_asked;
  return rules_due_.size();
}

void Master::set_steering(const steering::TableOptions& next) {
  steering::TableOptions& now = options_.steering.table;
  steering::LoadTable& table = steering_.table();
  steering::ClientTable& clients = steering_.clients();
  const bool other_weights = now.weights != next.weights;
  now.policy = next.policy;
  now.weights = next.weights;
  table.set_policy(policy_in_force());
  // Only then: whoever comes or goes in this moment may be counted at the old weight.
  if (other_weights) publish_weights();
  steering_.set_max_connections(next.max_connections);
  table.set_hang_threshold(next.hang_threshold);
  table.set_client_limits(next.clients);
  if (now.clients.rate != next.clients.rate || now.clients.burst != next.clients.burst)
    clients.forgive(monotonic_now());
  now.max_connections = next.max_connections;
  now.hang_threshold = next.hang_threshold;
  now.clients = next.clients;
  steer_anew();

  const std::uint64_t accounts = (std::uint64_t{clients.set_mask()} + 1) * WEIR_CLIENT_WAYS;
  if (next.clients.any() && next.max_connections > accounts)
    spdlog::warn(
        "the limits on clients are kept for {} of them at once, as many as there was room made for "
        "at start; more go unlimited and are counted as untracked; a restart makes room",
        accounts);
}

/// To slots without a worker as well: one that is forked and has not begun to read is told, and
/// one that is forked later knows already, and passes the letter over.
void Master::post_rules() {
  std::erase_if(rules_due_, [this](std::uint32_t slot) {
    return slot >= options_.workers ||
           post(inboxes_.writer(slot), LetterKind::rules, slot, rules_) == Posted::posted;
  });
}

}  // namespace weir::process
