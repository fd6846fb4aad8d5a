#include "session_options.h"

#include <fmt/format.h>
#include <getopt.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string_view>

namespace weir::bench {
namespace {

constexpr const char* kSessionsUsage =
    R"(usage: bench_sessions --server ADDRESS:PORT --plan FILE --sizes BYTES:NS[:z],... [FLAGS]
  --sizes LIST       messages to ask with, by ascending cost (CPU of the server); z: compressed
  --part I/N         only each Nth session of the plan, from the Ith on (0/1)
  --warm-up SECONDS  before the window (1)
  --seconds SECONDS  the window (1)
  --patience SECONDS after it, for what is still owed (3)
  --lossy            sessions may be ended early, and are counted
)";

std::vector<RequestBook::Size> sizes_of(const std::string& list) {
  std::vector<RequestBook::Size> sizes;
  std::istringstream items{list};
  for (std::string item; std::getline(items, item, ',');) {
    RequestBook::Size size{};
    char kind = 0;
    const int fields = std::sscanf(item.c_str(), "%zu:%lu:%c", &size.bytes, &size.cost_ns, &kind);
    size.compressed = kind == 'z';
    if (fields < 2 || size.bytes == 0 || (!sizes.empty() && size.cost_ns <= sizes.back().cost_ns))
      return {};
    sizes.push_back(size);
  }
  return sizes;
}

constexpr std::array kSessionFlags{
    option{"server", required_argument, nullptr, 's'},
    option{"plan", required_argument, nullptr, 'p'},
    option{"sizes", required_argument, nullptr, 'z'},
    option{"part", required_argument, nullptr, 'i'},
    option{"warm-up", required_argument, nullptr, 'w'},
    option{"seconds", required_argument, nullptr, 'S'},
    option{"patience", required_argument, nullptr, 'P'},
    option{"lossy", no_argument, nullptr, 'l'},
    option{nullptr, 0, nullptr, 0},
};

std::nullopt_t refuse_session(std::string_view why) {
  fmt::print(stderr, "bench_sessions: {}\n{}", why, kSessionsUsage);
  return std::nullopt;
}

}  // namespace

std::optional<SessionOptions> parse_session_options(int argc, char** argv) {
  SessionOptions options;
  std::optional<SocketAddress> server;
  const auto nanoseconds = [] { return std::llround(std::strtod(optarg, nullptr) * 1e9); };
  for (int flag = 0; (flag = getopt_long(argc, argv, "", kSessionFlags.data(), nullptr)) != -1;) {
    switch (flag) {
      case 's': server = SocketAddress::parse(optarg); break;
      case 'p': options.plan = optarg; break;
      case 'z': options.sizes = sizes_of(optarg); break;
      case 'i':
        if (std::sscanf(optarg, "%lu/%lu", &options.part, &options.parts) != 2)
          return refuse_session("--part is I/N");
        break;
      case 'w': options.warm_up_ns = nanoseconds(); break;
      case 'S': options.window_ns = nanoseconds(); break;
      case 'P': options.patience_ns = nanoseconds(); break;
      case 'l': options.lossy = true; break;
      default: return refuse_session("no such flag");
    }
  }
  if (!server) return refuse_session("--server names a numeric address and a port");
  if (options.plan.empty()) return refuse_session("--plan names a file");
  if (options.sizes.empty())
    return refuse_session(
        "--sizes are messages of at least a byte, each dearer than the one before");
  if (options.part >= options.parts) return refuse_session("the I of --part I/N is below its N");
  options.server = *server;
  return options;
}

}  // namespace weir::bench
