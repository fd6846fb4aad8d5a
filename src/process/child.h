// Signals, descriptors and CPUs of a process: what a child does between fork and its own work (only
// the fork's single thread exists, and nothing of the master's loop may be used), and what the
// master does around it.
#pragma once

#include <csignal>
#include <span>

namespace weir::process {

/// Closes every descriptor but standard input, output and error and those in `kept`.
void close_all_but(std::span<const int> kept) noexcept;

/// Default actions for all signals, but: SIGPIPE and SIGINT are ignored (a Ctrl-C at the terminal
/// reaches the whole process group, and the master decides what it means), SIGTERM stays blocked
/// for the worker to read from a signalfd.
void take_over_signals() noexcept;

/// Blocks all signals for the rest of the process: what it is doing is ending.
void block_signals() noexcept;

/// Blocks all signals for its life, so that none can be taken by a child that still runs the
/// parent's handlers, which would write into the parent's pipe.
class SignalsBlocked {
 public:
  SignalsBlocked() noexcept;
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked();

 private:
  sigset_t before_;
};

/// Binds this process to one CPU. False if the kernel refuses.
[[nodiscard]] bool pin_to(int cpu) noexcept;

}  // namespace weir::process
