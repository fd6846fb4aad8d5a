#include "plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "weir/base/descriptor_limit.h"
#include "weir/io/ring.h"
#include "weir/session/parcel.h"

namespace weir::launch {
namespace {

Error too_few_descriptors(std::uint64_t needed, std::uint64_t limit, std::string_view who,
                          std::string_view instead) {
  return {fmt::format("{} needs {} descriptors a process, and the limit is {}", who, needed, limit),
          fmt::format("raise it (ulimit -n, or LimitNOFILE= of the unit), or {}", instead)};
}

/// What a worker takes beyond the timeouts that it keeps to.
constexpr Duration kStopSlack = std::chrono::seconds{5};

session::SessionRules session_rules(const cli::Options& options) {
  session::SessionRules rules;
  rules.app = to_string(options.app);
  rules.upgrade = {
      .header_bytes_max = options.max_header_size,
      .request_line_bytes_max = options.max_request_line,
      .paths = options.paths,
      .origins = options.origins,
      .subprotocols = options.subprotocols,
      .health_path = options.health_path,
      .compression = {.mode = options.compression, .window_bits = options.compression_window},
      .hash_on = options.hash_on};
  rules.proxy_from = options.proxy_from;
  rules.message_bytes_max = options.max_message_size;
  rules.compress_from_bytes = options.compression_min_size;
  rules.message_rate = {.per_second = options.max_message_rate.per_second,
                        .burst = options.max_message_rate.burst};
  rules.backlog_bytes_max = options.max_backlog;
  rules.slow_consumer = options.slow_consumer == cli::SlowConsumer::drop
                            ? session::SlowConsumer::drop
                            : session::SlowConsumer::close;
  rules.handshake_timeout = options.handshake_timeout;
  rules.idle_timeout = options.idle_timeout;
  rules.ping_interval = options.ping_interval.value_or(rules.ping_interval);
  return rules;
}

server::WorkerRules worker_rules(const cli::Options& options) {
  return {.made_at = monotonic_now(),
          .sessions = session_rules(options),
          .hang_threshold = options.hang_threshold,
          .busy_poll = options.busy_poll,
          .drain_timeout = options.drain_timeout,
          .log_level = options.log_level};
}

/// Places that the sessions of one worker can have: a descriptor each, and what the slab rounds up.
std::uint32_t places_of(std::uint64_t descriptors) noexcept {
  constexpr std::uint64_t slab = 256;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(descriptors + slab, 1U << 28));
}

/// The CPU of each worker, by slot; empty where they are not pinned.
std::vector<int> worker_cpus(const cli::Options& options, const cli::Host& host,
                             std::uint32_t workers) {
  if (options.pin == cli::Pin::none) return {};
  const std::vector<int>& from = options.pin == cli::Pin::list ? options.pin_cpus : host.cpus;
  // Several workers bound to one CPU would only keep the kernel from spreading them.
  if (from.size() < workers) return {};
  return {from.begin(), from.begin() + workers};
}

}  // namespace

std::uint64_t connection_capacity(std::uint64_t descriptors, std::uint32_t workers,
                                  std::size_t addresses) noexcept {
  // A worker holds every listener, and the end of every inbox at which letters are posted.
  const std::uint64_t reserved = kDescriptorsReserved + (addresses + 1) * workers;
  return descriptors > reserved ? (descriptors - reserved) * workers : 0;
}

Result<process::Staffing> staffing_for(const cli::Options& options, const cli::Host& host,
                                       std::uint64_t descriptors, std::uint32_t workers) {
  if (options.pin == cli::Pin::list && options.pin_cpus.size() < workers)
    return Error{
        fmt::format("--pin names {} CPUs for {} workers", options.pin_cpus.size(), workers),
        "choose fewer workers, or start weir with a longer list or --pin auto"};
  const std::size_t addresses = options.listen.size();
  // The master holds every listener, and for each worker both ends of its inbox, a pidfd, a pipe
  // and for a moment its other end; in an upgrade a pidfd of its predecessor too.
  const std::uint64_t masters_own = workers * (addresses + 6) + kDescriptorsReserved;
  if (masters_own > descriptors)
    return too_few_descriptors(masters_own, descriptors, fmt::format("--workers {}", workers),
                               "start fewer workers");
  const std::uint64_t capacity = connection_capacity(descriptors, workers, addresses);
  const std::uint64_t connections = options.max_connections.value_or(capacity);
  if (connections > capacity || capacity == 0) {
    const std::uint64_t each = (connections + workers - 1) / workers;
    return too_few_descriptors(each + kDescriptorsReserved + (addresses + 1) * workers, descriptors,
                               fmt::format("--max-connections {}", connections),
                               "lower it, or start more workers");
  }
  return process::Staffing{.cpus = worker_cpus(options, host, workers),
                           .max_connections = connections};
}

Result<Plan> work_out(const cli::Options& options, const cli::Host& host,
                      std::uint64_t descriptors) {
  Plan plan;
  plan.app = options.app;
  plan.worker.rules = worker_rules(options);
  plan.worker.tls.min_version =
      options.tls_min_version == cli::TlsVersion::tls13 ? tls::Version::tls13 : tls::Version::tls12;
  if (std::ranges::any_of(options.listen, &cli::Listen::tls))
    for (std::size_t i = 0; i < options.tls_certs.size(); ++i)
      plan.tls_files.push_back({.certificate = options.tls_certs[i], .key = options.tls_keys[i]});
  plan.tls_ticket_rotation = options.tls_ticket_rotation;

  process::MasterOptions& master = plan.master;
  std::vector<bool> behind_proxy;
  for (const cli::Listen& listen : options.listen) {
    master.listen.push_back({.address = listen.address, .passed = listen.sockets});
    master.terms.listens.push_back({.asked = listen.address,
                                    .address = listen.address,
                                    .proxy = listen.proxy,
                                    .tls = listen.tls,
                                    .passed = static_cast<std::uint32_t>(listen.sockets.size())});
    plan.worker.doors.push_back({.proxy = listen.proxy, .tls = listen.tls});
    behind_proxy.push_back(listen.proxy);
  }
  master.terms.version = cli::version();
  master.terms.app = cli::to_string(options.app);
  master.terms.parcel_oldest = session::kParcelOldest;
  master.terms.parcel_newest = session::kParcelNewest;
  master.terms.control = options.control;
  master.terms.workers_asked = cli::worker_count(options, host);
  master.upgrade_timeout = options.upgrade_timeout;
  master.backlog = options.backlog;
  // The last close, the peer's time to answer it, and its time to end its direction.
  master.stop_patience =
      options.drain_timeout + 2 * plan.worker.rules.sessions.close_timeout + kStopSlack;
  master.hang_kill = options.hang_kill.value_or(Duration::zero());
  master.workers = cli::worker_count(options, host);

  plan.descriptors = descriptors;
  plan.worker.descriptors = descriptors - std::min(descriptors, kDescriptorsReserved);
  auto staffing = staffing_for(options, host, plan.descriptors, master.workers);
  if (!staffing) return staffing.error();
  plan.max_connections = staffing->max_connections;
  master.cpus = staffing->cpus;
  master.staffing = [options, host, descriptors = plan.descriptors](std::uint32_t workers) {
    return staffing_for(options, host, descriptors, workers);
  };

  master.rebalance = {.automatic = options.rebalance == cli::Rebalancing::automatic,
                      .per_second = options.rebalance_rate};
  steering::SteeringOptions& steering = master.steering;
  steering.backend = options.backend;
  steering.addresses = options.listen.size();
  steering.behind_proxy = std::move(behind_proxy);
  steering.places = places_of(plan.descriptors);
  master.terms.places = steering.places;
  steering.table.slots = master.workers;
  steering.table.policy = options.steer;
  steering.table.weights = options.weights;
  steering.table.cpus = master.cpus;
  steering.table.hang_threshold = options.hang_threshold;
  steering.table.max_connections = plan.max_connections;
  steering.table.clients = {.open_max = options.max_connections_per_ip,
                            .rate = options.connect_rate.per_second,
                            .burst = options.connect_rate.burst};
  steering.score.horizon = options.predict_horizon;
  // Descriptors run out by worker; the rest is what the service as a whole may have.
  steering.score.room = plan.max_connections / master.workers;
  return plan;
}

Result<Plan> make_plan(const cli::Options& options) {
  process::raise_locked_memory_limit();
  auto plan = work_out(options, cli::Host::here(), raise_descriptor_limit());
  if (!plan) return plan;
  auto identity = process::find_identity(options.user, options.group);
  if (!identity) return identity.error();
  plan->master.identity = *identity;
  // Asked here, once, rather than answered by every worker.
  if (const auto why_not = io::probe_ring()) return *why_not;
  return plan;
}

}  // namespace weir::launch
