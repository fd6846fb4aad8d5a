// SteeringSet: what weirctl has set of the steering while weir runs, over what the flags say. It
// outlives workers and masters, in the estate, and ends where a reload or a fresh start has the
// configuration hold again.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "weir/steering/policy.h"

namespace weir::process {

struct SteeringSet {
  std::optional<steering::Policy> policy;
  std::map<std::uint32_t, std::uint32_t> weights;  // by slot; 1..WEIR_WEIGHT_MAX

  bool operator==(const SteeringSet&) const = default;
  [[nodiscard]] bool any() const noexcept { return policy || !weights.empty(); }

  /// The weights in force of so many slots, over those of the configuration (empty: all 1). Empty
  /// where nothing says otherwise.
  [[nodiscard]] std::vector<std::uint32_t> weights_over(std::span<const std::uint32_t> configured,
                                                        std::uint32_t slots) const;
  /// Slots from this one on are no more: should there be such again, they are new.
  void forget_from(std::uint32_t slot) { weights.erase(weights.lower_bound(slot), weights.end()); }

  /// As weirctl was told it: "steer round-robin, weight 0 3".
  [[nodiscard]] std::string to_string() const;
};

}  // namespace weir::process
