// Gate: who may come in. The one question that Sessions asks of whoever knows what all workers
// have of a client together.
#pragma once

#include <cstdint>

#include "weir/base/clock.h"
#include "weir/base/socket_address.h"

namespace weir::session {

/// One per worker, called from its one thread. This one lets everybody in.
class Gate {
 public:
  Gate() = default;
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  virtual ~Gate() = default;

  /// Whether there is anything to ask: else the client's address need not be known.
  [[nodiscard]] virtual bool asks() const noexcept { return false; }
  /// Whether one more connection of `client` may stay. `place` is the session's until it left():
  /// no other session has it. A refusal is counted by the gate.
  [[nodiscard]] virtual bool admit(std::uint32_t /*place*/, const SocketAddress& /*client*/,
                                   Instant /*now*/) noexcept {
    return true;
  }
  /// Counts in a connection that was admitted before, by the worker that it came from: it is not
  /// refused, and pays nothing.
  virtual void take_over(std::uint32_t /*place*/, const SocketAddress& /*client*/,
                         Instant /*now*/) noexcept {}
  /// The session of this place has ended. Also called for places that were never asked about.
  virtual void left(std::uint32_t /*place*/) noexcept {}
};

}  // namespace weir::session
