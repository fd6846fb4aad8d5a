// The simulator against what is known without it: queueing theory, counting, conservation.
#include "sim/simulation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <sstream>

#include "sim/report.h"
#include "sim/scenario.h"

namespace weir::sim {
namespace {

/// Sessions that a test wrote down.
class Listed final : public Workload {
 public:
  explicit Listed(std::vector<Session> sessions) : sessions_{std::move(sessions)} {}
  [[nodiscard]] std::optional<Session> next() override {
    if (at_ == sessions_.size()) return std::nullopt;
    return sessions_[at_++];
  }

 private:
  std::vector<Session> sessions_;
  std::size_t at_ = 0;
};

Session session(double arrives_s, double lifetime_s, double rate, Distribution cost) {
  Session made;
  made.arrives = static_cast<Nanoseconds>(arrives_s * 1e9);
  made.lifetime = static_cast<Nanoseconds>(lifetime_s * 1e9);
  made.message_gap_ns = rate > 0 ? 1e9 / rate : 0;
  made.cost = cost;
  made.random = Random{77, made.arrives};
  return made;
}

SimulationOptions bare(std::uint32_t workers, double until_s) {
  return {.workers = workers,
          .warm_up_s = 0,
          .until_s = until_s,
          .accept_cost_s = 0,
          .close_cost_s = 0,
          .turn_cost_s = 0};
}

Outcome simulate(const SimulationOptions& options, Workload& workload, std::string_view policy,
                 std::uint64_t seed = 1) {
  const auto steerer = make_steerer(policy, {.workers = options.workers});
  return Simulation{options, workload, *steerer, seed}.run();
}

constexpr double kRate = 700;
constexpr double kService = 1'000;  // a second

/// One client that sends 700 messages a second to one worker that does 1,000.
Outcome one_queue(Distribution::Kind kind) {
  Listed workload{{session(0, 1e6, kRate, {.kind = kind, .mean = 1 / kService})}};
  return simulate(bare(1, 1'500), workload, "least-connections");
}

TEST(Simulation, DelaysOfPoissonArrivalsAndExponentialCostsAreThoseOfMM1) {
  const Outcome outcome = one_queue(Distribution::Kind::exponential);
  const double load = kRate / kService;
  const double mean_ms = 1e3 * load / (kService - kRate);
  EXPECT_NEAR(outcome.messages.mean() * 1e-6, mean_ms, 0.04 * mean_ms);
  // P(delay > t) = load x exp(-(service - rate) t)
  for (const double part : {0.5, 0.9, 0.99}) {
    const double exact_ms = 1e3 * std::log(load / (1 - part)) / (kService - kRate);
    EXPECT_NEAR(outcome.messages.quantile(part) * 1e-6, exact_ms, 0.06 * exact_ms) << part;
  }
  EXPECT_NEAR(outcome.samples.back().busy.mean, load, 0.1);
}

TEST(Simulation, FixedCostsHalveTheMeanDelayAsInMD1) {
  const double mean_ms = 1e3 * 0.5 * (kRate / kService) / (kService - kRate);
  EXPECT_NEAR(one_queue(Distribution::Kind::fixed).messages.mean() * 1e-6, mean_ms, 0.04 * mean_ms);
}

TEST(Simulation, RoundRobinIsExact) {
  Synthetic workload{{.arrivals = {.rate = 1'000}, .until_s = 10}, 1};
  const Outcome outcome = simulate(bare(7, 10), workload, "round-robin");
  const auto [least, most] = std::ranges::minmax(outcome.assigned);
  EXPECT_GT(least, 1'000U);
  EXPECT_LE(most - least, 1U);
}

TEST(Simulation, AHashSpreadsAsABinomialDoes) {
  Synthetic workload{{.arrivals = {.rate = 10'000}, .lifetime = {.mean = 1e6}, .until_s = 10}, 1};
  const Outcome outcome = simulate(bare(50, 10), workload, "kernel-hash");
  const double expected = std::sqrt(outcome.samples.back().connections.mean * 49 / 50);
  EXPECT_NEAR(outcome.samples.back().connections.deviation, expected, 0.35 * expected);
}

TEST(Simulation, LeastConnectionsHoldsThemWithinOneUnderArrivalsAlone) {
  Synthetic workload{{.arrivals = {.rate = 10'000}, .lifetime = {.mean = 1e6}, .until_s = 10}, 1};
  const Outcome outcome = simulate(bare(50, 10), workload, "least-connections");
  for (const Sample& sample : outcome.samples) EXPECT_LE(sample.connections.deviation, 0.5);
}

TEST(Simulation, EpollExclusiveGivesAnIdleServiceToTheWorkerThatSleptLast) {
  SimulationOptions options = bare(8, 10);
  options.accept_cost_s = 1e-6;
  Synthetic workload{{.arrivals = {.rate = 100},
                      .lifetime = {.mean = 1e6},
                      .paths = {{.rate = {.mean = 1e-3}}},
                      .until_s = 10},
                     1};
  const Outcome outcome = simulate(options, workload, "epoll-exclusive");
  EXPECT_GT(std::ranges::max(outcome.assigned), 900U);
}

TEST(Simulation, EpollExclusiveNeverLeavesAConnectionToABusyWorkerWhileOneSleeps) {
  // One session each, which keeps its worker busy for its whole life: the delay is none.
  std::vector<Session> sessions;
  for (int i = 0; i < 8; ++i) sessions.push_back(session(0.1 * (i + 1), 1e6, 0, {}));
  SimulationOptions options = bare(8, 3);
  options.accept_cost_s = 10;
  Listed workload{sessions};
  const Outcome outcome = simulate(options, workload, "epoll-exclusive");
  EXPECT_EQ(outcome.connections.quantile(1), 0);
  EXPECT_EQ(outcome.assigned, std::vector<std::uint64_t>(8, 1));
}

TEST(Simulation, WhatWaitsInASharedQueueIsTakenByWhoeverIsDoneFirst) {
  std::vector<Session> sessions;
  for (int i = 0; i < 3; ++i) sessions.push_back(session(0, 0.5, 0, {}));
  SimulationOptions options = bare(2, 60);
  options.accept_cost_s = 1;
  Listed workload{sessions};
  const Outcome outcome = simulate(options, workload, "epoll-exclusive");
  EXPECT_NEAR(outcome.connections.quantile(1), 1e9, 0.04e9);
  EXPECT_EQ(outcome.open_at_end, 0U) << "the third ended while it waited, and was accepted so";
}

TEST(Simulation, ReportsThatComeLateAreHeededLate) {
  // Sessions of 1 s, reports half a second late: least-connections counts ends that it did not see.
  const auto largest = [](double delay_s) {
    SimulationOptions options = bare(4, 60);
    options.warm_up_s = 10;
    options.report_delay_s = delay_s;
    Synthetic workload{{.arrivals = {.rate = 400},
                        .lifetime = {.kind = Distribution::Kind::lognormal, .mean = 1, .shape = 2},
                        .until_s = 60},
                       1};
    const Outcome outcome = simulate(options, workload, "least-connections");
    double sum = 0;
    for (const Sample& sample : outcome.samples) sum += sample.connections.deviation;
    return sum / static_cast<double>(outcome.samples.size());
  };
  EXPECT_LT(largest(0), 1);
  EXPECT_GT(largest(0.5), 2 * largest(0));
}

TEST(Simulation, EndsWithTheLastSession) {
  SimulationOptions options = bare(2, 1e9);
  options.stall_every_s = 1;  // which would never end by itself
  Listed workload{{session(1, 2, 10, {.mean = 1e-3}), session(1, 5, 0, {})}};
  const Outcome outcome = simulate(options, workload, "least-connections");
  EXPECT_EQ(outcome.open_at_end, 0U);
  ASSERT_FALSE(outcome.samples.empty());
  EXPECT_LT(outcome.samples.back().at_s, 10);
  for (const Sample& sample : outcome.samples) EXPECT_TRUE(std::isfinite(sample.busy.deviation));
}

TEST(Simulation, NoSessionIsForgottenWhateverHappensToWorkers) {
  for (const std::string_view policy : steerer_names()) {
    SimulationOptions options = bare(8, 200);
    options.accept_cost_s = options.close_cost_s = 1e-3;
    options.stall_every_s = 2;
    options.stall = {.mean = 0.5};
    options.crash_every_s = 5;
    options.report_delay_s = 0.01;
    Synthetic workload{{.arrivals = {.rate = 100},
                        .lifetime = {.mean = 2},
                        .paths = {{.rate = {.mean = 5}, .cost = {.mean = 1e-3}}},
                        .until_s = 100},
                       1};
    const Outcome outcome = simulate(options, workload, policy);
    EXPECT_GT(outcome.lost, 100U) << policy;
    EXPECT_EQ(outcome.open_at_end, 0U) << policy;
    std::uint64_t assigned = 0;
    for (const std::uint64_t each : outcome.assigned) assigned += each;
    EXPECT_EQ(assigned, outcome.sessions) << policy;
  }
}

TEST(Simulation, IsTheSameForASeedAndAnotherForAnother) {
  const auto csv = [](std::uint64_t seed) {
    Scenario scenario = *find_scenario("mishaps");
    scenario.service.warm_up_s = 1;
    scenario.service.until_s = scenario.workload.until_s = 3;
    std::vector<Row> rows;
    for (const std::string_view policy : steerer_names()) {
      Synthetic workload{scenario.workload, seed};
      rows.push_back(make_row("mishaps", policy, 0, scenario.service.workers,
                              simulate(scenario.service, workload, policy, seed)));
    }
    std::ostringstream out;
    write_csv(out, rows);
    return out.str();
  };
  EXPECT_EQ(csv(1), csv(1));
  EXPECT_NE(csv(1), csv(2));
}

}  // namespace
}  // namespace weir::sim
