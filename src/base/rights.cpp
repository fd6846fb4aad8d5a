#include "weir/base/rights.h"

#include <cassert>
#include <cstring>

namespace weir {

void attach_rights(msghdr& message, std::span<std::byte> room, std::span<const int> fds) noexcept {
  if (fds.empty()) return;
  assert(CMSG_SPACE(fds.size_bytes()) <= room.size());
  message.msg_control = room.data();
  message.msg_controllen = CMSG_SPACE(fds.size_bytes());
  cmsghdr* const part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(fds.size_bytes());
  std::memcpy(CMSG_DATA(part), fds.data(), fds.size_bytes());
}

void await_rights(msghdr& message, std::span<std::byte> room) noexcept {
  message.msg_control = room.data();
  message.msg_controllen = room.size();
}

std::vector<UniqueFd> take_rights(msghdr& message) {
  std::vector<UniqueFd> taken;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      taken.emplace_back(fd);
    }
  }
  return taken;
}

}  // namespace weir
