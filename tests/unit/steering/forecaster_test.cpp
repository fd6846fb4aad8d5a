// The fitted model: what it learns, what it keeps to where there is nothing to learn, and what it
// forgets. bench/sim/random.h is not used here: any inputs do.
#include "weir/steering/forecaster.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace weir::steering {
namespace {

using Vector = Forecaster::Vector;

class Forecasting : public ::testing::Test {
 protected:
  Vector inputs() {
    Vector made{};
    for (double& input : made) input = 0.5 + around_(random_);
    return made;
  }
  /// So many samples of what `truth` makes of its inputs, in rounds of 16.
  void teach(Forecaster& model, const Vector& truth, int samples, double noise, double keep) {
    std::normal_distribution<double> error{0, noise > 0 ? noise : 1};
    for (int i = 0; i < samples; ++i) {
      const Vector in = inputs();
      double outcome = noise > 0 ? error(random_) : 0;
      for (std::size_t k = 0; k < in.size(); ++k) outcome += truth[k] * in[k];
      model.learn(in, outcome, 1);
      if (i % 16 == 15) model.settle(keep);
    }
  }
  static void expect_near(const Vector& seen, const Vector& wanted, double by) {
    for (std::size_t k = 0; k < seen.size(); ++k) EXPECT_NEAR(seen[k], wanted[k], by) << k;
  }

  std::mt19937 random_{5};
  std::uniform_real_distribution<double> around_{0, 1};
};

TEST_F(Forecasting, KnowsItsPriorAtFirst) {
  const Forecaster model{{1, 0, 0, 0}, 10};
  EXPECT_EQ(model.forecast({3, 5, 7, 9}), 3);
}

TEST_F(Forecasting, WithoutSamplesSettlesOnThePrior) {
  Forecaster model{{1, 0.5, 0, -1}, 10};
  model.settle(0.9);
  expect_near(model.coefficients(), {1, 0.5, 0, -1}, 1e-12);
}

TEST_F(Forecasting, LearnsWhatIsLinearDespiteNoise) {
  const Vector truth{0.3, 0.9, -0.2, 0.1};
  Forecaster model{{1, 0, 0, 0}, 1};
  teach(model, truth, 20'000, 0.2, 1);
  expect_near(model.coefficients(), truth, 0.02);
}

TEST_F(Forecasting, AFewSamplesHardlyOutweighThePrior) {
  Forecaster model{{1, 0, 0, 0}, 1'000};
  teach(model, {0, 1, 0, 0}, 16, 0, 1);
  EXPECT_GT(model.coefficients()[0], 0.95);
  EXPECT_LT(model.coefficients()[1], 0.05);
}

TEST_F(Forecasting, ASampleCountsByItsWeight) {
  Forecaster model{{1, 0, 0, 0}, 1};
  for (int i = 0; i < 10'000; ++i) {
    model.learn({1, 0, 0, 0}, 2, 0.75);
    model.learn({1, 0, 0, 0}, 6, 0.25);
  }
  model.settle(1);
  EXPECT_NEAR(model.coefficients()[0], 3, 0.01);
}

TEST_F(Forecasting, ForgetsAndLearnsAnew) {
  Forecaster model{{1, 0, 0, 0}, 1};
  teach(model, {0, 1, 0, 0}, 20'000, 0, 0.99);
  teach(model, {0, 0, 1, 0}, 20'000, 0, 0.99);
  expect_near(model.coefficients(), {0, 0, 1, 0}, 0.02);
}

TEST_F(Forecasting, ReturnsToThePriorOnceAllIsForgotten) {
  Forecaster model{{1, 0, 0, 0}, 1};
  teach(model, {0, 1, 0, 0}, 1'600, 0, 1);
  for (int i = 0; i < 5'000; ++i) model.settle(0.99);
  expect_near(model.coefficients(), {1, 0, 0, 0}, 1e-9);
}

TEST_F(Forecasting, InputsThatNeverMoveApartDoNotMakeItDiverge) {
  // Message rate and byte rate in proportion, and a third that is always 0: recursive least squares
  // with forgetting lose all bounds here.
  Forecaster model{{1, 0, 0, 0}, 10};
  for (int i = 0; i < 200'000; ++i) {
    const double rate = around_(random_);
    model.learn({1, rate, rate, 0}, 0.5 + rate, 1);
    if (i % 16 == 15) model.settle(0.98);
  }
  for (const double coefficient : model.coefficients()) {
    ASSERT_TRUE(std::isfinite(coefficient));
    EXPECT_LT(std::abs(coefficient), 2);
  }
  EXPECT_NEAR(model.forecast({1, 0.5, 0.5, 0}), 1, 0.05);
}

}  // namespace
}  // namespace weir::steering
