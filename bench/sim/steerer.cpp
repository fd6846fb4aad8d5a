#include "steerer.h"

#include <algorithm>
#include <array>

#include "baselines.h"
#include "table_steerer.h"

namespace weir::sim {
namespace {

/// round-robin is weir's own: there is one way of taking turns.
constexpr std::array<std::string_view, 4> kBaselines{"kernel-hash", "epoll-exclusive",
                                                     "round-robin", "hermes"};

}  // namespace

std::span<const std::string_view> steerer_names() {
  static const std::vector<std::string_view> names = [] {
    const auto policies = steering::policy_names();
    std::vector<std::string_view> out{policies.begin(), policies.end()};
    // Steers as least-connections; what the workers then make of it no session here asks for.
    std::erase(out, to_string(steering::Policy::uri_hash));
    for (const std::string_view name : kBaselines)
      if (std::ranges::find(out, name) == out.end()) out.push_back(name);
    return out;
  }();
  return names;
}

bool is_baseline(std::string_view name) noexcept {
  return std::ranges::find(kBaselines, name) != kBaselines.end();
}

std::unique_ptr<Steerer> make_steerer(std::string_view name, const SteererOptions& options) {
  if (name == "kernel-hash") return std::make_unique<KernelHash>(options.workers);
  if (name == "epoll-exclusive") return std::make_unique<EpollExclusive>();
  if (name == "hermes") return std::make_unique<Hermes>(options.workers, options.hang_threshold);
  const auto policy = steering::parse_policy(name);
  if (!policy) return nullptr;
  return std::make_unique<TableSteerer>(*policy, options);
}

}  // namespace weir::sim
