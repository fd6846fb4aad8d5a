#include "weir/steering/policy.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace weir::steering {
namespace {

constexpr std::array<std::string_view, 10> kPolicyNames{
    "least-connections", "two-choices", "round-robin", "weighted-round-robin", "source-hash",
    "tuple-hash",        "cpu-local",   "least-load",  "predictive",           "uri-hash",
};
constexpr std::array<std::string_view, 4> kChoiceNames{"auto", "ebpf", "cbpf", "none"};
constexpr std::array<std::string_view, 3> kBackendNames{"ebpf", "cbpf", "none"};

static_assert(kPolicyNames.size() == static_cast<std::size_t>(Policy::uri_hash) + 1);
static_assert(kChoiceNames.size() == static_cast<std::size_t>(BackendChoice::none) + 1);

/// The value whose name stands at its own number in `names`.
template <class Enum, std::size_t N>
std::optional<Enum> parse(const std::array<std::string_view, N>& names, std::string_view name) {
  const auto* const found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<Enum>(found - names.begin());
}

}  // namespace

std::string_view to_string(Policy policy) noexcept {
  return kPolicyNames[static_cast<std::size_t>(policy)];
}

std::optional<Policy> parse_policy(std::string_view name) noexcept {
  return parse<Policy>(kPolicyNames, name);
}

std::span<const std::string_view> policy_names() noexcept {
  return kPolicyNames;
}

std::string_view to_string(BackendChoice choice) noexcept {
  return kChoiceNames[static_cast<std::size_t>(choice)];
}

std::string_view to_string(Backend backend) noexcept {
  return kBackendNames[static_cast<std::size_t>(backend)];
}

std::optional<BackendChoice> parse_backend(std::string_view name) noexcept {
  return parse<BackendChoice>(kChoiceNames, name);
}

}  // namespace weir::steering
