#include "header_lists.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <iterator>

namespace weir::wire {

namespace http = boost::beast::http;

namespace {

constexpr std::string_view kBlank = " \t";
// RFC 9110, 5.6.2. RFC 6455's own definition, U+0021 to U+007E without separators, is the same.
constexpr std::string_view kTokenMarks = "!#$%&'*+-.^_`|~";

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kTokenMarks.find(c) != std::string_view::npos;
  });
}

/// Calls `take` with each item, trimmed, empty ones too, until it says false.
template <class Take>
bool for_each_item(const http::fields& fields, http::field name, Take take) {
  const auto [first, end] = fields.equal_range(name);
  return std::all_of(first, end, [&take](const auto& field) {
    std::string_view list = field.value();
    while (true) {
      const std::size_t comma = list.find(',');
      if (!take(trim(list.substr(0, comma)))) return false;
      if (comma == list.npos) return true;
      list.remove_prefix(comma + 1);
    }
  });
}

}  // namespace

std::optional<std::string_view> only_value(const http::fields& fields, http::field name) {
  const auto [first, end] = fields.equal_range(name);
  if (first == end || std::next(first) != end) return std::nullopt;
  return first->value();
}

std::vector<std::string_view> values_of(const http::fields& fields, http::field name) {
  const auto [first, end] = fields.equal_range(name);
  std::vector<std::string_view> values;
  std::transform(first, end, std::back_inserter(values),
                 [](const auto& field) { return std::string_view{field.value()}; });
  return values;
}

bool lists_token(const http::fields& fields, http::field name, std::string_view token) {
  return !for_each_item(
      fields, name, [token](std::string_view item) { return !boost::beast::iequals(item, token); });
}

std::optional<std::vector<std::string_view>> unique_tokens(const http::fields& fields,
                                                           http::field name) {
  std::vector<std::string_view> tokens;
  const bool all_are_tokens = for_each_item(fields, name, [&tokens](std::string_view item) {
    if (item.empty()) return true;
    if (!is_token(item)) return false;
    tokens.push_back(item);
    return true;
  });
  if (!all_are_tokens || tokens.empty()) return std::nullopt;
  std::vector<std::string_view> sorted{tokens};
  std::ranges::sort(sorted);
  if (std::ranges::adjacent_find(sorted) != sorted.end()) return std::nullopt;
  return tokens;
}

}  // namespace weir::wire
