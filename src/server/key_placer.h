// KeyPlacer: where a session is to be answered under --steer uri-hash: by the worker whose share
// its key is in (weir/steering/key_owner.h). The key is what the rules hash on (wire/hash_on.h).
// Under every other policy, where it was accepted.
#pragma once

#include <cstddef>
#include <cstdint>

#include "weir/session/placer.h"
#include "weir/steering/key_owner.h"
#include "weir/steering/worker_slot.h"

namespace weir::server {

/// The descriptors that a worker's sessions have to share with what it holds for each slot.
struct Descriptors {
  std::uint64_t in_all = 0;
  std::uint64_t each_slot = 0;
};

class KeyPlacer final : public session::Placer {
 public:
  /// All are borrowed. `slot` is this worker's own.
  KeyPlacer(steering::WorkerSlot& slot, steering::KeyOwners owners,
            Descriptors descriptors) noexcept
      : slot_{slot}, owners_{owners}, descriptors_{descriptors} {}

  [[nodiscard]] session::Placement place(const wire::UpgradeRequest& request,
                                         Instant now) noexcept override;

 private:
  [[nodiscard]] bool may_take(std::uint32_t owner) noexcept;

  steering::WorkerSlot& slot_;
  steering::KeyOwners owners_;
  Descriptors descriptors_;
};

}  // namespace weir::server
