#include "check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <vector>

#include "weir/steering/steering.h"

namespace weir::launch {
namespace {

std::string pinning(const process::MasterOptions& master) {
  if (master.cpus.empty()) return "not pinned";
  return fmt::format("on CPUs {}", fmt::join(master.cpus, ","));
}

std::string limit(Duration duration) {
  return duration.count() == 0 ? "off" : format_duration(duration);
}

/// "at most 5 connections, 10 new ones a second"; empty without a limit.
std::string client_limits(const cli::Options& options) {
  std::vector<std::string> limits;
  if (options.max_connections_per_ip != 0)
    limits.push_back(fmt::format("{} connections", options.max_connections_per_ip));
  if (options.connect_rate.per_second != 0)
    limits.push_back(fmt::format("{} new ones a second", options.connect_rate.per_second));
  return limits.empty() ? "" : fmt::format("at most {}", fmt::join(limits, ", "));
}

}  // namespace

Result<std::string> check(const cli::Options& options) {
  const auto plan = make_plan(options);
  if (!plan) return plan.error();
  const process::MasterOptions& master = plan->master;
  for (const process::ListenOn& listen : master.listen) {
    if (!listen.passed.empty()) continue;  // it is listened on already
    if (auto free = process::probe_address(listen.address); !free) return free.error();
  }
  std::vector<std::string> warnings;
  const auto credentials = tls::read_credentials(plan->tls_files, warnings);
  if (!credentials) return credentials.error();
  const auto steering = steering::Steering::create(master.steering);
  if (!steering) return steering.error();

  std::string report;
  const auto line = [&](std::string_view name, const std::string& value) {
    report += fmt::format("{:<18}{}\n", name, value);
  };
  for (const cli::Listen& listen : options.listen) line("listen", listen.to_string());
  line("workers", fmt::format("{}, {}", master.workers, pinning(master)));
  line("steering",
       fmt::format("{} by {}", steering->policy_in_force(), to_string(steering->backend())));
  if (!steering->fallback_reason().empty())
    line("", fmt::format("not ebpf: {}", steering->fallback_reason()));
  line("rebalancing", options.rebalance == cli::Rebalancing::off
                          ? "off"
                          : fmt::format("at most {} sessions a second", options.rebalance_rate));
  line("busy polling", limit(options.busy_poll));
  line("hang threshold", limit(options.hang_threshold));
  line("hang kill", limit(*options.hang_kill));
  line("connections", fmt::format("at most {}, {} descriptors a process", plan->max_connections,
                                  plan->descriptors));
  if (const std::string limits = client_limits(options); !limits.empty())
    line("each client", limits);
  line("message size", fmt::format("at most {}", format_size(options.max_message_size)));
  line("compression", std::string{cli::to_string(options.compression)});
  for (const tls::CredentialFiles& files : plan->tls_files) line("certificate", files.certificate);
  for (const std::string& warning : warnings) line("", warning);
  line("timeouts",
       fmt::format("handshake {}, idle {}, ping after {}", limit(options.handshake_timeout),
                   limit(options.idle_timeout), limit(*options.ping_interval)));
  line("drain timeout",
       options.drain_timeout.count() == 0 ? "none" : format_duration(options.drain_timeout));
  line("application", std::string{cli::to_string(options.app)});
  line("control socket", options.control.empty() ? "none" : options.control);
  return report;
}

}  // namespace weir::launch
