#include "trace.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <istream>
#include <string_view>

namespace weir::sim {
namespace {

constexpr std::string_view kHeader = "arrival_s,client,lifetime_s,messages,cost_us,bytes";
constexpr std::size_t kFields = 6;
constexpr double kSecondsMax = 1e9;  // 31 years, so that nanoseconds fit

std::optional<double> number(std::string_view text, double most) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (!(value >= 0 && value <= most)) return std::nullopt;
  return value;
}

/// FNV-1a: equal words, equal clients.
std::uint64_t hash_of(std::string_view word) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : word) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

std::optional<std::array<std::string_view, kFields>> split(std::string_view line) {
  std::array<std::string_view, kFields> fields;
  for (std::size_t i = 0; i < kFields; ++i) {
    const std::size_t comma = line.find(',');
    if ((comma == std::string_view::npos) != (i + 1 == kFields)) return std::nullopt;
    fields[i] = line.substr(0, comma);
    line.remove_prefix(comma == std::string_view::npos ? line.size() : comma + 1);
  }
  return fields;
}

/// The session of a line, without its random numbers.
std::optional<Session> parse(std::string_view line) {
  const auto fields = split(line);
  if (!fields) return std::nullopt;
  const auto& [arrival, client, lifetime, messages, cost, bytes] = *fields;
  const auto arrives = number(arrival, kSecondsMax);
  const auto stays = number(lifetime, kSecondsMax);
  const auto count = number(messages, 1e15);
  const auto costs = number(cost, kSecondsMax * 1e6);
  const auto total = number(bytes, 1e18);
  if (!arrives || !stays || !count || !costs || !total || client.empty()) return std::nullopt;
  Session session;
  session.arrives = static_cast<Nanoseconds>(*arrives * 1e9);
  session.client = hash_of(client);
  session.lifetime = static_cast<Nanoseconds>(*stays * 1e9);
  session.message_gap_ns = *count > 0 ? *stays * 1e9 / *count : 0;
  session.cost = {.kind = Distribution::Kind::exponential, .mean = *costs * 1e-6};
  session.bytes = static_cast<std::uint32_t>(*count > 0 ? std::min(*total / *count, 4e9) : 0);
  return session;
}

}  // namespace

Result<Trace> Trace::open(std::istream& in, std::string name, std::uint64_t seed) {
  std::string header;
  std::getline(in, header);
  if (header != kHeader)
    return Error{fmt::format("{}: the first line is not that of a trace", name),
                 fmt::format("it has to be {}", kHeader)};
  return Trace{in, std::move(name), seed};
}

std::optional<Session> Trace::next() {
  std::string line;
  while (!error_ && std::getline(*in_, line)) {
    ++line_;
    if (line.empty() || line.front() == '#') continue;
    auto session = parse(line);
    if (!session || session->arrives < last_) {
      error_ = Error{fmt::format("{}, line {}: {}", name_, line_,
                                 session ? "arrives before the line above" : "is no session"),
                     fmt::format("expected {}, in the order of arrival", kHeader)};
      break;
    }
    last_ = session->arrives;
    Random random{seed_, line_};
    session->hash = static_cast<std::uint32_t>(random.next());
    session->random = random;
    return session;
  }
  return std::nullopt;
}

}  // namespace weir::sim
