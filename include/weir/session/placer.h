// Placer: which worker a session belongs to by what its request asks for. The one question that
// Sessions asks of whoever knows the policy and the other workers.
#pragma once

#include <cstdint>

#include "weir/base/clock.h"
#include "weir/wire/upgrade.h"

namespace weir::session {

/// What an opening session is to do.
struct Placement {
  enum class Kind : std::uint8_t {
    here,    // be answered here: it is this worker's, or nobody's
    no_key,  // likewise, because its request lacks what it would be placed by
    stays,   // likewise, although it is another's, which it cannot be given to now
    there,   // go to the worker of `slot`
  };
  Kind kind = Kind::here;
  std::uint32_t slot = 0;
};

/// One per worker, called from its one thread. This one has every session answered where it was
/// accepted.
class Placer {
 public:
  Placer() = default;
  Placer(const Placer&) = delete;
  Placer& operator=(const Placer&) = delete;
  virtual ~Placer() = default;

  /// Asked once for each request that would be answered with 101, on the worker that accepted its
  /// connection.
  [[nodiscard]] virtual Placement place(const wire::UpgradeRequest& /*request*/,
                                        Instant /*now*/) noexcept {
    return {};
  }
};

}  // namespace weir::session
