#include "cross_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "weir/base/units.h"

namespace weir::cli {
namespace {

/// What is wrong, and with which flag, whose place leads the line.
struct Contradiction {
  std::string_view flag;
  std::string what;
};
using Finding = std::optional<Contradiction>;
using std::chrono::nanoseconds;

/// Port 0 may stand any number of times: each is another port.
Finding check_listen(const Options& options) {
  for (auto a = options.listen.begin(); a != options.listen.end(); ++a)
    for (auto b = options.listen.begin(); b != a; ++b)
      if (a->address.port() != 0 && a->address.to_string() == b->address.to_string())
        return Contradiction{
            "listen",
            fmt::format("{} is given twice: expected different addresses", a->address.to_string())};
  return std::nullopt;
}

/// A PROXY header is believed, so it matters who sends it.
Finding check_proxy(Options& options) {
  const bool taken = std::ranges::any_of(options.listen, &Listen::proxy);
  if (taken && options.proxy_from.empty())
    return Contradiction{"listen",
                         "proxy: needs --proxy-from: expected the networks of the proxies, such as "
                         "--proxy-from 10.0.0.0/8"};
  if (!taken && !options.proxy_from.empty())
    options.warnings.push_back("--proxy-from changes nothing without a --listen proxy:");
  return std::nullopt;
}

Finding check_tls(Options& options) {
  if (options.tls_certs.size() != options.tls_keys.size())
    return Contradiction{"tls-key", fmt::format("{} for {} --tls-cert: expected one for each, in "
                                                "the same order",
                                                options.tls_keys.size(), options.tls_certs.size())};
  const bool taken = std::ranges::any_of(options.listen, &Listen::tls);
  if (taken && options.tls_certs.empty())
    return Contradiction{"listen",
                         "tls: needs a certificate: expected --tls-cert FILE and --tls-key FILE"};
  if (!taken && !options.tls_certs.empty())
    options.warnings.push_back("--tls-cert changes nothing without a --listen tls:");
  return std::nullopt;
}

std::string list_of(const std::vector<int>& cpus) {
  std::string out;
  for (auto first = cpus.begin(); first != cpus.end();) {
    auto last = first;
    while (std::next(last) != cpus.end() && *std::next(last) == *last + 1) ++last;
    out += fmt::format("{}{}", out.empty() ? "" : ",", *first);
    if (last != first) out += fmt::format("-{}", *last);
    first = std::next(last);
  }
  return out;
}

Finding check_pin(const Options& options, const Host& host, unsigned workers) {
  if (options.pin != Pin::list) return std::nullopt;
  for (const int cpu : options.pin_cpus)
    if (!std::binary_search(host.cpus.begin(), host.cpus.end(), cpu))
      return Contradiction{"pin", fmt::format("weir may not run on CPU {}: expected some of {}",
                                              cpu, list_of(host.cpus))};
  if (options.pin_cpus.size() < workers)
    return Contradiction{"pin", fmt::format("too few CPUs, {} for {} workers: expected one for "
                                            "each worker, the same one again if need be",
                                            options.pin_cpus.size(), workers)};
  return std::nullopt;
}

Finding check_weights(Options& options, unsigned workers) {
  if (options.weights.empty()) return std::nullopt;
  if (options.weights.size() != workers)
    return Contradiction{
        "weights",
        fmt::format("{} for {}: expected one weight for each worker",
                    options.weights.size() == 1 ? std::string{"1 weight"}
                                                : fmt::format("{} weights", options.weights.size()),
                    workers == 1 ? std::string{"1 worker"} : fmt::format("{} workers", workers))};
  // It may be switched to another policy later, so it is no mistake for certain.
  if (options.steer == steering::Policy::round_robin)
    options.warnings.push_back(fmt::format("--weights change nothing under --steer {}",
                                           steering::to_string(options.steer)));
  return std::nullopt;
}

void check_hash_on(Options& options) {
  if (options.hash_on == wire::HashOn{} || options.steer == steering::Policy::uri_hash) return;
  options.warnings.push_back(fmt::format("--hash-on changes nothing under --steer {}",
                                         steering::to_string(options.steer)));
}

/// cpu-local goes by the CPUs that workers are bound to.
void check_local(Options& options, const Host& host, unsigned workers) {
  if (options.steer != steering::Policy::cpu_local) return;
  const bool too_many = options.pin == Pin::automatic && host.cpus.size() < workers;
  if (options.pin != Pin::none && !too_many) return;
  options.warnings.push_back(
      fmt::format("--steer cpu-local is the same as least-connections {}",
                  too_many ? fmt::format("with {} workers on {} CPUs, where none is bound to one",
                                         workers, host.cpus.size())
                           : "with --pin none"));
}

Finding check_timeouts(Options& options) {
  constexpr nanoseconds kPing = std::chrono::seconds{30};
  const nanoseconds idle = options.idle_timeout;
  if (!options.ping_interval)
    options.ping_interval = idle > nanoseconds{0} && idle <= kPing ? idle / 2 : kPing;
  const nanoseconds ping = *options.ping_interval;
  if (ping == nanoseconds{0} || idle == nanoseconds{0} || ping < idle) return std::nullopt;
  return Contradiction{"ping-interval", fmt::format("{} is not accepted with --idle-timeout {}: "
                                                    "expected less than that, or 0",
                                                    format_duration(ping), format_duration(idle))};
}

Finding check_hang(Options& options) {
  constexpr nanoseconds kKill = std::chrono::seconds{10};
  const nanoseconds threshold = options.hang_threshold;
  if (!options.hang_kill)
    options.hang_kill = threshold == nanoseconds{0} ? threshold : std::max(kKill, 2 * threshold);
  const nanoseconds kill = *options.hang_kill;
  if (kill == nanoseconds{0}) return std::nullopt;
  if (threshold == nanoseconds{0})
    return Contradiction{"hang-kill",
                         fmt::format("{} is not accepted with --hang-threshold 0, which has "
                                     "workers give no signs of life: expected 0",
                                     format_duration(kill))};
  if (kill > threshold) return std::nullopt;
  return Contradiction{"hang-kill", fmt::format("{} is not accepted with --hang-threshold {}: "
                                                "expected more than that, or 0",
                                                format_duration(kill), format_duration(threshold))};
}

Finding contradiction(Options& options, const Host& host) {
  const unsigned workers = worker_count(options, host);
  if (auto found = check_listen(options)) return found;
  if (auto found = check_pin(options, host, workers)) return found;
  if (auto found = check_weights(options, workers)) return found;
  check_local(options, host, workers);
  check_hash_on(options);
  if (auto found = check_proxy(options)) return found;
  if (auto found = check_tls(options)) return found;
  if (auto found = check_hang(options)) return found;
  return check_timeouts(options);
}

}  // namespace

std::optional<Refused> cross_check(Options& options, const Host& host) {
  const Finding found = contradiction(options, host);
  if (!found) return std::nullopt;
  const auto place = options.places.find(found->flag);
  return Refused{
      fmt::format("weir: {}: {}",
                  place != options.places.end() ? place->second : fmt::format("--{}", found->flag),
                  found->what)};
}

}  // namespace weir::cli
