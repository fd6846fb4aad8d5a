// The process's one logger: spdlog to standard error, one line per event, each with the role
// (master or the worker's slot) and the process id.
//
// Safe across fork: the sink is synchronous and unbuffered, no thread and no lock is shared; a
// child calls set_role() before it logs. A line is one write(2), so lines of several processes
// do not mix (up to PIPE_BUF on a pipe).
//
// To log, include this header, not spdlog's: see format.h.
#pragma once

#include <spdlog/spdlog.h>

#include <cstdint>
#include <string_view>

#include "weir/base/format.h"

namespace weir::log {

enum class Format : std::uint8_t { text, json };

/// Sets up the default logger of spdlog; call spdlog::info(...) and its kin afterwards.
void init(spdlog::level::level_enum level, Format format);

/// Names this process in each later line: "master", or "slot 3". Call in a child after fork.
void set_role(std::string_view role);

}  // namespace weir::log
