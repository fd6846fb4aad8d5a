// Scenario: a workload and a service to put it on, by a name. The figures of bench/README.md are of
// these.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "simulation.h"
#include "workload.h"

namespace weir::sim {

struct Scenario {
  std::string name;
  std::string about;  // one line
  SimulationOptions service;
  WorkloadOptions workload;
};

[[nodiscard]] std::span<const Scenario> scenarios();
/// Null if there is none of that name.
[[nodiscard]] const Scenario* find_scenario(std::string_view name) noexcept;

}  // namespace weir::sim
