// What stands in the header lines of a request that are lists, spread over several lines of the
// same name perhaps (RFC 9110, 5.3 and 5.6.1).
#pragma once

#include <boost/container/small_vector.hpp>
#include <optional>
#include <span>
#include <string_view>

namespace weir::wire {

/// Whether a comma-separated list has `token` in it, in any case. Its other items may be anything:
/// "h2c/1, websocket" is a lawful Upgrade, at which Beast's token_list would stop.
[[nodiscard]] bool lists_token(std::string_view list, std::string_view token);

/// More than any client has use for are on the heap.
using Tokens = boost::container::small_vector<std::string_view, 8>;

/// The items of a list of tokens (1#token) that `lines` are the parts of, in order; empty items do
/// not count. Nothing if an item is no token or occurs twice, or if there is none at all. Takes
/// O(n log n) for n items: the peer chooses n.
[[nodiscard]] std::optional<Tokens> unique_tokens(std::span<const std::string_view> lines);

}  // namespace weir::wire
