#include "key_placer.h"

namespace weir::server {

using session::Placement;

Placement KeyPlacer::place(const wire::UpgradeRequest& request, Instant now) noexcept {
  using Kind = Placement::Kind;
  if (!owners_.on()) return {};
  if (!request.hashed_on) return {.kind = Kind::no_key};
  const auto owner = owners_.owner_of(*request.hashed_on, now);
  if (!owner || *owner == slot_.slot()) return {};
  return {.kind = may_take(*owner) ? Kind::there : Kind::stays, .slot = *owner};
}

bool KeyPlacer::may_take(std::uint32_t owner) noexcept {
  // Once this worker has handed its slot over, what it sends is what new and old both read.
  if (slot_.owns() && !owners_.is_of_our_master(owner)) return false;
  // One without a descriptor left would let it wait in its inbox. A key that is everybody's fills
  // its worker, and then the others.
  const std::uint64_t held = descriptors_.each_slot * slot_.slots();
  return descriptors_.in_all > held && owners_.connections(owner) < descriptors_.in_all - held;
}

}  // namespace weir::server
