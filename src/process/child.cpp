#include "child.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <vector>

namespace weir::process {

void close_all_but(std::span<const int> kept) noexcept {
  std::vector<int> sorted{STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
  sorted.insert(sorted.end(), kept.begin(), kept.end());
  std::erase_if(sorted, [](int fd) { return fd < 0; });
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
  sigaddset(&blocked, SIGUSR1);
  ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
}

int run_successor(const std::string& program, const std::vector<std::string>& arguments,
                  int channel) noexcept {
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  close_all_but(std::array{channel});  // asio's sockets do not close on exec
  if (::fcntl(channel, F_SETFD, 0) != 0 ||
      ::setenv("WEIR_UPGRADE_FD", std::to_string(channel).c_str(), 1) != 0)
    return errno;
  // The watchdog is the service's, whichever process its master is.
  if (::getenv("WATCHDOG_PID") != nullptr)
    ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execv(program.c_str(), argv.data());
  return errno;
}

Result<UniqueFd> master_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  sigaddset(&set, SIGUSR2);
  UniqueFd fd{::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
  if (!fd) return os_error("signalfd", errno);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  return fd;
}

bool pin_to(int cpu) noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(cpu), &set);
  return ::sched_setaffinity(0, sizeof set, &set) == 0;
}

}  // namespace weir::process
