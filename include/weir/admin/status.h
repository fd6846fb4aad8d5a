// Status: one snapshot of the running service, as the control socket sends it and weirctl shows
// it. Plain values: the master fills it from what it can read, nobody is asked or stopped.
#pragma once

#include <sys/types.h>

#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "weir/base/result.h"

namespace weir::admin {

struct WorkerStatus {
  unsigned slot = 0;
  pid_t pid = 0;                  // 0: no process has the slot now
  std::optional<int> cpu = {};    // nothing: not pinned
  std::string state = {};         // "serving", or what else the master calls it
  std::uint32_t weight = 1;       // its share of the connections, by the policies that heed it
  std::uint64_t connections = 0;  // open now
  std::uint64_t queued = 0;       // in the accept queue now
  std::uint64_t load = 0;         // what steering counts: open, queued, in handshake, on their way
  std::uint64_t assigned = 0;     // steered here since the service began
  std::uint64_t accepted = 0;     // since the worker began, as all that follow
  std::uint64_t messages_in = 0;
  std::uint64_t messages_out = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t arrived = 0;  // sessions that came from other workers
  std::uint64_t left = 0;     // and those that went there
  double busy = 0;            // share of the last second spent working, 0..1
};

/// One of the service's counters: since it began, all workers together.
struct Counter {
  std::string name;
  std::uint64_t value = 0;
};
using Counters = std::vector<Counter>;

struct Status {
  pid_t master_pid = 0;
  std::string version = {};
  std::string policy = {};   // in force: "kernel-hash" where none of weir's is
  std::string hash_on = {};  // what uri-hash goes by; empty under another policy
  std::string backend = {};
  std::vector<std::string> listen = {};
  std::uint64_t connections = 0;  // open now, all workers together
  double imbalance = 1;           // see imbalance()
  /// Root mean square of what was forecast of a worker's busy share less what came, lately, and the
  /// same had busy share been taken to follow connections. Nothing unless the policy is predictive
  /// and forecasts have come due.
  std::optional<double> forecast_error = {};
  std::optional<double> forecast_error_of_connections = {};
  Counters counters = {};                  // in the order in which they are shown
  std::vector<WorkerStatus> workers = {};  // by slot
};

/// Largest over mean of the open connections of slots whose state is "serving"; 1 is even, and
/// also the answer where there is no such slot or no connection.
[[nodiscard]] double imbalance(std::span<const WorkerStatus> workers) noexcept;

/// {"master_pid","version","policy","hash_on","backend","listen","connections","imbalance",
/// "forecast_error","forecast_error_of_connections","counters","workers"}, the counters an object
/// of name and number, each worker an object with the names of WorkerStatus; null where nothing.
[[nodiscard]] boost::json::value to_json(const Status& status);

/// The reverse. Keys it does not know are skipped, so that a newer master can be asked; one that
/// is missing or of another type fails, naming it.
[[nodiscard]] Result<Status> from_json(const boost::json::value& json);

}  // namespace weir::admin
