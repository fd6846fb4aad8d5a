#include "simulation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

namespace weir::sim {
namespace {

constexpr Nanoseconds kNever = std::numeric_limits<Nanoseconds>::max();

Nanoseconds to_ns(double seconds) noexcept {
  return static_cast<Nanoseconds>(std::max(0.0, seconds) * 1e9);
}

Spread spread_of(std::span<const double> values) noexcept {
  Spread spread;
  double largest = 0;
  for (const double value : values) {
    spread.mean += value / static_cast<double>(values.size());
    largest = std::max(largest, value);
  }
  for (const double value : values)
    spread.deviation += (value - spread.mean) * (value - spread.mean);
  spread.deviation = std::sqrt(spread.deviation / static_cast<double>(values.size()));
  spread.largest = spread.mean > 0 ? largest / spread.mean : 1;
  return spread;
}

}  // namespace

Simulation::Simulation(const SimulationOptions& options, Workload& workload, Steerer& steerer,
                       std::uint64_t seed)
    : options_{options},
      workload_{workload},
      steerer_{steerer},
      mishaps_{seed, ~std::uint64_t{0}},
      warm_up_{to_ns(options.warm_up_s)},
      report_delay_{to_ns(options.report_delay_s)},
      workers_(options.workers) {
  outcome_.assigned.resize(options.workers);
  for (std::uint32_t worker = 0; worker < options.workers; ++worker) {
    sleep(worker);
    for (const auto& [every, kind] : {std::pair{options.stall_every_s, Event::Kind::stall},
                                      std::pair{options.crash_every_s, Event::Kind::crash}})
      if (every > 0)
        agenda_.add({.at = to_ns(mishaps_.exponential(every)), .kind = kind, .subject = worker});
  }
}

Outcome Simulation::run() {
  const Nanoseconds until = to_ns(options_.until_s);
  const Nanoseconds sample_every = std::max<Nanoseconds>(1, to_ns(options_.sample_s));
  auto coming = workload_.next();
  const Nanoseconds tick_every = std::max<Nanoseconds>(1, to_ns(options_.tick_s));
  Nanoseconds next_tick = 0;
  Nanoseconds next_sample = warm_up_;
  // A trace ends when its last session has; what is drawn, at the time given.
  while (coming || free_.size() < places_.size()) {
    const Nanoseconds next_event = agenda_.empty() ? kNever : agenda_.next().at;
    const Nanoseconds next_arrival = coming ? coming->arrives : kNever;
    const Nanoseconds now = std::min({next_event, next_arrival, next_tick, next_sample});
    if (now >= until) break;
    ++outcome_.events;
    tell_due(now);
    if (now == next_tick) {
      steerer_.tick(now);
      next_tick += tick_every;
    } else if (now == next_sample) {
      sample(now);
      next_sample += sample_every;
    } else if (now == next_arrival) {
      arrive(*coming, now);
      coming = workload_.next();
    } else {
      const Event event = agenda_.next();
      agenda_.pop();
      on_event(event);
    }
  }
  for (const Worker& worker : workers_) outcome_.open_at_end += worker.connections;
  outcome_.forecast_error = steerer_.forecast_error();
  return std::move(outcome_);
}

void Simulation::on_event(const Event& event) {
  switch (event.kind) {
    case Event::Kind::session: return on_session(event.subject, event.at);
    case Event::Kind::turn_end: return end_turn(event.subject, event.at);
    case Event::Kind::stall: return stall(event.subject, event.at);
    case Event::Kind::crash: return crash(event.subject, event.at);
    case Event::Kind::restart: return restart(event.subject, event.at);
  }
}

// --- sessions ---------------------------------------------------------------------------------

std::uint32_t Simulation::place_for(const Session& session) {
  std::uint32_t number = static_cast<std::uint32_t>(places_.size());
  if (free_.empty()) {
    places_.emplace_back();
  } else {
    number = free_.back();
    free_.pop_back();
  }
  places_[number] = {.random = session.random,
                     .arrived = session.arrives,
                     .ends = session.arrives + session.lifetime,
                     .message_gap_ns = static_cast<float>(session.message_gap_ns),
                     .cost_mean_s = static_cast<float>(session.cost.mean),
                     .cost_shape = static_cast<float>(session.cost.shape),
                     .bytes = session.bytes,
                     .cost_kind = session.cost.kind,
                     .state = State::open};
  return number;
}

void Simulation::release(std::uint32_t place) {
  places_[place].state = State::free;
  free_.push_back(place);
}

void Simulation::arrive(const Session& session, Nanoseconds now) {
  const std::uint32_t place = place_for(session);
  ++outcome_.sessions;
  plan_next(place, now);
  if (!steerer_.shares_queue()) return assign(steerer_.pick(now, session), place, now);
  if (const auto worker = last_asleep()) return assign(*worker, place, now);
  places_[place].shared = true;
  shared_.push_back(place);
}

void Simulation::assign(std::uint32_t worker, std::uint32_t place, Nanoseconds now) {
  places_[place].worker = worker;
  ++outcome_.assigned[worker];
  ++workers_[worker].connections;
  give(worker,
       {.arrived = places_[place].arrived,
        .cost = to_ns(options_.accept_cost_s),
        .place = place,
        .bytes = 0,
        .work = Work::accept},
       now);
}

void Simulation::take_shared(std::uint32_t worker, Nanoseconds now) {
  const std::uint32_t place = shared_.front();
  shared_.pop_front();
  places_[place].shared = false;
  assign(worker, place, now);
  const auto sent = early_.extract(place);
  if (!sent.empty())
    for (const Item& item : sent.mapped()) give(worker, item, now);
}

/// The session's next message, or its end.
void Simulation::plan_next(std::uint32_t number, Nanoseconds now) {
  Place& place = places_[number];
  const double gap = place.message_gap_ns > 0
                         ? place.random.exponential(static_cast<double>(place.message_gap_ns))
                         : std::numeric_limits<double>::infinity();
  const bool ends = !(static_cast<double>(now) + gap < static_cast<double>(place.ends));
  agenda_.add({.at = ends ? place.ends : now + static_cast<Nanoseconds>(gap),
               .kind = Event::Kind::session,
               .subject = number});
}

void Simulation::on_session(std::uint32_t number, Nanoseconds now) {
  Place& place = places_[number];
  if (place.state == State::dead) return release(number);
  Item item{.arrived = now,
            .cost = to_ns(options_.close_cost_s),
            .place = number,
            .bytes = 0,
            .work = Work::close};
  if (now >= place.ends) {
    place.state = State::closing;
  } else {
    const Distribution cost{.kind = place.cost_kind,
                            .mean = static_cast<double>(place.cost_mean_s),
                            .shape = static_cast<double>(place.cost_shape)};
    item.cost = to_ns(cost.draw(place.random));
    item.bytes = place.bytes;
    item.work = Work::message;
    plan_next(number, now);
  }
  if (place.shared)
    early_[number].push_back(item);
  else
    give(place.worker, item, now);
}

// --- workers ----------------------------------------------------------------------------------

void Simulation::give(std::uint32_t number, const Item& item, Nanoseconds now) {
  Worker& worker = workers_[number];
  worker.waiting.push_back(item);
  if (!worker.awake && !worker.down) begin_turn(number, now);
}

void Simulation::begin_turn(std::uint32_t number, Nanoseconds now) {
  Worker& worker = workers_[number];
  worker.awake = true;
  worker.began = now;
  worker.batch.clear();
  worker.batch.swap(worker.waiting);
  Nanoseconds at = now + to_ns(options_.turn_cost_s);
  for (const Item& item : worker.batch) {
    if (measured(item.arrived)) {
      if (item.work == Work::message) outcome_.messages.add(at - item.arrived);
      if (item.work == Work::accept) outcome_.connections.add(at - item.arrived);
    }
    at += item.cost;
  }
  worker.ends = at;
  steerer_.woke(number, now, static_cast<std::uint32_t>(worker.batch.size()), at);
  agenda_.add({.at = at, .kind = Event::Kind::turn_end, .subject = number});
}

void Simulation::end_turn(std::uint32_t number, Nanoseconds now) {
  Worker& worker = workers_[number];
  if (!worker.awake || worker.ends != now) return;  // it died in that turn
  worker.busy += now - worker.began;
  worker.awake = false;
  TurnReport report{.worker = number, .ended = now, .busy = now - worker.began};
  for (const Item& item : worker.batch) finish(item, report);
  report.sleeps = worker.waiting.empty() && shared_.empty();
  tell(report);
  go_on(number, now);
}

/// What follows when a worker has nothing in hand.
void Simulation::go_on(std::uint32_t number, Nanoseconds now) {
  if (!workers_[number].waiting.empty()) begin_turn(number, now);
  if (!shared_.empty()) return take_shared(number, now);  // it looks at the listener once a turn
  if (!workers_[number].awake) sleep(number);
}

void Simulation::finish(const Item& item, TurnReport& report) {
  switch (item.work) {
    case Work::accept:
      places_[item.place].accepted = true;
      ++report.accepted;
      return;
    case Work::message:
      ++report.messages;
      report.bytes += item.bytes;
      return;
    case Work::close:
      release(item.place);
      --workers_[report.worker].connections;
      ++report.closed;
      return;
    case Work::stall: return;
  }
}

void Simulation::sleep(std::uint32_t number) {
  if (!steerer_.shares_queue()) return;
  naps_.push_back({.worker = number, .number = ++workers_[number].naps});
  if (naps_.size() < 16 * workers_.size()) return;
  std::erase_if(naps_, [this](const Nap& nap) {
    return workers_[nap.worker].naps != nap.number || workers_[nap.worker].awake;
  });
}

std::optional<std::uint32_t> Simulation::last_asleep() {
  while (!naps_.empty()) {
    const Nap nap = naps_.back();
    naps_.pop_back();
    const Worker& worker = workers_[nap.worker];
    if (worker.naps == nap.number && !worker.awake && !worker.down) return nap.worker;
  }
  return std::nullopt;
}

// --- mishaps ----------------------------------------------------------------------------------

void Simulation::stall(std::uint32_t number, Nanoseconds now) {
  agenda_.add({.at = now + to_ns(mishaps_.exponential(options_.stall_every_s)),
               .kind = Event::Kind::stall,
               .subject = number});
  give(number,
       {.arrived = now,
        .cost = to_ns(options_.stall.draw(mishaps_)),
        .place = 0,
        .bytes = 0,
        .work = Work::stall},
       now);
}

void Simulation::crash(std::uint32_t number, Nanoseconds now) {
  Worker& worker = workers_[number];
  if (!worker.down) {
    worker.down = true;
    if (worker.awake) worker.busy += now - worker.began;
    worker.awake = false;
    // What was in hand is lost: the connections that this turn accepted or closed are gone.
    for (const Item& item : worker.batch)
      if (item.work != Work::stall) places_[item.place].accepted = true;
    worker.batch.clear();
    for (std::uint32_t place = 0; place < places_.size(); ++place) {
      Place& of = places_[place];
      if (of.state == State::free || of.state == State::dead) continue;
      if (of.worker != number || !of.accepted) continue;
      --worker.connections;
      if (of.state == State::closing) {
        release(place);  // nothing more comes of it
      } else {
        of.state = State::dead;
        ++outcome_.lost;
      }
    }
    std::erase_if(worker.waiting, [this](const Item& item) {
      if (item.work == Work::stall) return true;
      const State state = places_[item.place].state;
      return state == State::dead || state == State::free;
    });
    const auto queued = static_cast<std::uint32_t>(std::ranges::count_if(
        worker.waiting, [](const Item& item) { return item.work == Work::accept; }));
    std::erase_if(untold_, [number](const TurnReport& report) { return report.worker == number; });
    steerer_.crashed(number, queued);
    agenda_.add(
        {.at = now + to_ns(options_.restart_s), .kind = Event::Kind::restart, .subject = number});
  }
  agenda_.add({.at = now + to_ns(mishaps_.exponential(options_.crash_every_s)),
               .kind = Event::Kind::crash,
               .subject = number});
}

void Simulation::restart(std::uint32_t number, Nanoseconds now) {
  Worker& worker = workers_[number];
  worker.down = false;
  steerer_.restarted(number, now);
  go_on(number, now);
}

// --- telling ----------------------------------------------------------------------------------

void Simulation::tell(const TurnReport& report) {
  if (report_delay_ == 0)
    steerer_.turned(report);
  else
    untold_.push_back(report);
}

void Simulation::tell_due(Nanoseconds now) {
  while (!untold_.empty() && untold_.front().ended + report_delay_ <= now) {
    steerer_.turned(untold_.front());
    untold_.pop_front();
  }
}

void Simulation::sample(Nanoseconds now) {
  std::vector<double> connections;
  std::vector<double> busy;
  const auto window = static_cast<double>(now - sampled_at_);
  for (Worker& worker : workers_) {
    const Nanoseconds until_now = worker.busy + (worker.awake ? now - worker.began : 0);
    connections.push_back(static_cast<double>(worker.connections));
    busy.push_back(static_cast<double>(until_now - worker.busy_sampled) / window);
    worker.busy_sampled = until_now;
  }
  // The first, at the end of the warm-up, says only where the next begins.
  if (now > warm_up_)
    outcome_.samples.push_back({.at_s = static_cast<double>(now) * 1e-9,
                                .connections = spread_of(connections),
                                .busy = spread_of(busy)});
  sampled_at_ = now;
}

}  // namespace weir::sim
