// Setters for the values that only weir's flags have; the common kinds are in setters.h. Each
// returns false, and changes nothing, when the text is not what its row says is accepted.
#pragma once

#include <string>
#include <string_view>

#include "weir/cli/options.h"

namespace weir::cli {

bool append_listen(Options& options, std::string_view text);
bool append_path(Options& options, std::string_view text);
bool set_workers(Options& options, std::string_view text);
bool set_pin(Options& options, std::string_view text);
bool set_policy(Options& options, std::string_view text);
bool set_backend(Options& options, std::string_view text);
bool set_weights(Options& options, std::string_view text);
bool set_log_level(Options& options, std::string_view text);
bool set_log_format(Options& options, std::string_view text);
bool set_app(Options& options, std::string_view text);
bool set_control_given(Options& options, std::string_view text);

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
