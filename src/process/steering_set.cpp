// What weirctl sets of the steering, and the master's part in it.
#include "weir/process/steering_set.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "weir/base/log.h"
#include "weir/process/master.h"

namespace weir::process {

std::vector<std::uint32_t> SteeringSet::weights_over(std::span<const std::uint32_t> configured,
                                                     std::uint32_t slots) const {
  std::vector<std::uint32_t> out{configured.begin(), configured.end()};
  if (weights.empty()) return out;
  out.resize(slots, 1);
  for (const auto& [slot, weight] : weights)
    if (slot < slots) out[slot] = weight;
  return out;
}

std::string SteeringSet::to_string() const {
  std::vector<std::string> words;
  if (policy) words.push_back(fmt::format("steer {}", steering::to_string(*policy)));
  for (const auto& [slot, weight] : weights)
    words.push_back(fmt::format("weight {} {}", slot, weight));
  return fmt::format("{}", fmt::join(words, ", "));
}

// --- the master -------------------------------------------------------------------------------

/// Not while another master gets ready, which has been told what is set already.
Result<void> Master::may_be_ordered() const {
  if (stopping_) return Error{"weir is stopping", ""};
  if (succeeded_) return Error{"a new master has taken over", "ask that one"};
  if (upgrade_ || !in_charge_) return Error{"an upgrade is under way", "try again when it is over"};
  return {};
}

Result<steering::Policy> Master::steer(steering::Policy policy) {
  if (auto may = may_be_ordered(); !may) return may.error();
  if (auto can = steering_.can(policy); !can) return can.error();
  const steering::Policy before = steering_.table().policy();
  options_.terms.set.policy = policy;
  steering_.table().set_policy(policy);
  steer_anew();
  spdlog::info("steering by {} (was {}), set by weirctl", steering::to_string(policy),
               steering::to_string(before));
  if (ready_once_) renew_keeper();
  return before;
}

Result<std::uint32_t> Master::set_weight(std::uint32_t slot, std::uint32_t weight) {
  if (auto may = may_be_ordered(); !may) return may.error();
  if (auto known = check_slot(slot); !known) return known.error();
  if (weight < 1 || weight > WEIR_WEIGHT_MAX)
    return Error{fmt::format("a weight of {}", weight),
                 fmt::format("choose between 1 and {}", WEIR_WEIGHT_MAX)};
  if (goes(slot))
    return Error{fmt::format("the worker of slot {} is ending", slot),
                 fmt::format("slots 0 to {} stay", resizing_.staying - 1)};
  const std::uint32_t before = steering_.table().snapshot(slot).weight;
  options_.terms.set.weights[slot] = weight;
  publish_weights();
  spdlog::info("slot {}: weight {} (was {}), set by weirctl", slot, weight, before);
  if (ready_once_) renew_keeper();
  return before;
}

SteeringSet Master::end_steering_set() {
  SteeringSet ended = std::exchange(options_.terms.set, {});
  if (!ended.any()) return ended;
  steering_.table().set_policy(options_.steering.table.policy);
  publish_weights();
  return ended;
}

steering::Policy Master::policy_in_force() const {
  return options_.terms.set.policy.value_or(options_.steering.table.policy);
}

std::vector<std::uint32_t> Master::weights_in_force(std::uint32_t slots) const {
  return options_.terms.set.weights_over(options_.steering.table.weights, slots);
}

void Master::publish_weights() {
  steering_.table().set_weights(weights_in_force(options_.workers));
  if (resizing_.handing_over) steering_.table().look_up_first(resizing_.staying);
  steer_anew();
}

/// Has an inherited table heed what this master was started with, and what was set since the one
/// before it was.
void Master::apply_steering() {
  steering::TableOptions in_force = options_.steering.table;
  in_force.policy = policy_in_force();
  in_force.weights = weights_in_force(options_.workers);
  steering_.apply(in_force);
  if (options_.terms.set.any())
    spdlog::info("the steering stays as weirctl has set it: {}", options_.terms.set.to_string());
}

}  // namespace weir::process
