#include "weir_values.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "setters.h"

namespace weir::cli {
namespace {

constexpr unsigned kCpuMax = 8191;  // NR_CPUS of the largest kernels
constexpr std::uint32_t kWeightMax = 1000;

/// The pieces of `text` between commas, empty ones too.
std::vector<std::string_view> pieces(std::string_view text) {
  std::vector<std::string_view> out;
  for (;;) {
    const auto comma = text.find(',');
    out.push_back(text.substr(0, comma));
    if (comma == text.npos) return out;
    text.remove_prefix(comma + 1);
  }
}

/// Appends the CPUs of "8" or "0-3". A list may be as long as the largest machine, not longer.
bool append_cpus(std::vector<int>& cpus, std::string_view range) {
  const auto dash = range.find('-');
  const auto first = parse_number(range.substr(0, dash), 0U, kCpuMax);
  const auto last = dash == range.npos ? first : parse_number(range.substr(dash + 1), 0U, kCpuMax);
  if (!first || !last || *first > *last || cpus.size() > kCpuMax) return false;
  for (unsigned cpu = *first; cpu <= *last; ++cpu) cpus.push_back(static_cast<int>(cpu));
  return true;
}

/// Looks `text` up among pairs of a name and a value.
template <class Value, std::size_t N>
std::optional<Value> named(std::string_view text,
                           const std::array<std::pair<std::string_view, Value>, N>& names) {
  for (const auto& [name, value] : names)
    if (name == text) return value;
  return std::nullopt;
}

template <class Value>
bool store(Value& member, const std::optional<Value>& value) {
  if (value) member = *value;
  return value.has_value();
}

using Level = spdlog::level::level_enum;
constexpr std::array kLevels{
    std::pair{std::string_view{"trace"}, Level::trace},
    std::pair{std::string_view{"debug"}, Level::debug},
    std::pair{std::string_view{"info"}, Level::info},
    std::pair{std::string_view{"warn"}, Level::warn},
    std::pair{std::string_view{"error"}, Level::err},
};
constexpr std::array kFormats{
    std::pair{std::string_view{"text"}, log::Format::text},
    std::pair{std::string_view{"json"}, log::Format::json},
};
constexpr std::array kApps{
    std::pair{std::string_view{"echo"}, App::echo},
};

}  // namespace

std::string_view to_string(App app) noexcept {
  for (const auto& [name, value] : kApps)
    if (value == app) return name;
  return "unknown";
}

bool append_listen(Options& options, std::string_view text) {
  const auto address = SocketAddress::parse(text);
  if (address) options.listen.push_back(*address);
  return address.has_value();
}

bool append_path(Options& options, std::string_view text) {
  const auto allowed = [](char c) { return c > ' ' && c < 0x7f && c != '?' && c != '#'; };
  if (!text.starts_with('/') || !std::all_of(text.begin(), text.end(), allowed)) return false;
  options.paths.emplace_back(text);
  return true;
}

bool set_workers(Options& options, std::string_view text) {
  const auto count = parse_number(text, 1U, kWorkersMax);
  if (!count && text != "auto") return false;
  options.workers = count;
  return true;
}

bool set_pin(Options& options, std::string_view text) {
  std::vector<int> cpus;
  const bool list = text != "auto" && text != "none";
  if (list)
    for (const std::string_view range : pieces(text))
      if (!append_cpus(cpus, range)) return false;
  options.pin = list ? Pin::list : text == "auto" ? Pin::automatic : Pin::none;
  options.pin_cpus = std::move(cpus);
  return true;
}

bool set_policy(Options& options, std::string_view text) {
  return store(options.steer, steering::parse_policy(text));
}

bool set_backend(Options& options, std::string_view text) {
  const auto backend = steering::parse_backend(text);
  // The steering part knows its name and not yet how: refused here, where one sees why.
  if (backend == steering::BackendChoice::cbpf) return false;
  return store(options.backend, backend);
}

bool set_weights(Options& options, std::string_view text) {
  std::vector<std::uint32_t> weights;
  for (const std::string_view piece : pieces(text)) {
    const auto weight = parse_number(piece, 1U, kWeightMax);
    if (!weight) return false;
    weights.push_back(*weight);
  }
  options.weights = std::move(weights);
  return true;
}

bool set_log_level(Options& options, std::string_view text) {
  return store(options.log_level, named(text, kLevels));
}

bool set_log_format(Options& options, std::string_view text) {
  return store(options.log_format, named(text, kFormats));
}

bool set_app(Options& options, std::string_view text) {
  return store(options.app, named(text, kApps));
}

bool set_control_given(Options& options, std::string_view text) {
  const bool accepted = set_control(options, text);
  options.control_given |= accepted;
  return accepted;
}

bool is_account(std::string_view text) noexcept {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  };
  return !text.empty() && text.front() != '-' && std::all_of(text.begin(), text.end(), allowed);
}

std::string policy_list() {
  const auto names = steering::policy_names();
  return fmt::format("{} or {}", fmt::join(names.first(names.size() - 1), ", "), names.back());
}

}  // namespace weir::cli
