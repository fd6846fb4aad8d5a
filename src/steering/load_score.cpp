#include "weir/steering/load_score.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace weir::steering {
namespace {

/// Busy time that is reported all at once, more than the tick had, is spread over the next ticks,
/// so that it weighs what it cost; longer than this it was a hang.
constexpr double kOwedMax = 1;  // seconds
/// Forecasts compared before the model is heeded.
constexpr double kComparedMin = 50;
/// How much better than connections alone, of their squared error, the model must be to count in
/// full.
constexpr double kSkillFull = 0.02;
/// Time constant of what is remembered of errors, in seconds: a model that was wrong while it began
/// to learn is heeded soon after.
constexpr double kErrorMemory = 15;
/// The part of the room at whose end the biases fade.
constexpr double kRoomFades = 0.1;
constexpr int kRoundsInHorizon = 8;

double seconds(Duration duration) noexcept {
  return std::chrono::duration<double>(duration).count();
}

double ratio(double a, double b, double otherwise) noexcept {
  return b > 0 ? a / b : otherwise;
}

}  // namespace

LoadReading reading_of(const SlotSnapshot& slot, Instant now) noexcept {
  const bool at_it = slot.row.pending > 0 && to_ns(now) > slot.row.awake_at_ns;
  return {.serving = slot.serving,
          .weight = slot.weight,
          .load = slot.load,
          .busy_ns = slot.row.busy_ns,
          .turn_ns = at_it ? to_ns(now) - slot.row.awake_at_ns : 0,
          .turns = slot.row.loops,
          .messages = slot.row.messages_in,
          .bytes = slot.row.bytes_in + slot.row.bytes_out};
}

LoadScore::LoadScore(const ScoreOptions& options) noexcept
    : options_{options}, model_{{1 - options.busy_part, options.busy_part, 0, 0}, options.prior} {}

void LoadScore::reset() noexcept {
  *this = LoadScore{options_};
}

std::span<const double> LoadScore::observe(Instant now, std::span<const LoadReading> readings,
                                           Policy policy) {
  const double tick = last_ ? seconds(now - *last_) : 0;
  last_ = now;
  slots_.resize(readings.size());
  for (std::size_t i = 0; i < slots_.size(); ++i) measure(slots_[i], readings[i], tick);
  relate(readings);
  if (policy == Policy::predictive) {
    learn(now);
    remember(now, readings);
  } else {
    rounds_.clear();
  }

  biases_.assign(readings.size(), 0);
  const double trusted = trust(readings, policy);
  double least = 0;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (!slots_[i].known) continue;
    const double weighs = mean_load_ * relative_weight(slots_[i], policy);
    const double counted = static_cast<double>(readings[i].load) / readings[i].weight;
    biases_[i] = trusted * (weighs - counted);
    least = std::min(least, biases_[i]);
  }
  for (double& bias : biases_) bias -= least;
  return biases_;
}

void LoadScore::measure(Slot& slot, const LoadReading& reading, double tick) const {
  const LoadReading last = std::exchange(slot.last, reading);
  const bool started_over = reading.busy_ns < last.busy_ns || reading.turns < last.turns ||
                            reading.messages < last.messages || reading.bytes < last.bytes;
  if (!reading.serving || !last.serving || started_over || tick <= 0) {
    slot = Slot{.last = reading, .life = slot.life + 1};
    return;
  }
  const std::uint64_t turns = reading.turns - last.turns;
  slot.load_s += static_cast<double>(reading.load) * tick;
  if (turns == 0 && reading.turn_ns == 0) {
    slot.unheard_s += tick;
    return;
  }
  tick += std::exchange(slot.unheard_s, 0);
  slot.known = true;
  // A turn of a second under overload must not look like sleep until it ends; what was counted of
  // it on its way does not count again then.
  const std::uint64_t busy_ns = reading.busy_ns - last.busy_ns + reading.turn_ns;
  const std::uint64_t more_ns = busy_ns - std::min(busy_ns, last.turn_ns);
  slot.owed_s = std::min(slot.owed_s + static_cast<double>(more_ns) * 1e-9, tick + kOwedMax);
  const double busy = std::min(slot.owed_s, tick);
  slot.owed_s -= busy;
  slot.busy_s += busy;

  const Measures measured{static_cast<double>(reading.load), busy / tick,
                          static_cast<double>(reading.messages - last.messages) / tick,
                          static_cast<double>(reading.bytes - last.bytes) / tick};
  const double taken = 1 - std::exp(-tick / seconds(options_.average));
  for (std::size_t k = 0; k < kMeasures; ++k) slot.sums[k] += taken * (measured[k] - slot.sums[k]);
  slot.weight_sum += taken * (1 - slot.weight_sum);

  if (turns > 0)
    slot.backlog_s =
        static_cast<double>(reading.busy_ns - last.busy_ns) * 1e-9 / static_cast<double>(turns);
  slot.backlog_s = std::max(slot.backlog_s, static_cast<double>(reading.turn_ns) * 1e-9);
}

/// Puts each slot's measures in relation to the mean of those that serve. A share of busy time is
/// of a whole core whatever the slot's weight; connections and traffic are for the weight. What a
/// measure says beyond connections it says of those that it was taken of: of a service that has
/// just filled, or of a slot that has just begun, that is a small part.
void LoadScore::relate(std::span<const LoadReading> readings) {
  Measures sums{};
  double load = 0;
  double weights = 0;
  double slots = 0;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (!slots_[i].known) continue;
    load += static_cast<double>(readings[i].load);
    weights += readings[i].weight;
    slots += 1;
    for (std::size_t k = 0; k < kMeasures; ++k) sums[k] += measure_of(slots_[i], k);
  }
  mean_load_ = ratio(load, weights, 0);
  mean_busy_ = ratio(sums[kBusy], slots, 0);
  const double measured = std::min(1.0, ratio(sums[kLoad], load, 0));
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (!slot.known) continue;
    const auto relative = [&](std::size_t k, double otherwise) {
      const double share = k == kBusy ? 1 / slots : readings[i].weight / weights;
      return ratio(measure_of(slot, k), sums[k] * share, otherwise);
    };
    const double now =
        ratio(static_cast<double>(readings[i].load) / readings[i].weight, mean_load_, 1);
    const double then = relative(kLoad, now);
    const double part = measured * slot.weight_sum;
    slot.inputs[kLoad] = now;
    for (const Measure k : {kBusy, kMessages, kBytes})
      slot.inputs[k] = std::max(0.0, now + part * (relative(k, then) - then));
  }
}

/// A measure as it is averaged; of busy share, with the backlog.
double LoadScore::measure_of(const Slot& slot, std::size_t k) const noexcept {
  const double average = slot.sums[k] / slot.weight_sum;
  return k == kBusy ? average + slot.backlog_s / seconds(options_.average) : average;
}

double LoadScore::relative_weight(const Slot& slot, Policy policy) const noexcept {
  if (policy == Policy::predictive) return std::max(0.0, model_.forecast(slot.inputs));
  return (1 - options_.busy_part) * slot.inputs[kLoad] + options_.busy_part * slot.inputs[kBusy];
}

double LoadScore::trust(std::span<const LoadReading> readings, Policy policy) const noexcept {
  double trusted = std::clamp(mean_busy_ / kBusyFloor - 1, 0.0, 1.0);
  if (policy == Policy::predictive) {
    if (compared_ < kComparedMin) return 0;
    const double skill = 1 - ratio(model_squares_, connections_squares_, 1);
    trusted *= std::clamp(skill / kSkillFull, 0.0, 1.0);
  }
  if (options_.room > 0) {
    std::uint64_t fullest = 0;
    for (const LoadReading& reading : readings) fullest = std::max(fullest, reading.load);
    const double left = 1 - static_cast<double>(fullest) / static_cast<double>(options_.room);
    trusted *= std::clamp(left / kRoomFades, 0.0, 1.0);
  }
  return trusted;
}

// --- the model --------------------------------------------------------------------------------

void LoadScore::learn(Instant now) {
  while (!rounds_.empty() && now - rounds_.front().at >= options_.horizon) {
    const Duration apart =
        rounds_.size() > 1 ? rounds_[1].at - rounds_[0].at : options_.horizon / kRoundsInHorizon;
    const double keep = std::exp(-seconds(apart) / seconds(options_.memory));
    compare(rounds_.front(), seconds(now - rounds_.front().at));
    rounds_.pop_front();
    model_.settle(keep);
    const double keep_errors = std::exp(-seconds(apart) / kErrorMemory);
    model_squares_ *= keep_errors;
    connections_squares_ *= keep_errors;
    compared_ *= keep_errors;
  }
}

/// What came is the busy share since the forecast, and how much the backlog grew, less what came of
/// connections that were steered there after it: they are counted by the key, at the mean cost. All
/// that in relation to the mean of then, as the forecast: of a service that has grown since, what
/// was there then is a part, and an error weighs as much less.
void LoadScore::compare(const Round& round, double elapsed) {
  const std::size_t slots = std::min(round.slots.size(), slots_.size());
  const auto still_known = [&](std::size_t i) {
    return round.slots[i].known && slots_[i].known && slots_[i].life == round.slots[i].life;
  };
  const auto asked_since = [&](std::size_t i) {
    const Forecast& then = round.slots[i];
    return slots_[i].busy_s - then.busy_s + slots_[i].backlog_s - then.backlog_s;
  };
  const auto came_since = [&](std::size_t i) {  // on average
    return (slots_[i].load_s - round.slots[i].load_s) / elapsed - round.slots[i].load;
  };
  double asked = 0;
  double came = 0;
  double counted = 0;
  double weights = 0;
  for (std::size_t i = 0; i < slots; ++i) {
    if (!still_known(i)) continue;
    asked += asked_since(i) / elapsed;
    came += came_since(i);
    counted += 1;
    weights += slots_[i].last.weight;
  }
  const double mean = ratio(asked, counted, 0);
  if (mean < kBusyFloor || round.mean_load <= 0) return;
  const double grown = std::max(0.0, 1 + ratio(came, weights, 0) / round.mean_load);
  const double weighs = mean / std::max(1.0, grown);  // a unit of outcome, in busy share
  for (std::size_t i = 0; i < slots; ++i) {
    if (!still_known(i)) continue;
    const Forecast& then = round.slots[i];
    const double outcome = asked_since(i) / elapsed / mean * grown -
                           came_since(i) / slots_[i].last.weight / round.mean_load;
    model_.learn(then.inputs, outcome, weighs * weighs);
    const auto square = [weighs](double error) { return error * error * weighs * weighs; };
    model_squares_ += square(outcome - then.busy);
    connections_squares_ += square(outcome - then.inputs[kLoad]);
    compared_ += 1;
  }
}

void LoadScore::remember(Instant now, std::span<const LoadReading> readings) {
  if (!rounds_.empty() && now - rounds_.back().at < options_.horizon / kRoundsInHorizon) return;
  Round round{.at = now, .mean_load = mean_load_, .slots = {}};
  round.slots.reserve(slots_.size());
  for (std::size_t i = 0; i < slots_.size(); ++i)
    round.slots.push_back({.known = slots_[i].known,
                           .life = slots_[i].life,
                           .inputs = slots_[i].inputs,
                           .busy = model_.forecast(slots_[i].inputs),
                           .load = static_cast<double>(readings[i].load),
                           .busy_s = slots_[i].busy_s,
                           .load_s = slots_[i].load_s,
                           .backlog_s = slots_[i].backlog_s});
  rounds_.push_back(std::move(round));
}

std::optional<ForecastError> LoadScore::forecast_error() const noexcept {
  if (compared_ < 1) return std::nullopt;
  return ForecastError{.of_model = std::sqrt(model_squares_ / compared_),
                       .of_connections = std::sqrt(connections_squares_ / compared_)};
}

}  // namespace weir::steering
