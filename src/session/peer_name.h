// PeerName: whose connection a log line is about, looked up only if the line is written.
#pragma once

#include <fmt/format.h>

#include "weir/session/session.h"

namespace weir::session {

struct PeerName {
  const Session& session;
};

}  // namespace weir::session

/// The client's address as a proxy told it, else the socket's peer.
template <>
struct fmt::formatter<weir::session::PeerName> : fmt::formatter<std::string> {
  auto format(const weir::session::PeerName& name, fmt::format_context& context) const {
    const weir::session::Session& session = name.session;
    std::string text = "a peer that is gone";
    if (session.client)
      text = session.client->to_string();
    else if (const auto peer = weir::SocketAddress::peer_of(session.fd))
      text = peer->to_string();
    return fmt::formatter<std::string>::format(text, context);
  }
};
