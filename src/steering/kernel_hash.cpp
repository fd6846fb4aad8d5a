#include "kernel_hash.h"

#include <linux/filter.h>
#include <sys/socket.h>

#include <array>
#include <cassert>
#include <cerrno>

namespace weir::steering {

Result<void> keep_to_first(int listener, std::uint32_t listeners) noexcept {
  assert(listeners > 0);
  std::array<sock_filter, 3> code{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<__u32>(SKF_AD_OFF + SKF_AD_RANDOM)),
      BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, listeners),
      BPF_STMT(BPF_RET | BPF_A, 0),
  }};
  const sock_fprog filter{.len = code.size(), .filter = code.data()};
  if (::setsockopt(listener, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &filter, sizeof filter) == 0)
    return {};
  return os_error("keeping new connections to some of the listeners", errno);
}

void keep_to_all(int listener) noexcept {
  // ENOENT: there was no filter.
  const int none = 0;
  ::setsockopt(listener, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &none, sizeof none);
}

}  // namespace weir::steering
