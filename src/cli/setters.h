// Setters for rows of a flag table: each reads one kind of value into one member. All of them
// return false, and change nothing, when the text is not of that kind or out of range.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "weir/base/units.h"

namespace weir::cli {

/// A whole decimal number, digits only.
template <std::unsigned_integral Number>
[[nodiscard]] std::optional<Number> parse_number(std::string_view text, Number min, Number max) {
  const auto number = weir::parse_number<Number>(text);
  return number && *number >= min && *number <= max ? number : std::nullopt;
}

template <auto Member, auto Min, auto Max, class Options>
bool set_number(Options& options, std::string_view text) {
  const auto number = parse_number<decltype(Max)>(text, Min, Max);
  if (number) options.*Member = *number;
  return number.has_value();
}

/// What 0 means to a duration.
enum class Zero : bool { refused, off };

/// A duration of Min to Max of the unit, written in any, or 0 where that turns it off.
template <auto Member, std::int64_t Min, std::int64_t Max, Zero zero,
          class Unit = std::chrono::milliseconds, class Options>
bool set_duration(Options& options, std::string_view text) {
  const auto duration = parse_duration(text);
  if (!duration) return false;
  const bool off = zero == Zero::off && *duration == std::chrono::nanoseconds{0};
  const bool in_range = *duration >= Unit{Min} && *duration <= Unit{Max};
  if (!off && !in_range) return false;
  options.*Member = *duration;
  return true;
}

template <auto Member, std::uint64_t Min, std::uint64_t Max, class Options>
bool set_size(Options& options, std::string_view text) {
  const auto size = parse_size(text);
  if (!size || *size < Min || *size > Max) return false;
  options.*Member = *size;
  return true;
}

/// A path to a file or a name: not empty, and no flag whose own value was forgotten.
template <auto Member, class Options>
bool set_path(Options& options, std::string_view text) {
  if (text.empty() || text.front() == '-') return false;
  options.*Member = text;
  return true;
}

/// sockaddr_un's path, less its closing zero.
inline constexpr std::size_t kSocketPathMax = 107;  // bytes

template <class Options>
bool set_control(Options& options, std::string_view text) {
  return text.size() <= kSocketPathMax && set_path<&Options::control>(options, text);
}

template <auto Member, class Options>
bool set_switch(Options& options, std::string_view) {
  options.*Member = true;
  return true;
}

/// --help and --version, which are answered before any value is stored.
template <class Options>
bool set_nothing(Options&, std::string_view) {
  return true;
}

}  // namespace weir::cli
