#include "steer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string_view>

#include "weir/base/json_number.h"

namespace weir::launch {
namespace {

using boost::json::object;
using steering::Policy;

Standing standing_of(const process::Master& master) {
  const steering::LoadTable& table = master.steering().table();
  Standing standing{.policy = table.policy(), .backend = master.steering().backend()};
  for (std::uint32_t slot = 0; slot < master.workers(); ++slot) {
    standing.pinned |= master.view(slot).cpu.has_value();
    standing.weighted |= table.snapshot(slot).weight != table.snapshot(0).weight;
  }
  return standing;
}

void add_note(object& answer, const process::Master& master) {
  if (const std::string note = note_on(standing_of(master)); !note.empty()) answer["note"] = note;
}

Result<object> steer(process::Master& master, const object& request) {
  const auto policy = policy_in(request);
  if (!policy) return policy.error();
  const auto was = master.steer(*policy);
  if (!was) return was.error();
  object answer;
  answer["policy"] = steering::to_string(*policy);
  answer["was"] = steering::to_string(*was);
  add_note(answer, master);
  return answer;
}

Result<object> weight(process::Master& master, const object& request) {
  const auto asked = slot_weight_in(request);
  if (!asked) return asked.error();
  const auto was = master.set_weight(asked->slot, asked->weight);
  if (!was) return was.error();
  object answer;
  answer["slot"] = asked->slot;
  answer["weight"] = asked->weight;
  answer["was"] = *was;
  add_note(answer, master);
  return answer;
}

}  // namespace

admin::Command steer_command(process::Master& master) {
  return {.help = "steer new connections by another policy, until a reload",
          .run = [&master](const object& request) { return steer(master, request); }};
}

admin::Command weight_command(process::Master& master) {
  return {.help = "give one worker another weight, until a reload",
          .run = [&master](const object& request) { return weight(master, request); }};
}

Result<Policy> policy_in(const object& request) {
  const boost::json::value* given = request.if_contains("policy");
  const bool named = given != nullptr && given->is_string();
  if (named)
    if (const auto policy = steering::parse_policy(given->get_string())) return *policy;
  const auto names = steering::policy_names();
  return Error{
      fmt::format("{}: expected {} or {}",
                  named ? fmt::format("'{}' is no policy", std::string_view{given->get_string()})
                        : "the policy is missing",
                  fmt::join(names.first(names.size() - 1), ", "), names.back()),
      ""};
}

Result<SlotWeight> slot_weight_in(const object& request) {
  const auto slot = number_in<std::uint32_t>(request, "slot");
  const auto weight = number_in<std::uint32_t>(request, "weight");
  if (slot && weight) return SlotWeight{.slot = *slot, .weight = *weight};
  return Error{fmt::format("expected the number of a slot and a weight from 1 to {}, such as "
                           R"({{"command":"weight","slot":0,"weight":2}})",
                           WEIR_WEIGHT_MAX),
               ""};
}

std::string note_on(const Standing& standing) {
  // uri-hash is the workers' own doing.
  if (standing.backend == steering::Backend::none && standing.policy != Policy::uri_hash)
    return "the steering backend is none: the kernel's own hash picks, whatever policy and weights";
  if (standing.policy == Policy::round_robin && standing.weighted)
    return "round-robin does not heed weights";
  if (standing.backend == steering::Backend::cbpf && is_hashed(standing.policy) &&
      standing.weighted)
    return "the hashes of the backend cbpf do not heed weights";
  if (standing.policy == Policy::cpu_local && !standing.pinned)
    return "no worker is bound to a CPU: cpu-local is the same as least-connections";
  return {};
}

}  // namespace weir::launch
