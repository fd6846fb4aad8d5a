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
constexpr std::uint32_t kRateMax = 1'000'000;

constexpr bool is_visible(char c) {
  return c > ' ' && c < 0x7f;
}

/// The path of a request target: no query and no fragment.
bool is_path(std::string_view text) {
  const auto allowed = [](char c) { return is_visible(c) && c != '?' && c != '#'; };
  return text.starts_with('/') && std::ranges::all_of(text, allowed);
}

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

template <class Value, std::size_t N>
std::string_view name_of(Value wanted,
                         const std::array<std::pair<std::string_view, Value>, N>& names) noexcept {
  for (const auto& [name, value] : names)
    if (value == wanted) return name;
  return "unknown";
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
constexpr std::array kCompressions{
    std::pair{std::string_view{"off"}, wire::Compression::off},
    std::pair{std::string_view{"shared"}, wire::Compression::shared},
    std::pair{std::string_view{"dedicated"}, wire::Compression::dedicated},
};
constexpr std::array kTlsVersions{
    std::pair{std::string_view{"1.2"}, TlsVersion::tls12},
    std::pair{std::string_view{"1.3"}, TlsVersion::tls13},
};
constexpr std::array kRebalancings{
    std::pair{std::string_view{"off"}, Rebalancing::off},
    std::pair{std::string_view{"auto"}, Rebalancing::automatic},
};
constexpr std::array kSlowConsumers{
    std::pair{std::string_view{"close"}, SlowConsumer::close},
    std::pair{std::string_view{"drop"}, SlowConsumer::drop},
};
constexpr std::array kApps{
    std::pair{std::string_view{"echo"}, App::echo},
};

}  // namespace

std::string_view to_string(App app) noexcept {
  return name_of(app, kApps);
}

std::string_view to_string(wire::Compression compression) noexcept {
  return name_of(compression, kCompressions);
}

std::string_view to_string(TlsVersion version) noexcept {
  return name_of(version, kTlsVersions);
}

std::string_view to_string(Rebalancing rebalancing) noexcept {
  return name_of(rebalancing, kRebalancings);
}

std::string_view to_string(SlowConsumer consumer) noexcept {
  return name_of(consumer, kSlowConsumers);
}

std::string_view to_string(spdlog::level::level_enum level) noexcept {
  return name_of(level, kLevels);
}

std::string_view to_string(log::Format format) noexcept {
  return name_of(format, kFormats);
}

std::string Listen::to_string() const {
  return fmt::format("{}{}{}", proxy ? "proxy:" : "", tls ? "tls:" : "", address.to_string());
}

bool append_listen(Options& options, std::string_view text) {
  Listen listen;
  const auto take = [&text](std::string_view prefix, bool& member) {
    if (member || !text.starts_with(prefix)) return false;
    text.remove_prefix(prefix.size());
    return member = true;
  };
  while (take("tls:", listen.tls) || take("proxy:", listen.proxy)) {
  }
  const auto address = SocketAddress::parse(text);
  if (!address) return false;
  listen.address = *address;
  options.listen.push_back(listen);
  return true;
}

bool append_path(Options& options, std::string_view text) {
  if (!is_path(text)) return false;
  options.paths.emplace_back(text);
  return true;
}

bool set_health_path(Options& options, std::string_view text) {
  if (!is_path(text)) return false;
  options.health_path = text;
  return true;
}

bool append_origin(Options& options, std::string_view text) {
  // RFC 6454, 6.2: a scheme, a host and perhaps a port; no path, not even a slash.
  const auto scheme_end = text.find("://");
  const bool has_form = scheme_end != text.npos && scheme_end > 0 && text.size() > scheme_end + 3 &&
                        text.find('/', scheme_end + 3) == text.npos;
  if (text != "null" && (!has_form || !std::ranges::all_of(text, is_visible))) return false;
  options.origins.emplace_back(text);
  return true;
}

bool append_subprotocol(Options& options, std::string_view text) {
  // A token of HTTP (RFC 9110, 5.6.2), as RFC 6455, 11.3.4, asks.
  const auto is_token = [](char c) {
    return is_visible(c) &&
           std::string_view{"\"(),/:;<=>?@[\\]{}"}.find(c) == std::string_view::npos;
  };
  if (text.empty() || text.front() == '-' || !std::ranges::all_of(text, is_token)) return false;
  options.subprotocols.emplace_back(text);
  return true;
}

bool append_proxy_from(Options& options, std::string_view text) {
  const auto network = Cidr::parse(text);
  if (network) options.proxy_from.push_back(*network);
  return network.has_value();
}

bool set_compression(Options& options, std::string_view text) {
  return store(options.compression, named(text, kCompressions));
}

bool set_compression_window(Options& options, std::string_view text) {
  const auto bits = parse_number(text, 9U, unsigned{wire::kWindowBitsMax});
  if (bits) options.compression_window = static_cast<std::uint8_t>(*bits);
  return bits.has_value();
}

bool set_tls_min_version(Options& options, std::string_view text) {
  return store(options.tls_min_version, named(text, kTlsVersions));
}

bool set_slow_consumer(Options& options, std::string_view text) {
  return store(options.slow_consumer, named(text, kSlowConsumers));
}

std::optional<Rate> parse_rate(std::string_view text) {
  const auto colon = text.find(':');
  const auto rate = parse_number(text.substr(0, colon), 0U, kRateMax);
  const auto burst = colon == text.npos ? rate : parse_number(text.substr(colon + 1), 1U, kRateMax);
  if (!rate || !burst || (*rate == 0 && colon != text.npos)) return std::nullopt;
  return Rate{.per_second = *rate, .burst = *burst};
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
  return store(options.backend, steering::parse_backend(text));
}

bool set_hash_on(Options& options, std::string_view text) {
  return store(options.hash_on, wire::parse_hash_on(text));
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

bool set_rebalance(Options& options, std::string_view text) {
  return store(options.rebalance, named(text, kRebalancings));
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
