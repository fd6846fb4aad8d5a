// What a slot's load weighs, from readings that are made up: no table, no time that passes.
#include "weir/steering/load_score.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>
#include <vector>

namespace weir::steering {
namespace {

using namespace std::chrono_literals;

/// A service whose workers do what a test says, read every 100 ms.
class Scored : public ::testing::Test {
 protected:
  struct Doing {
    std::uint64_t load = 100;
    double busy = 0.5;          // share
    double messages = 1'000;    // a second
    std::uint64_t turns = 100;  // a tick
    std::uint32_t weight = 1;
    bool serving = true;
    bool at_it = false;  // in a turn that does not end: `busy` and `turns` tell what has
  };

  void start(std::size_t slots, const ScoreOptions& options = {}) {
    score = LoadScore{options};
    doing.assign(slots, Doing{});
    readings.assign(slots, LoadReading{});
  }
  /// One tick of what they are doing.
  void tick(Policy policy) {
    now += 100ms;
    for (std::size_t i = 0; i < doing.size(); ++i) {
      readings[i].serving = doing[i].serving;
      readings[i].weight = doing[i].weight;
      readings[i].load = doing[i].load;
      readings[i].turns += doing[i].turns;
      readings[i].busy_ns += static_cast<std::uint64_t>(doing[i].busy * 1e8);
      readings[i].turn_ns = doing[i].at_it ? readings[i].turn_ns + 100'000'000U : 0;
      readings[i].messages += static_cast<std::uint64_t>(doing[i].messages / 10);
      readings[i].bytes += static_cast<std::uint64_t>(doing[i].messages * 10);
    }
    const auto seen = score.observe(now, readings, policy);
    biases.assign(seen.begin(), seen.end());
  }
  void run(Policy policy, Duration time) {
    for (Duration spent{}; spent < time; spent += 100ms) tick(policy);
  }
  /// What the program compares, in connections of weight 1, less the least.
  std::vector<double> scores() const {
    std::vector<double> out;
    for (std::size_t i = 0; i < doing.size(); ++i)
      out.push_back(biases[i] + static_cast<double>(doing[i].load) / doing[i].weight);
    const double least = *std::min_element(out.begin(), out.end());
    for (double& value : out) value -= least;
    return out;
  }
  void expect_no_biases() const {
    for (const double bias : biases) EXPECT_NEAR(bias, 0, 1e-6);
  }

  Instant now{1h};
  LoadScore score{ScoreOptions{}};
  std::vector<Doing> doing;
  std::vector<LoadReading> readings;
  std::vector<double> biases;
};

constexpr Policy kBoth[] = {Policy::least_load, Policy::predictive};

TEST_F(Scored, EqualWorkersHaveNoBias) {
  for (const Policy policy : kBoth) {
    start(8);
    run(policy, 20s);
    expect_no_biases();
  }
}

TEST_F(Scored, WhereBusyFollowsConnectionsTheyDecideAlone) {
  for (const Policy policy : kBoth) {
    start(4);
    for (std::size_t i = 0; i < 4; ++i)
      doing[i] = {.load = 100 * (i + 1),
                  .busy = 0.2 * static_cast<double>(i + 1),
                  .messages = 500.0 * static_cast<double>(i + 1)};
    run(policy, 20s);
    for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(scores()[i], 100.0 * static_cast<double>(i), 1);
  }
}

TEST_F(Scored, TheFirstTicksAndAnIdleServiceAreLeastConnections) {
  for (const Policy policy : kBoth) {
    start(3);
    doing[0].busy = 0.9;
    tick(policy);
    expect_no_biases();
    start(3);
    for (Doing& each : doing) each.busy = 0.01;
    doing[0].busy = 0.02;  // twice the others', and nothing all the same
    run(policy, 20s);
    expect_no_biases();
  }
}

TEST_F(Scored, LeastLoadWeighsBusyShareByItsPart) {
  start(4, {.busy_part = 0.25});
  doing[3].busy = 0.9;  // the mean is 0.6
  run(Policy::least_load, 30s);
  // 100 connections on average: 75 for what is counted, 25 x busy / mean.
  EXPECT_NEAR(scores()[3], 25 * (0.9 - 0.5) / 0.6, 0.5);
}

TEST_F(Scored, TheBacklogCountsAsTheTimeItTakes) {
  start(2, {.average = 2s, .busy_part = 0.5});
  doing[0].turns = 50'000;
  doing[1].turns = 0;
  for (int turn = 0; turn < 50; ++turn) {  // of 400 ms each, of which it was told at their ends
    doing[1].busy = 0;
    run(Policy::least_load, 700ms);
    doing[1].turns = 1;
    doing[1].busy = 4;
    tick(Policy::least_load);
    doing[1].turns = 0;
  }
  // 400 ms of backlog over 2 s is 0.2 of a core more than 0.5; the mean is 0.6 then.
  EXPECT_NEAR(scores()[1], 100 * 0.5 * 0.2 / 0.6, 8);
}

TEST_F(Scored, ConnectionsThatJustCameCountBeforeTheyDoAnything) {
  // Or a worker that got a thousand silent ones would look idle, and get the next thousand too.
  for (const Policy policy : kBoth) {
    start(4);
    run(policy, 20s);
    doing[2].load += 50;
    tick(policy);
    EXPECT_NEAR(scores()[2], 50, 3);
    EXPECT_NEAR(scores()[1], 0, 1e-6);
  }
}

/// Or what a burst looks like in its first 100 ms would decide where the rest of it goes.
TEST_F(Scored, WhatWasMeasuredOfFewIsNotSaidOfManyThatCame) {
  const auto bias_of_the_busiest = [this](Policy policy, Duration before) {
    start(4);
    for (Doing& each : doing) each = {.load = 10, .busy = 0.4, .messages = 0};
    doing[3].busy = 0.8;
    run(policy, before);
    for (Doing& each : doing) each.load = 1'000;
    tick(policy);
    return biases[3];
  };
  for (const Policy policy : kBoth) {
    EXPECT_LT(bias_of_the_busiest(policy, 1s), 50) << "has just begun";
    EXPECT_LT(bias_of_the_busiest(policy, 20s), 50) << "had little to do";
    run(policy, 20s);
    EXPECT_GT(biases[3], 1'000 * 0.7 * 0.4 / 0.5 - 50) << "since then measured of all of them";
  }
}

TEST_F(Scored, WhatIsLeftOfAServiceThatEmptiesWeighsWhatItDid) {
  start(4);
  for (Doing& each : doing) each.busy = 0.4;
  doing[3].busy = 0.8;
  run(Policy::least_load, 30s);
  for (Doing& each : doing) each.load = 20;
  tick(Policy::least_load);
  EXPECT_NEAR(scores()[3], 20 * 0.7 * 0.4 / 0.5, 1);
}

TEST_F(Scored, CostlyTurnsThatReportLateWeighWhatTheyCost) {
  start(2);
  doing[1].busy = 0;
  for (int round = 0; round < 60; ++round) {  // one turn of 250 ms in every 500
    run(Policy::least_load, 400ms);
    doing[1].busy = 2.5;
    tick(Policy::least_load);
    doing[1].busy = 0;
  }
  EXPECT_LT(std::abs(scores()[1] - scores()[0]), 15);
}

TEST_F(Scored, ATurnUnderWayIsSeen) {
  start(2, {.average = 2s, .busy_part = 0.5});
  for (Doing& each : doing) each.busy = 0.8;
  run(Policy::least_load, 20s);
  doing[1] = {.busy = 0, .turns = 0, .at_it = true};
  run(Policy::least_load, 1s);
  // Its average has risen from 0.8 towards 1 by 0.39 of the way, and it is 1 s behind, of 2 s.
  EXPECT_NEAR(scores()[1], 100 * 0.5 * (0.88 + 0.5 - 0.8) / ((0.88 + 0.5 + 0.8) / 2), 1.5);
}

TEST_F(Scored, ATurnThatWasSeenUnderWayCountsOnce) {
  const ScoreOptions without_backlog{.average = 10min};
  start(2, without_backlog);
  doing[0] = {.busy = 0.8, .turns = 1};
  for (int round = 0; round < 3'600; ++round) {  // one turn of 400 ms in every 500
    doing[1] = {.busy = 0, .turns = 0, .at_it = true};
    run(Policy::least_load, 300ms);
    doing[1] = {.busy = 4, .turns = 1};
    tick(Policy::least_load);
    doing[1] = {.busy = 0, .turns = 0};
    tick(Policy::least_load);
  }
  EXPECT_NEAR(scores()[0] - scores()[1], 0, 1);
}

TEST_F(Scored, ATurnUnderWayIsABacklogOfItsLength) {
  start(2, {.average = 2s, .busy_part = 0.5});
  run(Policy::least_load, 20s);
  doing[1].busy = 0;
  doing[1].turns = 0;
  doing[1].at_it = true;
  run(Policy::least_load, 4s);
  EXPECT_GT(scores()[1], 40);
  doing[1].at_it = false;
  doing[1].turns = 1;
  run(Policy::least_load, 20s);
  EXPECT_LT(scores()[1], 1);
}

/// Or the next connections would all go there until it is found hung.
TEST_F(Scored, AWorkerThatDoesNotWakeIsNotTakenForIdle) {
  for (const Policy policy : kBoth) {
    start(4);
    run(policy, 20s);
    doing[1] = {.busy = 0, .messages = 0, .turns = 0};
    for (int ticks = 0; ticks < 3; ++ticks) {
      tick(policy);
      expect_no_biases();
    }
  }
}

TEST_F(Scored, TheTimeInWhichAWorkerDidNotWakeCountsOnceItDoes) {
  start(4, {.busy_part = 0.5});
  run(Policy::least_load, 20s);
  doing[1] = {.busy = 0, .turns = 0};
  run(Policy::least_load, 2s);
  doing[1] = {.busy = 0, .turns = 1};
  tick(Policy::least_load);
  // 2.1 s of idleness leave 0.35 of the average.
  const double mean = 0.5 * (3 + 0.35) / 4;
  EXPECT_NEAR(scores()[0], 100 * 0.5 * (0.5 - 0.5 * 0.35) / mean, 1);
}

TEST_F(Scored, AHangOfMinutesIsNotTakenForLoad) {
  start(2);
  run(Policy::least_load, 10s);
  doing[1].busy = 1'000;  // 100 s in one report
  tick(Policy::least_load);
  doing[1].busy = 0.5;
  run(Policy::least_load, 12s);
  EXPECT_LT(scores()[1], 10);
}

TEST_F(Scored, WeightsScaleConnectionsAndTrafficButNotBusyShare) {
  for (const Policy policy : kBoth) {
    start(2);
    doing[0] = {.load = 400, .busy = 0.5, .messages = 4'000, .weight = 4};
    doing[1] = {.load = 100, .busy = 0.5, .messages = 1'000, .weight = 1};
    run(policy, 20s);
    expect_no_biases();
  }
}

TEST_F(Scored, WhoDoesNotServeIsLeftOutAndBeginsAnew) {
  start(3);
  doing[2].busy = 0.9;
  run(Policy::least_load, 20s);
  doing[2].serving = false;
  run(Policy::least_load, 1s);
  expect_no_biases();
  doing[2] = {.load = 100, .busy = 0.5};
  run(Policy::least_load, 500ms);
  EXPECT_NEAR(scores()[2], 0, 1) << "what it did before it went down is forgotten";
}

TEST_F(Scored, CountersThatStartOverAreNoTraffic) {
  start(2);
  run(Policy::least_load, 5s);
  readings[1] = {};
  tick(Policy::least_load);
  run(Policy::least_load, 5s);
  expect_no_biases();
}

TEST_F(Scored, SlotsMayBecomeMoreAndFewer) {
  for (const Policy policy : kBoth) {
    start(2);
    run(policy, 5s);
    doing.resize(5);
    readings.resize(5);
    run(policy, 5s);
    EXPECT_EQ(biases.size(), 5U);
    expect_no_biases();
    doing.resize(3);
    readings.resize(3);
    run(policy, 5s);
    EXPECT_EQ(biases.size(), 3U);
    expect_no_biases();
  }
}

TEST_F(Scored, BiasesFadeAsRoomRunsOut) {
  const auto bias_at = [this](std::uint64_t load) {
    start(2, {.room = 1'000});
    for (Doing& each : doing) each.load = load;
    doing[1].busy = 1;
    run(Policy::least_load, 20s);
    return biases[1] / static_cast<double>(load);
  };
  EXPECT_NEAR(bias_at(950), bias_at(500) / 2, 0.01);
  EXPECT_EQ(bias_at(1'000), 0);
}

/// Workers whose sessions cost more and less, in a way that lasts; connections are all alike.
class Predicted : public Scored {
 protected:
  void run_noisily(const std::vector<double>& costs, double noise, Duration time) {
    for (Duration spent{}; spent < time; spent += 100ms) {
      for (std::size_t i = 0; i < doing.size(); ++i)
        doing[i].busy = std::clamp(costs[i] + noise * normal(random), 0.0, 1.0);
      tick(Policy::predictive);
    }
  }
  std::mt19937 random{11};
  std::normal_distribution<double> normal{};
};

TEST_F(Predicted, LearnsThatABusyWorkerStaysBusy) {
  start(8);
  std::vector<double> costs{0.2, 0.3, 0.4, 0.4, 0.5, 0.6, 0.7, 0.9};  // 0.5 on average
  run_noisily(costs, 0.05, 2min);
  EXPECT_NEAR(scores()[7], 100 * (0.9 - 0.2) / 0.5, 15);
  ASSERT_TRUE(score.forecast_error());
  EXPECT_LT(score.forecast_error()->of_model, 0.05);
  EXPECT_NEAR(score.forecast_error()->of_connections, 0.215, 0.03);  // the costs' own spread
}

/// While a service fills, now one worker does something and now another.
TEST_F(Predicted, IsNotMisledByWhatNextToNothingToDoLookedLike) {
  start(8);
  std::uniform_int_distribution<std::size_t> any{0, 7};
  for (int turn = 0; turn < 10; ++turn) {
    std::vector<double> costs(8, 0.005);
    costs[any(random)] = 0.3;
    run_noisily(costs, 0, 500ms);
  }
  run_noisily({0.2, 0.3, 0.4, 0.4, 0.5, 0.6, 0.7, 0.9}, 0.05, 5s);
  EXPECT_GT(scores()[7], 60);
}

/// Fifty times what was there at a forecast comes within its horizon.
TEST_F(Predicted, IsNotMisledByWhatAServiceThatFillsLookedLike) {
  start(8);
  const std::vector<double> costs{0.2, 0.3, 0.4, 0.4, 0.5, 0.6, 0.7, 0.9};
  for (std::uint64_t load = 2; load <= 100; load += 7) {
    for (Doing& each : doing) each.load = load;
    run_noisily(costs, 0.05, 100ms);
  }
  run_noisily(costs, 0.05, 5s);
  EXPECT_GT(scores()[7], 60);
  EXPECT_LT(score.forecast_error()->of_model, 0.15);
}

TEST_F(Predicted, LearnsToHeedConnectionsWhereBusyShareIsNoise) {
  start(8);
  const std::vector<double> costs(8, 0.5);
  run_noisily(costs, 0.3, 5min);
  for (const double bias : biases) EXPECT_LT(bias, 10) << "a tenth of what a worker has";
}

TEST_F(Predicted, HasNoErrorToShowUntilAForecastCameDue) {
  start(4, {.horizon = 5s});
  run_noisily(std::vector<double>(4, 0.5), 0.1, 4s);
  EXPECT_FALSE(score.forecast_error());
  run_noisily(std::vector<double>(4, 0.5), 0.1, 3s);
  EXPECT_TRUE(score.forecast_error());
}

TEST_F(Predicted, LittleEvidenceIsLeastConnections) {
  start(4);
  run_noisily({0.1, 0.3, 0.6, 0.9}, 0, 1s);  // the first forecasts have not come due
  expect_no_biases();
}

TEST_F(Predicted, ForgetsAllWhenItIsReset) {
  start(4);
  run_noisily({0.1, 0.3, 0.6, 0.9}, 0.01, 1min);
  EXPECT_GT(biases[3], 10);
  score.reset();
  EXPECT_FALSE(score.forecast_error());
  tick(Policy::predictive);
  expect_no_biases();
}

}  // namespace
}  // namespace weir::steering
