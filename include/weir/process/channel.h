// Channel: frames of text, with descriptors beside them, over a connected Unix stream socket: what
// an old master and its successor say to each other, and how what the one has is handed to the
// other. The peer may be another version of weir, so what is in the text says what it is; only the
// frame is fixed: "weir", the bytes of the text and the number of descriptors, each in four bytes
// of this host's order, the descriptors with the first of them (SCM_RIGHTS).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weir/base/clock.h"
#include "weir/base/result.h"
#include "weir/base/unique_fd.h"
#include "weir/base/units.h"

namespace weir::process {

struct Frame {
  std::string text;
  std::vector<UniqueFd> fds;
};

inline constexpr std::size_t kFrameBytesMax = 64_KiB;
/// What the kernel takes with one message (SCM_MAX_FD).
inline constexpr std::size_t kFrameFdsMax = 253;

/// Sends one frame, of which there may be so much as a socket's buffer holds before its reader
/// begins: what there is no room for fails. `fds` are lent.
[[nodiscard]] Result<void> send_frame(int socket, std::string_view text,
                                      std::span<const int> fds = {}) noexcept;

/// Waits up to `patience` for one frame. Fails at the peer's end as well, and on what is none.
[[nodiscard]] Result<Frame> receive_frame(int socket, Duration patience);

}  // namespace weir::process
