#include "weir/base/units.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>

namespace weir {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t scale;
};

// Largest first: the first that divides a value is the shortest exact way to write it.
constexpr std::array kDurations{
    Unit{"h", 3'600'000'000'000}, Unit{"m", 60'000'000'000}, Unit{"s", 1'000'000'000},
    Unit{"ms", 1'000'000},        Unit{"us", 1'000},         Unit{"ns", 1},
};
constexpr std::array kSizes{
    Unit{"GiB", 1ULL << 30},
    Unit{"GB", 1'000'000'000},
    Unit{"MiB", 1ULL << 20},
    Unit{"MB", 1'000'000},
    Unit{"KiB", 1ULL << 10},
    Unit{"kB", 1'000},
    Unit{"B", 1},
};
constexpr std::uint64_t kDurationMax = 100ULL * 365 * 24 * 3'600'000'000'000;
constexpr std::uint64_t kSizeMax = std::numeric_limits<std::int64_t>::max();

/// The number at the front of `text`, with the rest left in `text`.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

template <std::size_t N>
std::optional<std::uint64_t> scaled(std::uint64_t number, std::string_view name,
                                    const std::array<Unit, N>& units, std::uint64_t max) {
  for (const Unit& unit : units) {
    if (unit.name != name) continue;
    if (number > max / unit.scale) return std::nullopt;
    return number * unit.scale;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  const auto number = take_number(text);
  if (!number) return std::nullopt;
  if (*number == 0 && text.empty()) return std::chrono::nanoseconds{0};
  const auto ns = scaled(*number, text, kDurations, kDurationMax);
  if (!ns) return std::nullopt;
  return std::chrono::nanoseconds{static_cast<std::int64_t>(*ns)};
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  const auto number = take_number(text);
  if (!number) return std::nullopt;
  return scaled(*number, text.empty() ? "B" : text, kSizes, kSizeMax);
}

std::string format_duration(std::chrono::nanoseconds duration) {
  const auto ns = static_cast<std::uint64_t>(duration.count());
  if (ns == 0) return "0";
  for (const Unit& unit : kDurations)
    if (ns % unit.scale == 0) return fmt::format("{}{}", ns / unit.scale, unit.name);
  return fmt::format("{}ns", ns);
}

std::string format_size(std::uint64_t bytes) {
  for (const Unit& unit : kSizes) {
    const bool binary = unit.name.size() == 3;
    if (binary && bytes != 0 && bytes % unit.scale == 0)
      return fmt::format("{}{}", bytes / unit.scale, unit.name);
  }
  return fmt::format("{}", bytes);
}

}  // namespace weir
