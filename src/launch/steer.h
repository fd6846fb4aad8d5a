// The control commands steer and weight: policy and weights set while weir runs, until a reload has
// the configuration hold again.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>

#include "weir/admin/control_server.h"
#include "weir/base/result.h"
#include "weir/process/master.h"
#include "weir/steering/policy.h"

namespace weir::launch {

/// {"command":"steer","policy":"round-robin"}, answered with
/// {"policy":"round-robin","was":"least-connections"} and, where the policy cannot do what it is
/// for, "note" with why. `master` is borrowed by both, and must outlive them.
[[nodiscard]] admin::Command steer_command(process::Master& master);
/// {"command":"weight","slot":0,"weight":3}, answered with {"slot":0,"weight":3,"was":1}, and
/// "note" likewise.
[[nodiscard]] admin::Command weight_command(process::Master& master);

/// What a request asks for; fails with what is wrong with it and what is accepted.
[[nodiscard]] Result<steering::Policy> policy_in(const boost::json::object& request);
struct SlotWeight {
  std::uint32_t slot = 0;
  std::uint32_t weight = 0;  // not looked at: whether it is one is the master's to say
};
[[nodiscard]] Result<SlotWeight> slot_weight_in(const boost::json::object& request);

/// How things stand, for the notes.
struct Standing {
  steering::Policy policy{};
  steering::Backend backend{};
  bool pinned = false;    // some worker is bound to a CPU
  bool weighted = false;  // not all weights are the same
};
/// Why the policy, or these weights, do not do what they are for; empty: they do.
[[nodiscard]] std::string note_on(const Standing& standing);

}  // namespace weir::launch
