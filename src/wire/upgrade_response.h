// What the opening handshake sends back, as bytes: the 101, and every answer that ends with it.
#pragma once

#include <boost/beast/http/status.hpp>
#include <string>
#include <string_view>

#include "weir/wire/upgrade.h"

namespace weir::wire {

/// All that a connection gets which is not upgraded: a refusal, or the answer to a health check.
struct UpgradeAnswer {
  boost::beast::http::status status;
  /// A line for people: what is wrong and what would be right. Nothing that the peer sent.
  std::string body;
  std::string_view fields = "";  // header lines that this status calls for
};

/// The whole response to a request that is not upgraded, at the end of `out`; the connection closes
/// after it. A HEAD gets the header alone (RFC 9110, 9.3.2).
void append_answer(const UpgradeAnswer& answer, bool to_head, UpgradeResponse& out);

/// The 101 (RFC 6455, 4.2.2, /5/), at the end of `out`. An empty subprotocol or extension is not
/// named.
void append_switching_protocols(std::string_view accept_key, std::string_view subprotocol,
                                std::string_view extensions, UpgradeResponse& out);

}  // namespace weir::wire
