#include "weir/process/sandbox.h"

#include <seccomp.h>

#include <array>
#include <cerrno>
#include <memory>

namespace weir::process {
namespace {

constexpr std::array kAllowed{
    // The loop: its one call, the clock where the vDSO has none, waiting on nothing else.
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(clock_gettime),
    // Bulk, which is read and written at once.
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendto),
    // Inboxes, through which sessions come and go.
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(memfd_create),
    SCMP_SYS(pread64),
    // Connections: their peers for the log, half-closing, the reset of one over the limit.
    SCMP_SYS(getpeername),
    SCMP_SYS(getsockname),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockopt),  // of a recording: a socket's number
    SCMP_SYS(shutdown),
    SCMP_SYS(close),
    // The log and the master's pipe.
    SCMP_SYS(write),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    // Memory.
    SCMP_SYS(brk),
    SCMP_SYS(madvise),
    SCMP_SYS(mmap),
    SCMP_SYS(mprotect),
    SCMP_SYS(mremap),
    SCMP_SYS(munmap),
    // The C and C++ run-time: locks, signals on the way to an abort, random seeds, the end. The
    // kernel restarts an interrupted wait by a call of its own.
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(futex),
    SCMP_SYS(getrandom),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sched_yield),
    SCMP_SYS(tgkill),
};

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

}  // namespace

Result<void> enter_sandbox() {
  if (kSanitized) return {};
  const std::unique_ptr<void, void (*)(scmp_filter_ctx)> filter{seccomp_init(SCMP_ACT_ERRNO(EPERM)),
                                                                seccomp_release};
  if (!filter) return os_error("making the system call filter", ENOMEM);
  for (const int call : kAllowed)
    if (const int error = seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 0); error < 0)
      return os_error("filling the system call filter", -error);
  if (const int error = seccomp_load(filter.get()); error < 0)
    return os_error("entering the system call filter", -error, "weir runs without it");
  return {};
}

}  // namespace weir::process
