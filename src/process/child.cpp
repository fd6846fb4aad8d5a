#include "child.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

namespace weir::process {

void close_all_but(std::span<const int> kept) noexcept {
  std::vector<int> sorted{STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
  sorted.insert(sorted.end(), kept.begin(), kept.end());
  std::ranges::sort(sorted);
  unsigned first = 0;
  for (const int fd : sorted) {
    const auto open = static_cast<unsigned>(fd);
    if (open > first) ::close_range(first, open - 1, 0);
    first = open + 1;
  }
  ::close_range(first, ~0U, 0);
}

void take_over_signals() noexcept {
  for (int number = 1; number < NSIG; ++number) {
    if (number == SIGKILL || number == SIGSTOP) continue;
    ::signal(number, number == SIGPIPE || number == SIGINT ? SIG_IGN : SIG_DFL);
  }
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
}

void block_signals() noexcept {
  sigset_t all;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
}

SignalsBlocked::SignalsBlocked() noexcept {
  ::sigprocmask(SIG_SETMASK, nullptr, &before_);
  block_signals();
}

SignalsBlocked::~SignalsBlocked() {
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

bool pin_to(int cpu) noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(cpu), &set);
  return ::sched_setaffinity(0, sizeof set, &set) == 0;
}

}  // namespace weir::process
