// The order that the kernel has the sockets of a SO_REUSEPORT group in, which a classic program
// names them by: that in which they began to listen, as far as weir's own go, and unknown of those
// that somebody else made to listen.
#pragma once

#include <span>
#include <vector>

#include "weir/base/result.h"
#include "weir/base/socket_address.h"
#include "weir/base/unique_fd.h"

namespace weir::process {

/// Puts `group`, all the sockets of one that listens at `address`, in that order. It is found by
/// trial, as nothing tells: a program leads a SYN of ours to each index in turn, a filter has every
/// socket drop it, and the counter of drops tells whose it was. So no queue sees it. What comes
/// from others meanwhile, a millisecond, goes to the sockets in turn. A program that the group had
/// is gone afterwards, and so is a filter of a socket.
///
/// Fails, with the group as it was, if an index is none of theirs or the SYN never came.
[[nodiscard]] Result<void> sort_by_index(std::vector<UniqueFd>& group,
                                         const SocketAddress& address);

}  // namespace weir::process
