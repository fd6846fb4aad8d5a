#include "header_lists.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <utility>

#include "token.h"

namespace weir::wire {

namespace {

constexpr std::string_view kBlank = " \t";

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_token_character);
}

/// Calls `take` with each item, trimmed, empty ones too, until it says false.
template <class Take>
bool for_each_item(std::string_view list, Take take) {
  while (true) {
    const std::size_t comma = list.find(',');
    if (!take(trim(list.substr(0, comma)))) return false;
    if (comma == list.npos) return true;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace

bool lists_token(std::string_view list, std::string_view token) {
  return !for_each_item(
      list, [token](std::string_view item) { return !boost::beast::iequals(item, token); });
}

std::optional<Tokens> unique_tokens(std::span<const std::string_view> lines) {
  std::optional<Tokens> tokens{std::in_place};
  const auto take = [&tokens](std::string_view item) {
    if (item.empty()) return true;
    if (!is_token(item)) return false;
    tokens->push_back(item);
    return true;
  };
  for (const std::string_view line : lines) {
    if (!for_each_item(line, take)) return std::nullopt;
  }
  if (tokens->empty()) return std::nullopt;
  Tokens sorted{*tokens};
  std::ranges::sort(sorted);
  if (std::ranges::adjacent_find(sorted) != sorted.end()) return std::nullopt;
  return tokens;
}

}  // namespace weir::wire
