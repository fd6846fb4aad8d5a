// Numbers in the environment that a service manager sets.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace weir::process {

/// The decimal number that `text` is from end to end; nothing where it is none, or null.
[[nodiscard]] inline std::optional<std::uint64_t> whole_number(const char* text) noexcept {
  if (text == nullptr) return std::nullopt;
  const std::string_view view{text};
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), number);
  if (error != std::errc{} || end != view.data() + view.size()) return std::nullopt;
  return number;
}

}  // namespace weir::process
