#include "weir/steering/forecaster.h"

#include <cmath>

namespace weir::steering {
namespace {

constexpr std::size_t kInputs = Forecaster::kInputs;
using Vector = Forecaster::Vector;

/// The solution of a x = b for a symmetric positive definite `a`, by Cholesky's decomposition.
Vector solve(std::array<Vector, kInputs> a, Vector b) noexcept {
  for (std::size_t j = 0; j < kInputs; ++j) {
    for (std::size_t k = 0; k < j; ++k) a[j][j] -= a[j][k] * a[j][k];
    a[j][j] = std::sqrt(a[j][j]);
    for (std::size_t i = j + 1; i < kInputs; ++i) {
      for (std::size_t k = 0; k < j; ++k) a[i][j] -= a[i][k] * a[j][k];
      a[i][j] /= a[j][j];
    }
  }
  for (std::size_t i = 0; i < kInputs; ++i) {
    for (std::size_t k = 0; k < i; ++k) b[i] -= a[i][k] * b[k];
    b[i] /= a[i][i];
  }
  for (std::size_t i = kInputs; i-- > 0;) {
    for (std::size_t k = i + 1; k < kInputs; ++k) b[i] -= a[k][i] * b[k];
    b[i] /= a[i][i];
  }
  return b;
}

}  // namespace

Forecaster::Forecaster(const Vector& prior, double strength) noexcept
    : prior_{prior}, strength_{strength}, coefficients_{prior} {}

double Forecaster::forecast(const Vector& inputs) const noexcept {
  double sum = 0;
  for (std::size_t i = 0; i < kInputs; ++i) sum += coefficients_[i] * inputs[i];
  return sum;
}

void Forecaster::learn(const Vector& inputs, double outcome, double weight) noexcept {
  for (std::size_t i = 0; i < kInputs; ++i) {
    for (std::size_t j = 0; j < kInputs; ++j) products_[i][j] += weight * inputs[i] * inputs[j];
    moments_[i] += weight * inputs[i] * outcome;
  }
}

void Forecaster::settle(double keep) noexcept {
  // The prior counts as `strength_` samples of each input alone, which are never forgotten.
  std::array<Vector, kInputs> products = products_;
  Vector moments = moments_;
  for (std::size_t i = 0; i < kInputs; ++i) {
    products[i][i] += strength_;
    moments[i] += strength_ * prior_[i];
  }
  coefficients_ = solve(products, moments);
  for (std::size_t i = 0; i < kInputs; ++i) {
    for (double& product : products_[i]) product *= keep;
    moments_[i] *= keep;
  }
}

}  // namespace weir::steering
