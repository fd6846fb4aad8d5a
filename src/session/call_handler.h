// The one way into the application: what it throws ends its session, not the worker.
#pragma once

#include <exception>

#include "weir/base/log.h"
#include "weir/session/sessions.h"

namespace weir::session {

// Always inline: as a function of its own it would be handed what `call` captures through memory.
template <class Call>
[[gnu::always_inline]] inline void Sessions::call_handler(Session& session, Call call) {
  Peer peer{*this, session};
  try {
    call(peer);
  } catch (const std::exception& error) {
    spdlog::error("the application failed on a session, which is closed: {}", error.what());
    begin_close(session, wire::CloseCode::internal_error, "internal error", now_);
  }
}

}  // namespace weir::session
