// The kernel's hash, where no program of ours steers: kept to some of a group's listeners. For
// slots that are about to go, which must get nothing new, and for those whose worker is not there
// yet.
//
// A classic filter does it (SO_ATTACH_REUSEPORT_CBPF, Linux 4.5), which takes no privilege: it
// names the listener by its index in the group, which is the order in which they began to listen,
// and stays that as long as those that are closed are the last ones. It picks at random: a SYN that
// was dropped and comes again need not go where there was no room, and what is already in its
// handshake is found without it.
#pragma once

#include <cstdint>

#include "weir/base/result.h"

namespace weir::steering {

/// New connections of the SO_REUSEPORT group of `listener` go to the first `listeners` of it, at
/// least one.
[[nodiscard]] Result<void> keep_to_first(int listener, std::uint32_t listeners) noexcept;

/// They go to all of it again, by the kernel's hash.
void keep_to_all(int listener) noexcept;

}  // namespace weir::steering
