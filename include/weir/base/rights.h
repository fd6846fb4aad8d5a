// Rights: descriptors that go with a message over a Unix socket (SCM_RIGHTS, unix(7)).
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "weir/base/unique_fd.h"

namespace weir {

/// Room for the descriptors of one message, up to `Most`. Has to outlive the call that it is for.
template <std::size_t Most>
struct alignas(cmsghdr) RightsRoom {
  std::array<std::byte, CMSG_SPACE(Most * sizeof(int))> bytes{};
};

/// Has the `message` that is to be sent carry `fds`, which stay the sender's. None are fine.
void attach_rights(msghdr& message, std::span<std::byte> room, std::span<const int> fds) noexcept;

/// Before a message is received: where its descriptors go.
void await_rights(msghdr& message, std::span<std::byte> room) noexcept;

/// The descriptors of a message that was received; they are the caller's. Some are missing if it
/// is marked MSG_CTRUNC.
[[nodiscard]] std::vector<UniqueFd> take_rights(msghdr& message);

}  // namespace weir
