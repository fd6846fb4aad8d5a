// What the steering program costs in the kernel: nanoseconds per run, as the kernel counts them,
// for each policy at 2, 64, 256 and 1,024 slots, over real connections on the loopback. Needs root.
//
// The candidates run in turn, repetition by repetition, because a virtual machine's speed drifts;
// the median of the repetitions is printed with the least and the greatest. The first row, a
// table of no slots, is what is paid before any pick: mostly the two clock readings of the
// kernel's own statistics, which are on only while this runs.
//
// Not in these figures: misses on lines that other cores have just written. Connector, program and
// table share one CPU here.
//
// usage: bench_steering [connections per measurement, 2000] [repetitions, 9]
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "steering/program.h"
#include "weir/base/socket_address.h"
#include "weir/base/unique_fd.h"
#include "weir/steering/load_table.h"

namespace {

using namespace weir;
using namespace weir::steering;

[[noreturn]] void fail(const std::string& what) {
  fmt::print(stderr, "bench_steering: {}\n", what);
  std::exit(1);
}

int must(int result, const char* call) {
  if (result < 0) fail(to_string(os_error(call, errno)));
  return result;
}

void must(const Result<void>& result) {
  if (!result) fail(to_string(result.error()));
}

bpf_prog_info info_of(int program) {
  bpf_prog_info info{};
  __u32 size = sizeof info;
  must(bpf_obj_get_info_by_fd(program, &info, &size), "reading the program's statistics");
  return info;
}

struct Candidate {
  Policy policy;
  std::uint32_t slots;  // 0: one listener, and a table that offers none
  [[nodiscard]] std::string name() const {
    return slots == 0 ? "no pick" : std::string{to_string(policy)};
  }
};

/// Listeners for one candidate, steered; gone when the measurement is over.
class Group {
 public:
  explicit Group(const Candidate& candidate)
      : program_{take(Program::load({}))}, table_{take(LoadTable::over_map(program_.table_map()))} {
    const std::uint32_t listeners = std::max(candidate.slots, 1U);
    table_.configure({.slots = listeners,
                      .policy = candidate.policy,
                      .weights = {},
                      .cpus = {must(::sched_getcpu(), "sched_getcpu")}});
    table_.publish_biases(monotonic_now() + std::chrono::hours{1}, {});  // all 0, and heeded
    table_.set_hang_threshold(std::chrono::hours{1});                    // looked at, never passed
    for (std::uint32_t slot = 0; slot < listeners; ++slot) {
      add_listener(slot);
      table_.raw().row[slot].awake_at_ns = to_ns(monotonic_now());
      table_.mark_serving(slot);
    }
    // Every SYN is taken on this CPU, so that cpu-local's one slot would soon have its share and
    // the rest be a scan like that of least-connections. What is measured is the pick without it.
    table_.raw().config.local_step = ~__u32{0};
    if (candidate.slots == 0) table_.raw().config.slot_count = 0;
    must(program_.attach(listeners_.front().get()));
  }

  /// Nanoseconds per run over that many connections.
  double measure(int connections) {
    const bpf_prog_info before = info_of(program_.fd());
    for (int i = 0; i < connections; ++i) connect();
    const bpf_prog_info after = info_of(program_.fd());
    const std::uint64_t runs = after.run_cnt - before.run_cnt;
    if (runs != static_cast<std::uint64_t>(connections))
      fail(fmt::format("{} runs for {} connections", runs, connections));
    return static_cast<double>(after.run_time_ns - before.run_time_ns) / static_cast<double>(runs);
  }

  [[nodiscard]] std::uint32_t verified_instructions() const {
    return info_of(program_.fd()).verified_insns;
  }

 private:
  template <class T>
  static T take(Result<T> result) {
    if (!result) fail(to_string(result.error()));
    return std::move(*result);
  }

  void add_listener(std::uint32_t slot) {
    UniqueFd fd{must(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
    const int one = 1;
    must(::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &one, sizeof one), "SO_REUSEPORT");
    must(::bind(fd.get(), address_.data(), address_.size()), "bind");
    must(::listen(fd.get(), 4'096), "listen");
    address_ = *SocketAddress::local_of(fd.get());
    must(program_.set_listener(slot, fd.get()));
    listeners_.push_back(std::move(fd));
  }

  void connect() {
    const UniqueFd fd{must(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
    const linger reset{.l_onoff = 1, .l_linger = 0};  // leave no port in TIME_WAIT
    must(::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset), "SO_LINGER");
    must(::connect(fd.get(), address_.data(), address_.size()), "connect");
  }

  Program program_;
  LoadTable table_;
  SocketAddress address_ = *SocketAddress::parse("127.0.0.1:0");
  std::vector<UniqueFd> listeners_;
};

void stay_on_one_cpu() {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<unsigned>(must(::sched_getcpu(), "sched_getcpu")), &one);
  must(::sched_setaffinity(0, sizeof one, &one), "sched_setaffinity");
}

}  // namespace

int main(int argc, char** argv) {
  const int connections = argc > 1 ? std::atoi(argv[1]) : 2'000;
  const int repetitions = argc > 2 ? std::atoi(argv[2]) : 9;
  // The accept queues must hold them all: 2 slots of 4,096.
  if (connections < 1 || connections > 4'000 || repetitions < 1)
    fail("usage: bench_steering [connections 1..4000] [repetitions]");
  stay_on_one_cpu();
  // Counted while this descriptor is open, whatever kernel.bpf_stats_enabled says.
  const UniqueFd statistics{must(bpf_enable_stats(BPF_STATS_RUN_TIME), "enabling statistics")};

  std::vector<Candidate> candidates{{Policy::least_connections, 0}};
  for (std::uint32_t policy = 0; policy < policy_names().size(); ++policy)
    for (const std::uint32_t slots : {2U, 64U, 256U, 1024U})
      if (policy != WEIR_URI_HASH)  // which the program steers as least-connections
        candidates.push_back({static_cast<Policy>(policy), slots});

  std::vector<std::vector<double>> measured(candidates.size());
  std::uint32_t instructions = 0;
  for (int repetition = 0; repetition < repetitions; ++repetition)
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      Group group{candidates[i]};
      measured[i].push_back(group.measure(connections));
      instructions = group.verified_instructions();
    }

  fmt::print("{} connections a measurement, {} repetitions in turn, {} instructions verified\n\n",
             connections, repetitions, instructions);
  fmt::print("| policy | slots | ns a run, median | least | greatest |\n|---|---|---|---|---|\n");
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    std::vector<double>& runs = measured[i];
    std::sort(runs.begin(), runs.end());
    fmt::print("| {} | {} | {:.0f} | {:.0f} | {:.0f} |\n", candidates[i].name(),
               candidates[i].slots, runs[runs.size() / 2], runs.front(), runs.back());
  }
}
