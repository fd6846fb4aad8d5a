// Witness: who is told which sessions there are, beside the handler, which is told what they say.
#pragma once

#include <cstddef>

#include "weir/session/session.h"

namespace weir::session {

class Witness {
 public:
  virtual ~Witness() = default;
  /// The session is open from here on. `handshake_bytes`: of its unsent output, so many are the
  /// answer to its handshake; 0 where it came from another worker.
  virtual void came(const Session& session, std::size_t handshake_bytes) = 0;
  /// It has ended, or left for another worker. Its socket is still open.
  virtual void went(const Session& session) = 0;
};

}  // namespace weir::session
