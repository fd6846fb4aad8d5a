// Workload: who connects when, for how long, and what that costs. Either drawn from distributions
// (Synthetic) or read from a trace (trace.h). The same for every policy: no draw depends on what a
// policy did.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agenda.h"
#include "distribution.h"
#include "random.h"

namespace weir::sim {

/// One client's session, known when it connects only to us.
struct Session {
  Nanoseconds arrives = 0;
  std::uint64_t client = 0;  // its address, for the hashes
  std::uint32_t hash = 0;    // of its connection, as the kernel would have it
  Nanoseconds lifetime = 0;
  double message_gap_ns = 0;  // mean between messages, which are a Poisson process; 0: none
  Distribution cost;          // of a message, seconds
  std::uint32_t bytes = 0;    // of a message
  Random random{0};           // for its messages
};

class Workload {
 public:
  virtual ~Workload() = default;
  /// The next session, in the order of arrival; nothing at the end.
  [[nodiscard]] virtual std::optional<Session> next() = 0;
};

/// When sessions arrive.
struct Arrivals {
  enum class Kind : std::uint8_t { poisson, bursts, on_off };
  Kind kind = Kind::poisson;
  double rate = 100;         // sessions/s; on_off: while on
  double first_burst_s = 1;  // bursts: on top of the rate
  double burst_every_s = 10;
  std::uint32_t burst = 0;
  double on_s = 1;  // on_off: means of exponential times
  double off_s = 1;
};

/// A kind of session. Which one a client takes is drawn by `share`.
struct Path {
  std::string name = "all";
  double share = 1;
  Distribution rate{.mean = 1};      // messages/s of a session
  Distribution cost{.mean = 50e-6};  // mean seconds a message, of a session
  Distribution::Kind spread = Distribution::Kind::exponential;  // of its messages about that mean
  double spread_shape = 0;
  double core_max = 1e9;  // no session asks for more than this of a core: its cost is cut
  std::uint32_t bytes = 64;
};

struct WorkloadOptions {
  Arrivals arrivals;
  Distribution lifetime{.kind = Distribution::Kind::exponential, .mean = 10};  // seconds
  std::vector<Path> paths{Path{}};
  double until_s = 60;
  std::uint64_t sessions_max = ~std::uint64_t{0};
};

class Synthetic final : public Workload {
 public:
  Synthetic(const WorkloadOptions& options, std::uint64_t seed);
  [[nodiscard]] std::optional<Session> next() override;

 private:
  void advance();
  [[nodiscard]] const Path& pick_path(Random& random) const;

  WorkloadOptions options_;
  std::uint64_t seed_;
  Random arrivals_;
  double shares_ = 0;
  double now_s_ = 0;
  double phase_ends_s_ = 0;  // on_off
  double next_burst_s_;
  std::uint32_t burst_left_ = 0;
  std::uint64_t made_ = 0;
};

}  // namespace weir::sim
