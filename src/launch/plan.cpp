#include "plan.h"

#include <fmt/format.h>

#include "weir/io/ring.h"

namespace weir::launch {
namespace {

Error too_few_descriptors(std::uint64_t needed, std::uint64_t limit, std::string_view who,
                          std::string_view instead) {
  return {fmt::format("{} needs {} descriptors a process, and the limit is {}", who, needed, limit),
          fmt::format("raise it (ulimit -n, or LimitNOFILE= of the unit), or {}", instead)};
}

session::SessionRules session_rules(const cli::Options& options) {
  session::SessionRules rules;
  rules.upgrade.paths = options.paths;
  rules.message_bytes_max = options.max_message_size;
  rules.handshake_timeout = options.handshake_timeout;
  rules.idle_timeout = options.idle_timeout;
  rules.ping_interval = options.ping_interval;
  return rules;
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
  const std::uint64_t reserved = kDescriptorsReserved + addresses;
  return descriptors > reserved ? (descriptors - reserved) * workers : 0;
}

Result<Plan> make_plan(const cli::Options& options) {
  const cli::Host host = cli::Host::here();
  Plan plan;
  plan.app = options.app;
  plan.worker = {.sessions = session_rules(options), .hang_threshold = options.hang_threshold};

  process::MasterOptions& master = plan.master;
  master.listen = options.listen;
  master.backlog = options.backlog;
  master.workers = cli::worker_count(options, host);
  master.cpus = worker_cpus(options, host, master.workers);

  const std::size_t addresses = options.listen.size();
  process::raise_locked_memory_limit();
  plan.descriptors = process::raise_descriptor_limit();
  // The master holds every listener, a pidfd and for a moment a pipe for each worker.
  const std::uint64_t masters_own = master.workers * (addresses + 2) + kDescriptorsReserved;
  if (masters_own > plan.descriptors)
    return too_few_descriptors(masters_own, plan.descriptors,
                               fmt::format("--workers {}", master.workers), "start fewer workers");
  const std::uint64_t capacity = connection_capacity(plan.descriptors, master.workers, addresses);
  plan.max_connections = options.max_connections.value_or(capacity);
  if (plan.max_connections > capacity || capacity == 0) {
    const std::uint64_t each = (plan.max_connections + master.workers - 1) / master.workers;
    return too_few_descriptors(each + kDescriptorsReserved + addresses, plan.descriptors,
                               fmt::format("--max-connections {}", plan.max_connections),
                               "lower it, or start more workers");
  }

  auto identity = process::find_identity(options.user, options.group);
  if (!identity) return identity.error();
  master.identity = *identity;
  master.steering = {.backend = options.backend,
                     .table = {.slots = master.workers,
                               .policy = options.steer,
                               .weights = options.weights,
                               .hang_threshold = options.hang_threshold,
                               .max_connections = plan.max_connections},
                     .addresses = addresses};
  // Asked here, once, rather than answered by every worker.
  if (const auto why_not = io::probe_ring()) return *why_not;
  return plan;
}

}  // namespace weir::launch
