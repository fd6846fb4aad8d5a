// The head of a request as the checks of an opening handshake see it: the request line, and of the
// header lines those that they look at. Boost.Beast parses; nothing is copied that can be pointed
// at, and nothing is kept of what no check asks for. RFC 9112, sections 3 and 5.
#pragma once

#include <boost/beast/core/error.hpp>
#include <boost/beast/http/verb.hpp>
#include <boost/container/small_vector.hpp>
#include <cstddef>
#include <forward_list>
#include <optional>
#include <string>
#include <string_view>

#include "weir/wire/hash_on.h"

namespace weir::wire {

/// Room for one line in place: more of one name are rare, and may be as many as fit a head.
using HeaderLines = boost::container::small_vector<std::string_view, 1>;

/// A field that has to stand at most once.
struct SingleField {
  std::size_t lines = 0;
  std::string_view value{};  // the last line's

  /// Empty if it is missing or repeated, too.
  [[nodiscard]] std::string_view only_value() const noexcept {
    return lines == 1 ? value : std::string_view{};
  }
};

/// All views are of the bytes parsed, or of the caller's store of unfolded values.
struct RequestHead {
  boost::beast::http::verb method = boost::beast::http::verb::unknown;
  int version = 0;  // 10 or 11
  std::string_view target{};
  SingleField host{};
  SingleField origin{};
  SingleField key{};                            // Sec-WebSocket-Key
  SingleField websocket_version{};              // Sec-WebSocket-Version
  HeaderLines protocols{};                      // Sec-WebSocket-Protocol
  HeaderLines extensions{};                     // Sec-WebSocket-Extensions
  std::optional<std::string_view> hashed_on{};  // of HashOn a header, or a cookie
  bool upgrades_to_websocket = false;           // Upgrade lists it
  bool connection_upgrades = false;             // Connection lists upgrade
  bool declares_body = false;                   // of more than no bytes, or of any transfer coding
};

/// Values that came folded over several lines (RFC 9112, 5.2), each in one.
using UnfoldedValues = std::forward_list<std::string>;

/// The whole of a head in `text`, which ends with its empty line, into `head`. An error is one of
/// Beast's, and leaves `head` half written; header_limit is for a field, not for `text`: a name or
/// value past 65,533 bytes, or one folded that is past 4,096. `hash_on`: which header, or cookie,
/// RequestHead::hashed_on is.
[[nodiscard]] boost::beast::error_code parse_request_head(std::string_view text,
                                                          const HashOn& hash_on, RequestHead& head,
                                                          UnfoldedValues& unfolded);

}  // namespace weir::wire
