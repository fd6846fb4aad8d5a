#include "weir/cli/changes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "weir_flags.h"
#include "weir_values.h"

namespace weir::cli {
namespace {

using Text = std::string (*)(const Options&);

/// A flag's value as it is written; empty for what has none.
struct Shown {
  std::string_view flag;
  Text text;
};

template <auto Member>
std::string number(const Options& options) {
  return fmt::format("{}", options.*Member);
}

template <auto Member>
std::string optional(const Options& options) {
  return options.*Member ? fmt::format("{}", *(options.*Member)) : std::string{};
}

template <auto Member>
std::string size(const Options& options) {
  return format_size(options.*Member);
}

template <auto Member>
std::string time(const Options& options) {
  return format_duration(options.*Member);
}

/// That parse() has filled in.
template <auto Member>
std::string given_time(const Options& options) {
  return format_duration((options.*Member).value_or(std::chrono::nanoseconds{0}));
}

template <auto Member>
std::string numbers(const Options& options) {
  return fmt::format("{}", fmt::join(options.*Member, ","));
}

/// Of words in which there is no space; of file names, whose files are read again in any case.
template <auto Member>
std::string list(const Options& options) {
  return fmt::format("{}", fmt::join(options.*Member, " "));
}

template <auto Member>
std::string text(const Options& options) {
  return std::string{options.*Member};
}

template <auto Member>
std::string named(const Options& options) {
  return std::string{to_string(options.*Member)};
}

template <auto Member>
std::string rate(const Options& options) {
  const Rate rate = options.*Member;
  return rate.burst == rate.per_second ? fmt::format("{}", rate.per_second)
                                       : fmt::format("{}:{}", rate.per_second, rate.burst);
}

template <auto Member>
std::string each_named(const Options& options) {
  std::vector<std::string> names;
  for (const auto& each : options.*Member) names.push_back(each.to_string());
  return fmt::format("{}", fmt::join(names, " "));
}

std::string pin(const Options& options) {
  if (options.pin == Pin::list) return fmt::format("{}", fmt::join(options.pin_cpus, ","));
  return options.pin == Pin::automatic ? "auto" : "none";
}

std::string hash_on(const Options& options) {
  return to_string(options.hash_on);
}

std::string workers(const Options& options) {
  return options.workers ? fmt::format("{}", *options.workers) : "auto";
}

constexpr std::array kShown{
    Shown{"listen", each_named<&Options::listen>},
    Shown{"backlog", number<&Options::backlog>},
    Shown{"proxy-from", each_named<&Options::proxy_from>},
    Shown{"path", list<&Options::paths>},
    Shown{"origin", list<&Options::origins>},
    Shown{"subprotocol", list<&Options::subprotocols>},
    Shown{"health-path", text<&Options::health_path>},
    Shown{"max-header-size", size<&Options::max_header_size>},
    Shown{"max-request-line", size<&Options::max_request_line>},
    Shown{"compression", named<&Options::compression>},
    Shown{"compression-min-size", size<&Options::compression_min_size>},
    Shown{"compression-window", number<&Options::compression_window>},
    Shown{"tls-cert", list<&Options::tls_certs>},
    Shown{"tls-key", list<&Options::tls_keys>},
    Shown{"tls-min-version", named<&Options::tls_min_version>},
    Shown{"tls-ticket-rotation", time<&Options::tls_ticket_rotation>},
    Shown{"workers", workers},
    Shown{"pin", pin},
    Shown{"busy-poll", time<&Options::busy_poll>},
    Shown{"hang-threshold", time<&Options::hang_threshold>},
    Shown{"hang-kill", given_time<&Options::hang_kill>},
    Shown{"steer", named<&Options::steer>},
    Shown{"hash-on", hash_on},
    Shown{"steer-backend", named<&Options::backend>},
    Shown{"weights", numbers<&Options::weights>},
    Shown{"predict-horizon", time<&Options::predict_horizon>},
    Shown{"rebalance", named<&Options::rebalance>},
    Shown{"rebalance-rate", number<&Options::rebalance_rate>},
    Shown{"max-connections", optional<&Options::max_connections>},
    Shown{"max-connections-per-ip", number<&Options::max_connections_per_ip>},
    Shown{"connect-rate", rate<&Options::connect_rate>},
    Shown{"max-message-size", size<&Options::max_message_size>},
    Shown{"max-message-rate", rate<&Options::max_message_rate>},
    Shown{"max-backlog", size<&Options::max_backlog>},
    Shown{"slow-consumer", named<&Options::slow_consumer>},
    Shown{"handshake-timeout", time<&Options::handshake_timeout>},
    Shown{"idle-timeout", time<&Options::idle_timeout>},
    Shown{"ping-interval", given_time<&Options::ping_interval>},
    Shown{"drain-timeout", time<&Options::drain_timeout>},
    Shown{"upgrade-timeout", time<&Options::upgrade_timeout>},
    Shown{"user", text<&Options::user>},
    Shown{"group", text<&Options::group>},
    Shown{"log-level", named<&Options::log_level>},
    Shown{"log-format", named<&Options::log_format>},
    Shown{"control", text<&Options::control>},
    Shown{"app", named<&Options::app>},
};

/// Lists may be of any length; a line that names them is not.
constexpr std::size_t kShownBytesMax = 120;

std::string shortened(std::string value) {
  if (value.size() <= kShownBytesMax) return value;
  value.resize(kShownBytesMax);
  return value + "...";
}

}  // namespace

std::string Change::to_string() const {
  return fmt::format("--{} {} (was {})", flag, after, before);
}

std::vector<Change> changes(const Options& before, const Options& after) {
  std::vector<Change> out;
  for (const Row<Options>& row : weir_rows()) {
    const auto* const shown = std::ranges::find(kShown, row.flag.name, &Shown::flag);
    if (shown == kShown.end()) continue;  // --config and its like: no part of what is run
    std::string was = shown->text(before);
    std::string is = shown->text(after);
    if (was == is) continue;
    const auto words = [&](std::string value) {
      return value.empty() ? std::string{row.flag.fallback()} : shortened(std::move(value));
    };
    const auto place = after.places.find(row.flag.name);
    out.push_back({.flag = row.flag.name,
                   .before = words(std::move(was)),
                   .after = words(std::move(is)),
                   .place = place == after.places.end() ? std::string{} : place->second,
                   .reloads = row.flag.reloads});
  }
  return out;
}

std::string against(std::span<const Change> changes) {
  std::vector<std::string> fixed;
  for (const Change& change : changes)
    if (!change.reloads)
      fixed.push_back(fmt::format(
          "{}: {} (is {})",
          change.place.empty() ? fmt::format("--{}, by default", change.flag) : change.place,
          change.after, change.before));
  if (fixed.empty()) return {};
  return fmt::format("weir: {}: cannot change while weir runs", fmt::join(fixed, ", "));
}

}  // namespace weir::cli
