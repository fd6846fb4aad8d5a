// CbpfShares: which share of the new connections each slot is to have, under least-connections with
// the backend cbpf. Decides only: readings in, shares out.
//
// The program that picks by these shares sees no load. Until it is replaced, it goes on with them,
// whatever comes: so what a slot lacks must not turn into a herd on it. The rule is
//
//   share = base x (1 + lacks / (base x horizon)),  within kLeast and kMost times the base
//
// base is the slot's part of all weights: what it gets when it lacks nothing, and so what it gets
// of a burst that nobody foresaw. lacks is what it is below its part of all connections, or above
// it. horizon is the number of arrivals over which that is to be made up for:
// - at least twice the arrivals of an interval. Of less than one, the slots that lack would be past
//   the others when they are looked at again; what is in its handshake cannot be seen and comes an
//   interval or two late, with which a step of half the way is stable.
// - at least an eighth of all connections: a burst as large as that puts things right and no more.
//   It follows the load eight times as fast as the connections' own coming and going would.
// - at least 16 a slot, or the first connections of an idle host would turn all that follow away.
//
// A new program costs more than its making (bench/README.md): it is asked for where a slot's share
// has moved by kWorthIt of its base since the last one, which is what 3% more or fewer connections
// do, or where other slots are in service.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "weir/base/clock.h"

namespace weir::steering {

/// One slot as it is now.
struct ShareReading {
  bool in_service = false;
  std::uint32_t weight = 1;
  std::uint64_t load = 0;     // connections open, and waiting in its accept queues
  std::uint64_t arrived = 0;  // connections that came to it, ever
};

class CbpfShares {
 public:
  static constexpr double kLeast = 1.0 / 8;
  static constexpr double kMost = 8;
  static constexpr double kWorthIt = 1.0 / 4;
  static constexpr double kFollow = 1.0 / 8;      // of all connections, in the horizon
  static constexpr double kArrivalsPerSlot = 16;  // likewise

  /// What each slot is to have from `now` on, in sum 1; 0 for those out of service, or all of them
  /// alike if none is in service. Takes the arrivals since the last call as those to come.
  [[nodiscard]] std::vector<double> look(Instant now, std::span<const ShareReading> slots);

  /// Whether shares are worth a new program: `now_in_use` are what the last one has. By their
  /// bases.
  [[nodiscard]] static bool worth_it(std::span<const double> now_in_use,
                                     std::span<const double> wanted,
                                     std::span<const ShareReading> slots);

 private:
  void count_arrivals(Instant now, std::span<const ShareReading> slots);

  std::optional<Instant> counted_at_;
  std::uint64_t arrived_ = 0;
  double per_interval_ = 0;  // arrivals, as foreseen
};

}  // namespace weir::steering
