// Setters for the values that only weir's flags have; the common kinds are in setters.h. Each
// returns false, and changes nothing, when the text is not what its row says is accepted.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "weir/cli/options.h"

namespace weir::cli {

bool append_listen(Options& options, std::string_view text);
bool append_path(Options& options, std::string_view text);
bool set_health_path(Options& options, std::string_view text);
bool append_origin(Options& options, std::string_view text);
bool append_subprotocol(Options& options, std::string_view text);
bool append_proxy_from(Options& options, std::string_view text);
bool set_compression(Options& options, std::string_view text);
bool set_compression_window(Options& options, std::string_view text);
bool set_tls_min_version(Options& options, std::string_view text);
bool set_slow_consumer(Options& options, std::string_view text);
bool set_workers(Options& options, std::string_view text);
bool set_pin(Options& options, std::string_view text);
bool set_policy(Options& options, std::string_view text);
bool set_backend(Options& options, std::string_view text);
bool set_hash_on(Options& options, std::string_view text);
bool set_weights(Options& options, std::string_view text);
bool set_rebalance(Options& options, std::string_view text);
bool set_log_level(Options& options, std::string_view text);
bool set_log_format(Options& options, std::string_view text);
bool set_app(Options& options, std::string_view text);
bool set_control_given(Options& options, std::string_view text);

// The words for values, as they are given.
[[nodiscard]] std::string_view to_string(TlsVersion version) noexcept;
[[nodiscard]] std::string_view to_string(Rebalancing rebalancing) noexcept;
[[nodiscard]] std::string_view to_string(SlowConsumer consumer) noexcept;
[[nodiscard]] std::string_view to_string(spdlog::level::level_enum level) noexcept;
[[nodiscard]] std::string_view to_string(log::Format format) noexcept;

/// "100", or "100:500" where the burst is another number than the rate.
[[nodiscard]] std::optional<Rate> parse_rate(std::string_view text);

template <auto Member>
bool set_rate(Options& options, std::string_view text) {
  const auto rate = parse_rate(text);
  if (rate) options.*Member = *rate;
  return rate.has_value();
}

template <auto Member>
bool append_file(Options& options, std::string_view text) {
  if (text.empty() || text.front() == '-') return false;
  (options.*Member).emplace_back(text);
  return true;
}

/// A user's or a group's name as useradd(8) allows it, or a number.
[[nodiscard]] bool is_account(std::string_view text) noexcept;

template <auto Member>
bool set_account(Options& options, std::string_view text) {
  if (!is_account(text)) return false;
  options.*Member = text;
  return true;
}

/// "least-connections, two-choices, ... or tuple-hash": every policy, in the order of the steering
/// part.
[[nodiscard]] std::string policy_list();

}  // namespace weir::cli
