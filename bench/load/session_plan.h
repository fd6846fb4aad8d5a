// SessionPlan: who connects when, for how long, and what that client asks for. Written before
// anything is measured, so that every policy is given the same sessions.
//
// A file of lines, one a session in the order of arrival, fields apart by spaces:
//   arrives_us lifetime_us gap_us cost_ns seed address target
// gap_us: mean time between messages, a Poisson process; 0: one message as soon as the session is
// open, and the end after its answer. cost_ns: the mean of a message's cost, CPU of the server;
// what each costs is exponential about it. seed: of both. address: the client's, IPv4.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace weir::bench {

struct PlannedSession {
  std::int64_t arrives_ns = 0;  // since the begin
  std::int64_t lifetime_ns = 0;
  double gap_ns = 0;
  double cost_ns = 0;
  std::uint64_t seed = 0;
  std::uint32_t address = 0;  // network byte order
  std::string target;
};

/// Those of the plan whose line number leaves `part` when divided by `parts`. Throws Wrong, and
/// says which line is not as above.
[[nodiscard]] std::vector<PlannedSession> read_plan(const std::string& path, std::uint64_t part,
                                                    std::uint64_t parts);

}  // namespace weir::bench
