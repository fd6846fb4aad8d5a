// Wrong: what ends a load at once, and says why.
#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace weir::bench {

/// The server's doing, or the host's.
struct Wrong : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A system call that failed with `error`.
[[noreturn]] inline void fail(const char* call, int error = errno) {
  throw Wrong{fmt::format("{}: {}", call, std::strerror(error))};
}

}  // namespace weir::bench
