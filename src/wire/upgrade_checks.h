// What a whole, well-formed request is answered with. One check after another, in the order in
// which a client would put things right: what it talks to, then how, then who it is and what it
// offers.
#pragma once

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <string>
#include <variant>

#include "upgrade_response.h"
#include "weir/wire/upgrade.h"

namespace weir::wire {

/// An upgrade that is let in.
struct AgreedUpgrade {
  UpgradeRequest request;
  std::string extensions;  // the value of Sec-WebSocket-Extensions in the 101; empty: none
};

[[nodiscard]] std::variant<AgreedUpgrade, UpgradeAnswer> judge(
    const boost::beast::http::request<boost::beast::http::empty_body>& request,
    const UpgradeRules& rules);

}  // namespace weir::wire
