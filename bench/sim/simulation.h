// Simulation: workers, sessions and time. Event by event, the same for a seed on every machine.
//
// A worker is weir's loop: it wakes, takes all that waits as one batch, works it off in order, and
// tells what it did at the end of the turn. What comes meanwhile waits for the next turn. A
// connection costs `accept_cost` when it is accepted, a message its own cost, an end `close_cost`;
// each turn costs `turn_cost` besides. The delay that is measured is the time from a message's (or
// connection's) arrival until its worker begins with it.
//
// Not in it: the network, the time between SYN and accept queue, two workers on one core, the
// accepting of a hung worker's queue by its neighbours, and the moving of open sessions. Those who
// lost their session to a crash do not come back.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "agenda.h"
#include "histogram.h"
#include "steerer.h"
#include "workload.h"

namespace weir::sim {

struct SimulationOptions {
  std::uint32_t workers = 32;
  double warm_up_s = 10;  // not measured
  double until_s = 60;    // or when the last session is over, if that is before
  double accept_cost_s = 30e-6;
  double close_cost_s = 10e-6;
  double turn_cost_s = 2e-6;
  double sample_s = 1;
  double tick_s = 0.1;        // of the master, which reads the load and publishes what it weighs
  double report_delay_s = 0;  // from the end of a turn until anybody else knows of it
  double stall_every_s = 0;   // a worker stands still, on average so often; 0: never
  Distribution stall{.mean = 0.2};
  double crash_every_s = 0;  // a worker dies, on average so often; 0: never
  double restart_s = 0.1;
};

/// Over the workers at one moment, or over the time between two: which is said where it is used.
struct Spread {
  double mean = 0;
  double deviation = 0;  // standard deviation over the workers
  double largest = 0;    // over the mean; 1 where the mean is 0
};

struct Sample {
  double at_s = 0;
  Spread connections;  // at that moment; those waiting to be accepted counted
  Spread busy;         // share of the time since the last sample
};

struct Outcome {
  std::vector<Sample> samples;
  Histogram messages;     // their delays, ns
  Histogram connections;  // from the SYN until they are accepted, ns
  std::uint64_t sessions = 0;
  std::uint64_t lost = 0;  // sessions, by crashes
  std::uint64_t events = 0;
  std::uint64_t open_at_end = 0;
  std::vector<std::uint64_t> assigned;  // sessions, by worker, ever
  std::optional<steering::ForecastError> forecast_error;
};

class Simulation {
 public:
  /// All are borrowed for as long as this lives.
  Simulation(const SimulationOptions& options, Workload& workload, Steerer& steerer,
             std::uint64_t seed);

  /// Runs to the end; call once.
  [[nodiscard]] Outcome run();

 private:
  enum class Work : std::uint32_t { accept, message, close, stall };
  struct Item {
    Nanoseconds arrived;
    Nanoseconds cost;
    std::uint32_t place;  // the session's, if it is of one
    std::uint32_t bytes;
    Work work;
  };
  // free --connects--> open --its last event--> closing --its worker has seen it--> free
  //                     \--its worker dies--> dead --its last event--> free
  enum class State : std::uint8_t { free, open, closing, dead };
  /// A session's place, small because there may be ten million. While it is open or dead exactly
  /// one event of the agenda is about it.
  struct Place {
    Random random{0};
    Nanoseconds arrived = 0;
    Nanoseconds ends = 0;
    float message_gap_ns = 0;
    float cost_mean_s = 0;
    float cost_shape = 0;
    std::uint32_t bytes = 0;
    std::uint32_t worker = 0;
    Distribution::Kind cost_kind{};
    State state = State::free;
    bool accepted = false;
    bool shared = false;  // waits in the shared queue
  };
  struct Worker {
    std::vector<Item> waiting;
    std::vector<Item> batch;  // of this turn
    Nanoseconds began = 0;
    Nanoseconds ends = 0;
    Nanoseconds busy = 0;  // of the turns that ended
    Nanoseconds busy_sampled = 0;
    std::uint64_t connections = 0;
    std::uint64_t naps = 0;
    bool awake = false;
    bool down = false;
  };
  struct Nap {
    std::uint32_t worker;
    std::uint64_t number;  // of the worker's naps: an older one is over
  };

  void on_event(const Event& event);
  void arrive(const Session& session, Nanoseconds now);
  [[nodiscard]] std::uint32_t place_for(const Session& session);
  void release(std::uint32_t place);
  void on_session(std::uint32_t place, Nanoseconds now);
  void plan_next(std::uint32_t place, Nanoseconds now);
  void assign(std::uint32_t worker, std::uint32_t place, Nanoseconds now);
  void take_shared(std::uint32_t worker, Nanoseconds now);
  void give(std::uint32_t worker, const Item& item, Nanoseconds now);
  void begin_turn(std::uint32_t number, Nanoseconds now);
  void end_turn(std::uint32_t number, Nanoseconds now);
  void finish(const Item& item, TurnReport& report);
  void go_on(std::uint32_t number, Nanoseconds now);
  void sleep(std::uint32_t number);
  [[nodiscard]] std::optional<std::uint32_t> last_asleep();
  void stall(std::uint32_t number, Nanoseconds now);
  void crash(std::uint32_t number, Nanoseconds now);
  void restart(std::uint32_t number, Nanoseconds now);
  void tell(const TurnReport& report);
  void tell_due(Nanoseconds now);
  void sample(Nanoseconds now);
  [[nodiscard]] bool measured(Nanoseconds at) const noexcept { return at >= warm_up_; }

  SimulationOptions options_;
  Workload& workload_;
  Steerer& steerer_;
  Random mishaps_;
  Nanoseconds warm_up_;
  Nanoseconds report_delay_;
  Agenda agenda_;
  std::vector<Worker> workers_;
  std::vector<Place> places_;
  std::vector<std::uint32_t> free_;
  std::deque<TurnReport> untold_;
  std::vector<Nap> naps_;             // a stack, where the queue is shared
  std::deque<std::uint32_t> shared_;  // the places that wait in a shared queue
  std::unordered_map<std::uint32_t, std::vector<Item>> early_;  // what those have sent, by place
  Nanoseconds sampled_at_ = 0;
  Outcome outcome_;
};

}  // namespace weir::sim
