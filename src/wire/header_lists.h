// What stands in the header lines of a request: single values, and lists spread over several
// lines of the same name (RFC 9110, 5.3 and 5.6.1).
#pragma once

#include <boost/beast/http/fields.hpp>
#include <optional>
#include <string_view>
#include <vector>

namespace weir::wire {

/// The value of a field that has to stand exactly once; nothing if it is missing or repeated.
/// Lent for the life of `fields`, as all that follows.
[[nodiscard]] std::optional<std::string_view> only_value(const boost::beast::http::fields& fields,
                                                         boost::beast::http::field name);

/// The values of every line of this name, in order.
[[nodiscard]] std::vector<std::string_view> values_of(const boost::beast::http::fields& fields,
                                                      boost::beast::http::field name);

/// Whether a comma-separated list has `token` in it, in any case. Its other items may be anything:
/// "h2c/1, websocket" is a lawful Upgrade, at which Beast's token_list would stop.
[[nodiscard]] bool lists_token(const boost::beast::http::fields& fields,
                               boost::beast::http::field name, std::string_view token);

/// The items of a list of tokens (1#token), in order; empty items do not count. Nothing if an item
/// is no token or occurs twice, or if there is none at all. Takes O(n log n) for n items: the peer
/// chooses n.
[[nodiscard]] std::optional<std::vector<std::string_view>> unique_tokens(
    const boost::beast::http::fields& fields, boost::beast::http::field name);

}  // namespace weir::wire
