#include "weir/base/rseq.h"

#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#endif

namespace weir {

#if __has_include(<sys/rseq.h>)

bool leave_rseq() noexcept {
  if (__rseq_size == 0) return false;
  // What it was registered with: 32 bytes, the first layout's, or since glibc 2.40 as many of these
  // as the kernel's fields take. Another length is refused.
  constexpr unsigned unit = 32;
  const unsigned bytes = std::max((__rseq_size + unit - 1) / unit, 1U) * unit;
  char* const area = static_cast<char*>(__builtin_thread_pointer()) + __rseq_offset;
  return ::syscall(SYS_rseq, area, bytes, RSEQ_FLAG_UNREGISTER, RSEQ_SIG) == 0;
}

#else

bool leave_rseq() noexcept {
  return false;
}

#endif

}  // namespace weir
