// LoadOptions: what bench_load was asked to do.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "weir/base/socket_address.h"

namespace weir::bench {

struct LoadOptions {
  enum class Mode : std::uint8_t {
    echo,   // sessions that stay, messages in flight on each
    cycle,  // connect, upgrade, echo, close, again and again
    idle,   // sessions that are opened, echo once, and stay silent
  };
  Mode mode = Mode::echo;
  SocketAddress server;
  std::size_t connections = 64;  // cycle: at once
  std::uint64_t in_flight = 1;   // messages, on each connection
  std::size_t bytes = 64;        // a message
  bool binary = false;
  bool tls = false;
  bool deflate = false;
  std::chrono::duration<double> warm_up{0.3};
  std::chrono::duration<double> window{1.0};
  std::uint64_t messages_max = 0;  // ends the window early; 0: time alone does
  double rate = 0;                 // cycle: connections begun a second; 0: as many as it can
  std::vector<std::size_t> steps;  // idle: sessions in all, at each step
  bool wait = false;               // for a line on stdin after each line on stdout
};

/// Nothing, after saying so on standard error, if the arguments are none.
[[nodiscard]] std::optional<LoadOptions> parse_load_options(int argc, char** argv);

}  // namespace weir::bench
