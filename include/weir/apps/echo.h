// Echo: sends every message back to whom it came from, as it came.
#pragma once

#include "weir/session/handler.h"

namespace weir::apps {

class Echo final : public session::Handler {
 public:
  void on_message(session::Peer& peer, const session::Message& message) override;
};

}  // namespace weir::apps
