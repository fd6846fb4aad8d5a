// Numbers, durations and sizes as people write them in flags and read them in logs: 50ms, 64KiB.
#pragma once

#include <charconv>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace weir {

inline namespace literals {
constexpr std::uint64_t operator""_KiB(unsigned long long n) {
  return n << 10;
}
constexpr std::uint64_t operator""_MiB(unsigned long long n) {
  return n << 20;
}
}  // namespace literals

/// A decimal number from end to end, digits only; nothing for anything else, or one too large for
/// a `Number`.
template <std::unsigned_integral Number>
[[nodiscard]] std::optional<Number> parse_number(std::string_view text) noexcept {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// A whole number and a unit: ns, us, ms, s, m or h. "0" needs no unit. Nothing for anything
/// else, a negative number or one past 100 years.
[[nodiscard]] std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);

/// A whole number of bytes and an optional unit: B, KiB, MiB, GiB, or kB, MB, GB (powers of
/// ten). Nothing for anything else or past 2^63 - 1.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);

/// The shortest exact form that parse_duration reads back: 1500ms, 2s, 0.
[[nodiscard]] std::string format_duration(std::chrono::nanoseconds duration);

/// The shortest exact form that parse_size reads back: 64KiB, 1MiB, 1000.
[[nodiscard]] std::string format_size(std::uint64_t bytes);

}  // namespace weir
