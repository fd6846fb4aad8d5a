// Random: numbers that are the same on every machine and with every library for a seed, which the
// distributions of <random> are not. SplitMix64: eight bytes of state, so that each session can
// have its own, and draws the same costs whichever policy it is simulated under.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace weir::sim {

class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_{seed} {}
  /// An independent stream for each pair.
  Random(std::uint64_t seed, std::uint64_t stream) noexcept
      : state_{mix(seed + mix(stream + 0x9e3779b97f4a7c15ULL))} {}

  std::uint64_t next() noexcept { return mix(state_ += 0x9e3779b97f4a7c15ULL); }
  /// In (0, 1): never an end, so that its logarithm is finite.
  double uniform() noexcept { return (static_cast<double>(next() >> 12) + 0.5) * 0x1p-52; }
  double exponential(double mean) noexcept { return -mean * std::log(uniform()); }
  double normal() noexcept {
    const double radius = std::sqrt(-2 * std::log(uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }
  /// 0..count - 1.
  std::uint32_t below(std::uint32_t count) noexcept {
    return static_cast<std::uint32_t>(((next() >> 32) * count) >> 32);
  }

 private:
  static std::uint64_t mix(std::uint64_t x) noexcept {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
  }

  std::uint64_t state_;
};

}  // namespace weir::sim
