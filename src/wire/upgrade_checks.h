// What a whole, well-formed request is answered with. One check after another, in the order in
// which a client would put things right: what it talks to, then how, then who it is and what it
// offers.
#pragma once

#include <variant>

#include "request_head.h"
#include "upgrade_response.h"
#include "weir/wire/upgrade.h"

namespace weir::wire {

/// An upgrade that is let in.
struct AgreedUpgrade {
  UpgradeRequest request;
  DeflateResponse extensions;  // the value of Sec-WebSocket-Extensions in the 101; empty: none
};

[[nodiscard]] std::variant<AgreedUpgrade, UpgradeAnswer> judge(const RequestHead& request,
                                                               const UpgradeRules& rules);

}  // namespace weir::wire
