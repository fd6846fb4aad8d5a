// LoadScore: what each slot's load weighs beyond its connections, for the policies least-load and
// predictive. Reads every slot once a tick, and says by how many connections' worth more its load
// weighs than what is counted: the biases that the steering program adds to the keys (abi.h). Pure
// arithmetic on readings and times passed in; the master publishes what it returns.
//
// Everything is in connections, because that is what the key counts. A slot whose busy share is
// 1.2 times the mean has the weight of 1.2 times the mean number of connections; what it has fewer
// of them is its bias. Hence:
// - Each SYN and each end, counted in the key at once, moves the sum by one connection of average
//   cost, and the next tick needs only mend the difference.
// - What is measured over the past (busy share, rates) is that of the connections which were there
//   then. To it is added how many came or went since, or a slot that just got a thousand silent
//   sessions would look idle until the average had caught up, and get the next thousand too. And of
//   those that came it says nothing: or where a burst goes would hang on what its first 0.1 s
//   looked like.
//
// The two policies differ in how the weight comes about:
//   least-load   a fixed blend of connections and busy share.
//   predictive   a model, fitted all the time, of the busy share over the next horizon from
//                connections, busy share, message rate and byte rate. All slots share the
//                coefficients, so that they are learnt from many times the samples; what is
//                particular to a slot, as cores of another speed or costly sessions are, is in its
//                own busy share and rates. Its prior is the blend of least-load. A sample weighs
//                what an error costs, the square of the mean busy share: where next to nothing is
//                done, as while a service fills, one request makes a worker many times as busy as
//                the mean, and the model would be that noise's for a minute.
//
// A busy share ends at 1, what is asked of a worker does not: to its busy share is added its
// backlog, over the time that is averaged. The backlog is what waits when a turn of its loop
// begins, and what that weighs is how long the turn takes: the mean of the last tick's turns. (The
// number of completions alone does not say: one may be a whole request, or a sixteenth of a
// message.)
//
// A worker wakes many times a tick, or at least once when it has nothing to do
// (weir/server/worker.h). One that did not, as when it is stopped in its sleep, says nothing: for
// idle it must not be taken, or the next connections would all go there until it is found hung. The
// time counts once it wakes.
//
// With too little evidence both are least-connections: while the mean busy share is below
// kBusyFloor, there is nothing to balance; predictive also while its forecasts were no better than
// connections alone would have been. Near the end of the room that slots have for connections the
// biases fade, so that the count decides: a worker that has no descriptor left must not be the one
// that is chosen.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "weir/base/clock.h"
#include "weir/steering/forecaster.h"
#include "weir/steering/load_table.h"
#include "weir/steering/policy.h"

namespace weir::steering {

/// One slot at a tick. What is counted "ever" may start over; that tick is left out.
struct LoadReading {
  bool serving = false;        // in service; hung or not, for who is overloaded looks hung at times
  std::uint32_t weight = 1;    // 1..WEIR_WEIGHT_MAX
  std::uint64_t load = 0;      // connections counted now
  std::uint64_t busy_ns = 0;   // ever, as of the last turn that has ended
  std::uint64_t turn_ns = 0;   // since the turn under way began; 0: none is
  std::uint64_t turns = 0;     // of the worker's loop, ever
  std::uint64_t messages = 0;  // received, ever
  std::uint64_t bytes = 0;     // received and sent, ever
};

[[nodiscard]] LoadReading reading_of(const SlotSnapshot& slot, Instant now) noexcept;

/// The parameters that simulation chose: bench/README.md.
struct ScoreOptions {
  Duration horizon = std::chrono::seconds{1};  // predictive forecasts the mean over it
  Duration average = std::chrono::seconds{2};  // time constant of what is measured
  Duration memory = std::chrono::minutes{1};   // time constant of what the model forgets
  double prior = 10;                           // samples of busy workers that outweigh the prior
  double busy_part = 0.7;                      // of least-load's blend; the rest is connections
  std::uint64_t room = 0;                      // connections that a slot can have; 0: any number
};

/// How good the forecasts were lately, as root mean square of the error in busy share (0..1).
struct ForecastError {
  double of_model = 0;
  double of_connections = 0;  // had busy share been taken to follow connections
};

class LoadScore {
 public:
  static constexpr double kBusyFloor = 0.02;

  explicit LoadScore(const ScoreOptions& options) noexcept;

  /// Takes the readings of a tick, by slot (100 ms after the last by custom; as many slots as there
  /// are now), and returns the biases: in connections of weight 1, by slot, the least of those that
  /// serve 0. Lent until the next call. `policy` is one of those that is_scored() names; the model
  /// learns under predictive alone.
  [[nodiscard]] std::span<const double> observe(Instant now, std::span<const LoadReading> readings,
                                                Policy policy);

  /// Forgets all but the options.
  void reset() noexcept;
  /// Another ScoreOptions::room from here on.
  void set_room(std::uint64_t room) noexcept { options_.room = room; }

  /// Nothing until forecasts have come due.
  [[nodiscard]] std::optional<ForecastError> forecast_error() const noexcept;
  [[nodiscard]] const Forecaster& model() const noexcept { return model_; }

 private:
  enum Measure : std::size_t { kLoad, kBusy, kMessages, kBytes, kMeasures };
  static_assert(static_cast<std::size_t>(kMeasures) == Forecaster::kInputs);
  using Measures = std::array<double, kMeasures>;

  struct Slot {
    LoadReading last;
    bool known = false;     // served at the last tick and at the one before: the rest is valid
    unsigned life = 0;      // how often the rest began anew
    double owed_s = 0;      // busy time of a turn longer than a tick, still to be spread
    double busy_s = 0;      // busy time, ever, without what is owed
    double load_s = 0;      // connections x seconds, ever
    double backlog_s = 0;   // what waits when a turn begins, as the time it takes
    double unheard_s = 0;   // of the ticks since it was last found to have woken
    Measures sums{};        // exponentially weighted: connections, busy share, messages/s, bytes/s
    double weight_sum = 0;  // of what `sums` has taken in, 0..1
    Measures inputs{};      // of the model: `sums` in relation to the other slots'
  };
  /// What was forecast of a slot, until it can be compared with what came.
  struct Forecast {
    bool known = false;
    unsigned life = 0;
    Measures inputs{};
    double busy = 0;  // relative to the mean
    double load = 0;  // connections then
    double busy_s = 0;
    double load_s = 0;
    double backlog_s = 0;
  };
  struct Round {
    Instant at;
    double mean_load = 0;  // per weight
    std::vector<Forecast> slots;
  };

  void measure(Slot& slot, const LoadReading& reading, double seconds) const;
  void relate(std::span<const LoadReading> readings);
  void learn(Instant now);
  void compare(const Round& round, double seconds);
  void remember(Instant now, std::span<const LoadReading> readings);
  [[nodiscard]] double measure_of(const Slot& slot, std::size_t k) const noexcept;
  [[nodiscard]] double relative_weight(const Slot& slot, Policy policy) const noexcept;
  [[nodiscard]] double trust(std::span<const LoadReading> readings, Policy policy) const noexcept;

  ScoreOptions options_;
  Forecaster model_;
  std::vector<Slot> slots_;
  std::vector<double> biases_;
  std::deque<Round> rounds_;  // forecasts that have not come due; the oldest first
  std::optional<Instant> last_;
  double mean_load_ = 0;      // connections now, per weight, over the slots that serve
  double mean_busy_ = 0;      // busy share, averaged; over the slots
  double model_squares_ = 0;  // sums of squared errors, forgotten sooner than what was learnt
  double connections_squares_ = 0;
  double compared_ = 0;  // how many are in those
};

}  // namespace weir::steering
