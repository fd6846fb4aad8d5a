// Signals, descriptors and CPUs of a process: what a child does between fork and its own work (only
// the fork's single thread exists, and nothing of the master's loop may be used), and what the
// master does around it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "weir/base/result.h"
#include "weir/base/unique_fd.h"

namespace weir::process {

/// Closes every descriptor but standard input, output and error and those in `kept`, where -1
/// stands for none.
void close_all_but(std::span<const int> kept) noexcept;

/// Default actions for all signals, but: SIGPIPE and SIGINT are ignored (a Ctrl-C at the terminal
/// reaches the whole process group, and the master decides what it means), SIGTERM and SIGUSR1 stay
/// blocked for the worker to read from a signalfd.
void take_over_signals() noexcept;

/// Becomes `program`, with `arguments` (the first is what it is called) and the environment as it
/// is, but that WEIR_UPGRADE_FD names `channel`. Signals are as they were before master_signals().
/// Returns only where that fails: the errno.
[[nodiscard]] int run_successor(const std::string& program,
                                const std::vector<std::string>& arguments, int channel) noexcept;

/// A signalfd, non-blocking, from which SIGTERM, SIGINT, SIGHUP and SIGUSR2 are read; all are
/// blocked for the rest of the process, so that none has its default action before the descriptor
/// is watched or after it is closed, nor in a child before it takes over its signals.
/// (asio::signal_set will not do: its reactor reads a pipe until that is empty, which under signals
/// that keep coming is never.)
[[nodiscard]] Result<UniqueFd> master_signals();

/// Binds this process to one CPU. False if the kernel refuses.
[[nodiscard]] bool pin_to(int cpu) noexcept;

}  // namespace weir::process
