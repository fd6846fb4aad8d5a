#include "load_options.h"

#include <fmt/format.h>
#include <getopt.h>

#include <array>
#include <cstdlib>
#include <string_view>

namespace weir::bench {
namespace {

constexpr const char* kUsage =
    R"(usage: bench_load [echo|cycle|idle] --server ADDRESS:PORT [FLAGS]
  echo   messages to and fro on connections that stay (the default)
  cycle  connect, upgrade, echo one message, close, again and again
  idle   open sessions, echo one message on each, keep them

  --connections N   echo: in all; cycle: at once (64)
  --in-flight N     messages on their way on each connection (1)
  --size BYTES      of a message, before compression (64)
  --binary          random bytes; without it, text: lines of JSON
  --tls             wss://; the server's certificate is not looked at
  --deflate         offer permessage-deflate, and send messages compressed
  --warm-up SECONDS before the window (0.3)
  --seconds SECONDS the window (1)
  --messages N      ends the window after this many (cycle: connections), if time does not
  --rate N          cycle: connections begun a second, at most
  --steps N,N,...   idle: sessions in all at each step
  --wait            wait for a line on standard input after each line of output
)";

std::vector<std::size_t> numbers_of(std::string_view text) {
  std::vector<std::size_t> numbers;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    numbers.push_back(std::strtoul(std::string{text.substr(0, end)}.c_str(), nullptr, 10));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return numbers;
}

std::optional<LoadOptions::Mode> mode_of(std::string_view name) {
  if (name == "echo") return LoadOptions::Mode::echo;
  if (name == "cycle") return LoadOptions::Mode::cycle;
  if (name == "idle") return LoadOptions::Mode::idle;
  return {};
}

std::nullopt_t refuse(std::string_view why) {
  fmt::print(stderr, "bench_load: {}\n{}", why, kUsage);
  return std::nullopt;
}

}  // namespace

std::optional<LoadOptions> parse_load_options(int argc, char** argv) {
  static constexpr std::array kFlags{
      option{"server", required_argument, nullptr, 's'},
      option{"connections", required_argument, nullptr, 'c'},
      option{"in-flight", required_argument, nullptr, 'i'},
      option{"size", required_argument, nullptr, 'b'},
      option{"binary", no_argument, nullptr, 'B'},
      option{"tls", no_argument, nullptr, 't'},
      option{"deflate", no_argument, nullptr, 'd'},
      option{"warm-up", required_argument, nullptr, 'w'},
      option{"seconds", required_argument, nullptr, 'S'},
      option{"messages", required_argument, nullptr, 'm'},
      option{"rate", required_argument, nullptr, 'r'},
      option{"steps", required_argument, nullptr, 'p'},
      option{"wait", no_argument, nullptr, 'W'},
      option{nullptr, 0, nullptr, 0},
  };
  LoadOptions options;
  std::optional<SocketAddress> server;
  for (int flag = 0; (flag = getopt_long(argc, argv, "", kFlags.data(), nullptr)) != -1;) {
    switch (flag) {
      case 's': server = SocketAddress::parse(optarg); break;
      case 'c': options.connections = std::strtoul(optarg, nullptr, 10); break;
      case 'i': options.in_flight = std::strtoul(optarg, nullptr, 10); break;
      case 'b': options.bytes = std::strtoul(optarg, nullptr, 10); break;
      case 'B': options.binary = true; break;
      case 't': options.tls = true; break;
      case 'd': options.deflate = true; break;
      case 'w':
        options.warm_up = std::chrono::duration<double>{std::strtod(optarg, nullptr)};
        break;
      case 'S': options.window = std::chrono::duration<double>{std::strtod(optarg, nullptr)}; break;
      case 'm': options.messages_max = std::strtoul(optarg, nullptr, 10); break;
      case 'r': options.rate = std::strtod(optarg, nullptr); break;
      case 'p': options.steps = numbers_of(optarg); break;
      case 'W': options.wait = true; break;
      default: return refuse("no such flag");
    }
  }
  if (optind < argc) {
    const auto mode = mode_of(argv[optind]);
    if (!mode) return refuse("no such mode");
    options.mode = *mode;
  }
  if (!server) return refuse("--server names a numeric address and a port");
  options.server = *server;
  if (options.connections == 0 || options.in_flight == 0)
    return refuse("--connections and --in-flight are at least 1");
  if (options.mode == LoadOptions::Mode::idle && options.steps.empty())
    return refuse("idle needs --steps");
  return options;
}

}  // namespace weir::bench
