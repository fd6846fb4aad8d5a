#include "weir/wire/hash_on.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "token.h"

namespace weir::wire {
namespace {

constexpr std::array kPrefixes{
    std::pair{std::string_view{"query:"}, HashOn::Part::query},
    std::pair{std::string_view{"header:"}, HashOn::Part::header},
    std::pair{std::string_view{"cookie:"}, HashOn::Part::cookie},
};

bool may_name_an_argument(char c) noexcept {
  return c > ' ' && c < 0x7f && c != '&' && c != '=' && c != '#';
}

/// The piece of `list` up to the next `separator`, which goes with it.
std::string_view take_piece(std::string_view& list, char separator) noexcept {
  const std::size_t end = list.find(separator);
  const std::string_view piece = list.substr(0, end);
  list.remove_prefix(end == list.npos ? list.size() : end + 1);
  return piece;
}

std::string_view without_white_space(std::string_view text) noexcept {
  constexpr std::string_view white_space = " \t";
  text.remove_prefix(std::min(text.find_first_not_of(white_space), text.size()));
  return text.substr(0, text.find_last_not_of(white_space) + 1);
}

}  // namespace

std::optional<HashOn> parse_hash_on(std::string_view text) {
  if (text == "path") return HashOn{};
  for (const auto& [prefix, part] : kPrefixes) {
    if (!text.starts_with(prefix)) continue;
    const std::string_view name = text.substr(prefix.size());
    bool (*const allowed)(char) =
        part == HashOn::Part::query ? may_name_an_argument : is_token_character;
    if (name.empty() || !std::ranges::all_of(name, allowed)) return std::nullopt;
    return HashOn{.part = part, .name = std::string{name}};
  }
  return std::nullopt;
}

std::string to_string(const HashOn& hash_on) {
  const auto* const found =
      std::ranges::find(kPrefixes, hash_on.part, [](const auto& prefix) { return prefix.second; });
  if (found == kPrefixes.end()) return "path";
  return fmt::format("{}{}", found->first, hash_on.name);
}

std::optional<std::string_view> query_argument(std::string_view target,
                                               std::string_view name) noexcept {
  const std::size_t begin = target.find('?');
  if (begin == target.npos) return std::nullopt;
  for (std::string_view left = target.substr(begin + 1); !left.empty();) {
    const std::string_view argument = take_piece(left, '&');
    const std::size_t equals = std::min(argument.find('='), argument.size());
    if (argument.substr(0, equals) == name)
      return argument.substr(std::min(equals + 1, argument.size()));
  }
  return std::nullopt;
}

std::optional<std::string_view> cookie_value(std::string_view header,
                                             std::string_view name) noexcept {
  while (!header.empty()) {
    const std::string_view cookie = take_piece(header, ';');
    const std::size_t equals = cookie.find('=');
    if (equals == cookie.npos || without_white_space(cookie.substr(0, equals)) != name) continue;
    return without_white_space(cookie.substr(equals + 1));
  }
  return std::nullopt;
}

}  // namespace weir::wire
