#include "distribution.h"

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace weir::sim {
namespace {

using Kind = Distribution::Kind;
constexpr std::array<std::pair<std::string_view, Kind>, 4> kKinds{{{"fixed", Kind::fixed},
                                                                   {"exp", Kind::exponential},
                                                                   {"pareto", Kind::pareto},
                                                                   {"lognormal", Kind::lognormal}}};

/// Takes the text up to the next colon off the front.
std::string_view next_piece(std::string_view& text) {
  const std::size_t colon = text.find(':');
  const std::string_view piece = text.substr(0, colon);
  text = colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1);
  return piece;
}

bool read(std::string_view text, double& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() && std::isfinite(out);
}

bool has_shape(Kind kind) noexcept {
  return kind == Kind::pareto || kind == Kind::lognormal;
}

}  // namespace

double Distribution::draw(Random& random) const noexcept {
  switch (kind) {
    case Kind::fixed: return mean;
    case Kind::exponential: return random.exponential(mean);
    case Kind::pareto: return mean * (shape - 1) / shape * std::pow(random.uniform(), -1 / shape);
    case Kind::lognormal: return mean * std::exp(shape * random.normal() - shape * shape / 2);
  }
  return mean;
}

std::optional<Distribution> parse_distribution(std::string_view text) {
  Distribution out;
  const std::string_view name = next_piece(text);
  bool known = false;
  for (const auto& [kind_name, kind] : kKinds)
    if (name == kind_name) {
      out.kind = kind;
      known = true;
    }
  if (!known || !read(next_piece(text), out.mean) || out.mean <= 0) return std::nullopt;
  if (!has_shape(out.kind)) return text.empty() ? std::optional{out} : std::nullopt;
  if (!read(text, out.shape) || out.shape <= 0) return std::nullopt;
  if (out.kind == Kind::pareto && out.shape <= 1) return std::nullopt;
  return out;
}

}  // namespace weir::sim
