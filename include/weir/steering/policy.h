// How connections are spread (Policy) and by what (Backend), with the names that flags use.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "weir/steering/abi.h"

namespace weir::steering {

/// Which slot a new connection goes to. The numbers are the load table's.
enum class Policy : std::uint32_t {
  least_connections = WEIR_LEAST_CONNECTIONS,        ///< least (open + queued + handshake) / weight
  two_choices = WEIR_TWO_CHOICES,                    ///< the emptier of two random slots
  round_robin = WEIR_ROUND_ROBIN,                    ///< the next slot; weights are ignored
  weighted_round_robin = WEIR_WEIGHTED_ROUND_ROBIN,  ///< the next of a smooth weighted sequence
  source_hash = WEIR_SOURCE_HASH,                    ///< by client address (Maglev)
  tuple_hash = WEIR_TUPLE_HASH,                      ///< by client address and port (Maglev)
  cpu_local = WEIR_CPU_LOCAL,    ///< the worker on the SYN's CPU, up to 1.25 x the mean
  least_load = WEIR_LEAST_LOAD,  ///< least blend of connections, busy share and backlog
  predictive = WEIR_PREDICTIVE,  ///< least busy share as a fitted model forecasts it
  uri_hash = WEIR_URI_HASH,      ///< by what the upgrade request asks for (Maglev): key_owner.h
};

/// Whether the policy compares load_score.h's scores, which somebody has to publish.
[[nodiscard]] constexpr bool is_scored(Policy policy) noexcept {
  return policy == Policy::least_load || policy == Policy::predictive;
}

/// Whether a client's slot follows from its address.
[[nodiscard]] constexpr bool is_hashed(Policy policy) noexcept {
  return policy == Policy::source_hash || policy == Policy::tuple_hash;
}

/// "least-connections" and so on, as `--steer` takes it.
[[nodiscard]] std::string_view to_string(Policy policy) noexcept;
[[nodiscard]] std::optional<Policy> parse_policy(std::string_view name) noexcept;
/// Every name, in the order of the enum.
[[nodiscard]] std::span<const std::string_view> policy_names() noexcept;

/// What the user asked for. `automatic` ("auto") takes the best that the host allows.
enum class BackendChoice : std::uint8_t { automatic, ebpf, cbpf, none };
/// What is in use: our program in the kernel, a classic one that is replaced as the load changes
/// (src/steering/cbpf_steerer.h), or the kernel's own hash.
enum class Backend : std::uint8_t { ebpf, cbpf, none };

[[nodiscard]] std::string_view to_string(BackendChoice choice) noexcept;
[[nodiscard]] std::string_view to_string(Backend backend) noexcept;
[[nodiscard]] std::optional<BackendChoice> parse_backend(std::string_view name) noexcept;

}  // namespace weir::steering
