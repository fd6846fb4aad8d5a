// Forecaster: a linear model fitted while it is used. Least squares that forget what is long past,
// with a prior that they return to where there is little evidence. Knows nothing of what its inputs
// mean; no clock, no table.
//
// Fitted by the normal equations: a matrix of 4 x 4 that each sample is added to, solved once a
// tick. That is what recursive least squares compute, at the same cost (a tick brings as many
// samples as there are slots, and one solution serves them all), without what those are known for:
// their covariance grows without bound in directions that the inputs do not move in, as they do not
// where message and byte rates are proportional to each other. Here such a direction keeps the
// prior's value.
#pragma once

#include <array>
#include <cstddef>

namespace weir::steering {

class Forecaster {
 public:
  static constexpr std::size_t kInputs = 4;
  using Vector = std::array<double, kInputs>;

  /// `prior`: the coefficients where nothing is known. `strength`: how many samples of inputs about
  /// 1, of weight 1, outweigh it; above 0.
  Forecaster(const Vector& prior, double strength) noexcept;

  [[nodiscard]] double forecast(const Vector& inputs) const noexcept;
  /// Takes in what became of `inputs`, as `weight` samples; acts on forecasts from the next
  /// settle() on.
  void learn(const Vector& inputs, double outcome, double weight) noexcept;
  /// Fits the coefficients anew, then keeps that share (0..1) of the evidence.
  void settle(double keep) noexcept;

  [[nodiscard]] const Vector& coefficients() const noexcept { return coefficients_; }

 private:
  Vector prior_;
  double strength_;
  Vector coefficients_;
  std::array<Vector, kInputs> products_{};  // of inputs with each other; symmetric
  Vector moments_{};                        // of inputs with outcomes
};

}  // namespace weir::steering
