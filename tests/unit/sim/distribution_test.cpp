#include "sim/distribution.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "sim/workload.h"

namespace weir::sim {
namespace {

using Kind = Distribution::Kind;

std::vector<double> draws(const Distribution& distribution, int count) {
  Random random{42};
  std::vector<double> out;
  for (int i = 0; i < count; ++i) out.push_back(distribution.draw(random));
  std::ranges::sort(out);
  return out;
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

TEST(Random, IsTheSameEverywhere) {
  Random random{1};
  EXPECT_EQ(random.next(), 0x910a2dec89025cc1ULL);  // SplitMix64's own
  EXPECT_NE(Random(1, 2).next(), Random(1, 3).next());
  EXPECT_NE(Random(1, 2).next(), Random(2, 2).next());
}

TEST(Distribution, HasItsMeanAndItsQuantiles) {
  struct Case {
    Distribution distribution;
    double median;
    double p99;
  };
  const Case cases[] = {
      {{Kind::fixed, 3, 0}, 3, 3},
      {{Kind::exponential, 3, 0}, 3 * std::log(2), 3 * std::log(100)},
      {{Kind::pareto, 3, 2.5}, 1.8 * std::pow(2, 0.4), 1.8 * std::pow(100, 0.4)},
      {{Kind::lognormal, 3, 0.5}, 3 * std::exp(-0.125), 3 * std::exp(-0.125 + 0.5 * 2.3263)},
  };
  for (const Case& c : cases) {
    const auto sorted = draws(c.distribution, 400'000);
    EXPECT_NEAR(mean(sorted), 3, 0.03);
    EXPECT_NEAR(sorted[200'000], c.median, 0.02 * c.median);
    EXPECT_NEAR(sorted[396'000], c.p99, 0.03 * c.p99);
  }
}

TEST(Distribution, IsReadFromItsName) {
  EXPECT_EQ(parse_distribution("fixed:2")->kind, Kind::fixed);
  EXPECT_EQ(parse_distribution("exp:0.5")->mean, 0.5);
  EXPECT_EQ(parse_distribution("pareto:1:1.5")->shape, 1.5);
  EXPECT_EQ(parse_distribution("lognormal:1e-3:2")->mean, 1e-3);
  for (const char* text : {"", "exp", "exp:", "exp:0", "exp:-1", "exp:1:2", "exp:1x", "pareto:1",
                           "pareto:1:1", "lognormal:1:0", "uniform:1", "fixed:inf"})
    EXPECT_FALSE(parse_distribution(text)) << text;
}

TEST(Synthetic, PoissonArrivalsComeAtTheirRate) {
  Synthetic workload{{.arrivals = {.rate = 1'000}, .until_s = 100}, 7};
  std::uint64_t count = 0;
  Nanoseconds last = 0;
  while (const auto session = workload.next()) {
    ASSERT_GE(session->arrives, last);
    last = session->arrives;
    ++count;
  }
  EXPECT_NEAR(static_cast<double>(count), 100'000, 1'600);  // five standard deviations
}

TEST(Synthetic, BurstsComeAllAtOnceAndInTime) {
  Synthetic workload{
      {.arrivals = {.kind = Arrivals::Kind::bursts, .rate = 10, .burst_every_s = 10, .burst = 500},
       .until_s = 25},
      7};
  std::uint64_t in_bursts = 0;
  while (const auto session = workload.next())
    if (session->arrives % (10 * kSecond) == kSecond) ++in_bursts;
  EXPECT_EQ(in_bursts, 1'500U);
}

TEST(Synthetic, OnAndOffArrivalsHaveTheMeanOfBoth) {
  Synthetic workload{
      {.arrivals = {.kind = Arrivals::Kind::on_off, .rate = 100, .on_s = 1, .off_s = 3},
       .until_s = 20'000},
      7};
  std::uint64_t count = 0;
  while (workload.next()) ++count;
  EXPECT_NEAR(static_cast<double>(count), 500'000, 25'000);
}

TEST(Synthetic, PathsHaveTheirSharesAndNoSessionAsksForMoreThanItMay) {
  WorkloadOptions options{.arrivals = {.rate = 1'000}, .until_s = 50};
  options.paths = {{.name = "a", .share = 3, .bytes = 1},
                   {.name = "b",
                    .share = 1,
                    .rate = {.kind = Kind::pareto, .mean = 10, .shape = 1.5},
                    .cost = {.kind = Kind::pareto, .mean = 0.01, .shape = 1.5},
                    .core_max = 0.3,
                    .bytes = 2}};
  Synthetic workload{options, 7};
  double a = 0;
  double b = 0;
  while (const auto session = workload.next()) {
    (session->bytes == 1 ? a : b) += 1;
    EXPECT_LE(session->cost.mean * 1e9 / session->message_gap_ns, session->bytes == 1 ? 1 : 0.3001);
  }
  EXPECT_NEAR(a / (a + b), 0.75, 0.01);
}

}  // namespace
}  // namespace weir::sim
