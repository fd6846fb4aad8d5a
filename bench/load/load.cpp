// bench_load: the load that a WebSocket echo server is measured under. One thread, one epoll set.
// It knows nothing of the server but its address: CPU is for whoever started it to read.
//
// The window is exact. Before it begins and after it ends nothing is in flight: every message has
// come back and has been checked. Each moment is a line of JSON on standard output; with --wait the
// load stands still until a line comes back, so that what is read meanwhile belongs to the window.
//
//   {"event":"begin"}
//   {"event":"end","mode":"echo","messages":N,"bytes":N,"seconds":S,"compressed":N}
//   {"event":"open","sessions":N}         idle, at each step
//
// Exits with 1 and says why at the first thing that a right server would not have done.
#include <fmt/format.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "connection.h"
#include "load_options.h"
#include "message_pool.h"
#include "weir/base/descriptor_limit.h"
#include "wrong.h"

namespace weir::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;
using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kPatience{20'000};  // without one event the load has failed
constexpr std::size_t kOpeningMax = 256;  // connections at once; no backlog is so short
constexpr std::size_t kReadBytes = 256U << 10;

struct FreeContext {
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
};
using TlsContext = std::unique_ptr<SSL_CTX, FreeContext>;

/// One version and cipher for all servers: what they choose themselves differs.
TlsContext make_tls() {
  TlsContext context{SSL_CTX_new(TLS_client_method())};
  if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_ciphersuites(context.get(), "TLS_AES_128_GCM_SHA256") != 1)
    throw Wrong{"no TLS"};
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_options(context.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  return context;
}

class Load {
 public:
  explicit Load(const LoadOptions& options)
      : options_{options},
        pool_{{.bytes = options.bytes, .binary = options.binary, .compressed = options.deflate}},
        epoll_{::epoll_create1(EPOLL_CLOEXEC)} {
    if (options.tls) tls_ = make_tls();
    common_.server = options.server;
    common_.pool = &pool_;
    common_.tls = tls_.get();
    common_.deflate = options.deflate;
    common_.epoll = epoll_.get();
    common_.scratch.resize(kReadBytes);
  }

  void run() {
    switch (options_.mode) {
      case LoadOptions::Mode::echo: return echo();
      case LoadOptions::Mode::cycle: return cycle();
      case LoadOptions::Mode::idle: return idle();
    }
  }

 private:
  // --- echo -----------------------------------------------------------------------------------

  void echo() {
    open(options_.connections);
    exchange(options_.warm_up, 0);
    announce(R"({"event":"begin"})");
    const auto began = Clock::now();
    const std::uint64_t messages = exchange(options_.window, options_.messages_max);
    report("echo", messages, Clock::now() - began);
  }

  /// Keeps messages in flight until the time is over or `most` were sent, then waits for the
  /// last. Returns how many came back.
  std::uint64_t exchange(Seconds time, std::uint64_t most) {
    const auto end = Clock::now() + time;
    std::uint64_t left = most == 0 ? ~0ULL : most;
    std::uint64_t outstanding = 0;
    std::uint64_t done = 0;
    const auto send = [&](Connection& connection, std::uint64_t count) {
      count = std::min(count, left);
      left -= count;
      outstanding += count;
      if (count > 0) connection.send(count);
    };
    for (const auto& connection : slots_) send(*connection, options_.in_flight);
    while (outstanding > 0) {
      turn([&](Connection& connection, Connection::Progress progress) {
        done += progress.echoes;
        outstanding -= progress.echoes;
        send(connection, progress.echoes);
      });
      if (left > 0 && Clock::now() >= end) left = 0;
    }
    return done;
  }

  // --- cycle ----------------------------------------------------------------------------------

  void cycle() {
    slots_.resize(options_.connections);
    for (std::size_t slot = 0; slot < slots_.size(); ++slot) free_.push_back(slot);
    visit(options_.warm_up, 0);
    announce(R"({"event":"begin"})");
    const auto began = Clock::now();
    const std::uint64_t visits = visit(options_.window, options_.messages_max);
    report("cycle", visits, Clock::now() - began);
  }

  /// Connections from their first byte to their last, until the time is over or `most` were begun;
  /// then waits for the last of them. Returns how many there were.
  std::uint64_t visit(Seconds time, std::uint64_t most) {
    const auto start = Clock::now();
    std::uint64_t left = most == 0 ? ~0ULL : most;
    std::uint64_t begun = 0;
    const auto on_progress = [&](Connection& connection, Connection::Progress progress) {
      if (progress.opened) connection.send(1);
      if (progress.echoes > 0) connection.say_goodbye();
      if (progress.closed) {
        free_.push_back(connection.slot());
        slots_[connection.slot()].reset();  // and `connection` with it
      }
    };
    while (true) {
      const Seconds passed = Clock::now() - start;
      if (passed >= time) left = 0;
      const bool paced = options_.rate > 0;
      const auto due = static_cast<std::uint64_t>(passed.count() * options_.rate) + 1;
      while (left > 0 && !free_.empty() && (!paced || begun < due)) {
        slots_[free_.back()] = std::make_unique<Connection>(common_, free_.back());
        free_.pop_back();
        ++begun;
        --left;
      }
      if (left == 0 && free_.size() == slots_.size()) return begun;
      turn(on_progress, paced ? 1ms : kPatience);
    }
  }

  // --- idle -----------------------------------------------------------------------------------

  void idle() {
    for (const std::size_t sessions : options_.steps) {
      open(sessions);
      announce(fmt::format(R"({{"event":"open","sessions":{}}})", slots_.size()));
    }
  }

  // --- all ------------------------------------------------------------------------------------

  /// Opens sessions until there are `total`; each has one message echoed.
  void open(std::size_t total) {
    const std::size_t before = slots_.size();
    std::size_t echoed = before;
    while (echoed < total) {
      while (slots_.size() < total && slots_.size() - echoed < kOpeningMax)
        slots_.push_back(std::make_unique<Connection>(common_, slots_.size()));
      turn([&](Connection& connection, Connection::Progress progress) {
        if (progress.opened) connection.send(1);
        echoed += progress.echoes;
      });
    }
  }

  /// One turn of the loop: waits for events, and tells `on_progress` what each brought about.
  /// Nothing at all within kPatience is a failure; within less, the end of the turn.
  template <class OnProgress>
  void turn(OnProgress on_progress, std::chrono::milliseconds wait = kPatience) {
    std::array<epoll_event, 512> events;
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                   static_cast<int>(wait.count()));
    if (count < 0 && errno != EINTR) fail("epoll_wait");
    if (count == 0 && wait == kPatience)
      throw Wrong{fmt::format("the server did nothing for {} s", kPatience / 1s)};
    for (int i = 0; i < count; ++i) {
      auto& connection = *static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr);
      on_progress(connection, connection.on_ready(events[static_cast<std::size_t>(i)].events));
    }
  }

  /// `messages` of one echo each; in a cycle, as many connections.
  void report(std::string_view mode, std::uint64_t messages, Seconds took) const {
    const std::uint64_t compressed = std::transform_reduce(
        slots_.begin(), slots_.end(), std::uint64_t{0}, std::plus{},
        [](const auto& connection) { return connection ? connection->compressed() : 0; });
    announce(fmt::format(
        R"({{"event":"end","mode":"{}","messages":{},"bytes":{},"seconds":{:.6f},"compressed":{}}})",
        mode, messages, messages * options_.bytes, took.count(), compressed));
  }

  void announce(const std::string& line) const {
    fmt::print("{}\n", line);
    std::fflush(stdout);
    if (options_.wait && std::fgetc(stdin) == EOF) throw Wrong{"standard input ended"};
  }

  const LoadOptions& options_;
  MessagePool pool_;
  TlsContext tls_;
  UniqueFd epoll_;
  Common common_;
  std::vector<std::unique_ptr<Connection>> slots_;
  std::vector<std::size_t> free_;  // slots, in a cycle
};

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  using namespace weir::bench;
  const auto options = parse_load_options(argc, argv);
  if (!options) return 2;
  weir::raise_descriptor_limit();  // a step of idle takes one a session
  try {
    Load{*options}.run();
  } catch (const std::exception& wrong) {
    fmt::print(stderr, "bench_load: {}\n", wrong.what());
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
