#include "weir/apps/echo.h"

namespace weir::apps {

void Echo::on_message(session::Peer& peer, const session::Message& message) {
  peer.forward(message);
}

}  // namespace weir::apps
