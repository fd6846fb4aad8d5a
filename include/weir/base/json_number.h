// Numbers in JSON that another process wrote: a request at the control socket, an estate.
#pragma once

#include <boost/json/object.hpp>
#include <concepts>
#include <optional>
#include <string_view>

namespace weir {

/// The number that `from` has by that name; nothing where it has none that is a `Number`.
template <std::unsigned_integral Number>
[[nodiscard]] std::optional<Number> number_in(const boost::json::object& from,
                                              std::string_view name) {
  const boost::json::value* const given = from.if_contains(name);
  if (given == nullptr || !given->is_number()) return std::nullopt;
  boost::system::error_code bad;
  const auto number = given->to_number<Number>(bad);
  return bad ? std::nullopt : std::optional{number};
}

}  // namespace weir
