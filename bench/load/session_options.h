// The command line of bench_sessions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "request_book.h"
#include "weir/base/socket_address.h"

namespace weir::bench {

struct SessionOptions {
  SocketAddress server;
  std::string plan;  // a file, session_plan.h
  std::vector<RequestBook::Size> sizes;
  std::uint64_t part = 0;  // of `parts`, of the plan
  std::uint64_t parts = 1;
  std::int64_t warm_up_ns = 1'000'000'000;
  std::int64_t window_ns = 1'000'000'000;
  std::int64_t patience_ns = 3'000'000'000;
  bool lossy = false;  // sessions may be ended early
};

/// Nothing if the command line is not as it should be; the usage has been printed then.
[[nodiscard]] std::optional<SessionOptions> parse_session_options(int argc, char** argv);

}  // namespace weir::bench
