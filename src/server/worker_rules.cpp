#include "weir/server/worker_rules.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "weir/base/cidr.h"

namespace weir::server {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::array<char, 4> kMagic{'w', 'r', 'u', 'l'};
constexpr std::uint32_t kVersion = 3;
constexpr std::size_t kCrcBytes = 4;
/// The longest time that any flag takes.
constexpr auto kTimeMax = static_cast<std::uint64_t>(Duration{std::chrono::hours{24}}.count());

/// The table in the header, up to the health path.
struct Head {
  std::array<char, 4> magic;
  std::uint32_t version;
  std::uint64_t size;
  std::uint64_t made_at;
  std::uint64_t hang_threshold;
  std::uint64_t drain_timeout;
  std::uint64_t handshake_timeout;
  std::uint64_t idle_timeout;
  std::uint64_t ping_interval;
  std::uint64_t close_timeout;
  std::uint64_t busy_poll;
  std::uint64_t header_bytes_max;
  std::uint64_t request_line_bytes_max;
  std::uint64_t message_bytes_max;
  std::uint64_t compress_from_bytes;
  std::uint64_t backlog_bytes_max;
  std::uint64_t high_water_bytes;
  std::uint32_t messages_per_second;
  std::uint32_t messages_at_once;
  std::uint8_t log_level;
  std::uint8_t compression;
  std::uint8_t window_bits;
  std::uint8_t slow_consumer;
  std::uint32_t health_path_bytes;
  std::uint32_t paths;
  std::uint32_t origins;
  std::uint32_t subprotocols;
  std::uint32_t networks;
  std::uint32_t hash_on;
  std::uint32_t hash_on_name_bytes;
};
static_assert(sizeof(Head) == 168 && std::has_unique_object_representations_v<Head>, "no padding");
static_assert(offsetof(Head, made_at) == 16 && offsetof(Head, busy_poll) == 72 &&
              offsetof(Head, messages_per_second) == 128 && offsetof(Head, log_level) == 136 &&
              offsetof(Head, paths) == 144);
static_assert(std::endian::native == std::endian::little);
static_assert(SPDLOG_LEVEL_TRACE == 0 && SPDLOG_LEVEL_ERROR == 4);
static_assert(wire::Compression{0} == wire::Compression::off &&
              wire::Compression{2} == wire::Compression::dedicated);
static_assert(wire::HashOn::Part{0} == wire::HashOn::Part::path &&
              wire::HashOn::Part{3} == wire::HashOn::Part::cookie);
static_assert(session::SlowConsumer{0} == session::SlowConsumer::close &&
              session::SlowConsumer{1} == session::SlowConsumer::drop);

std::uint32_t crc_of(Bytes bytes) noexcept {
  return static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

std::uint64_t ns(Duration duration) noexcept {
  return static_cast<std::uint64_t>(duration.count());
}
Duration duration(std::uint64_t ns) noexcept {
  return Duration{static_cast<std::int64_t>(ns)};
}

// --- writing ----------------------------------------------------------------------------------

void put_bytes(std::vector<std::byte>& out, Bytes bytes) {
  out.resize(out.size() + bytes.size());
  std::ranges::copy(bytes, out.end() - static_cast<std::ptrdiff_t>(bytes.size()));
}

template <class Number>
void put(std::vector<std::byte>& out, const Number& number) {
  put_bytes(out, std::as_bytes(std::span{&number, 1}));
}

void put_text(std::vector<std::byte>& out, std::string_view text) {
  put_bytes(out, std::as_bytes(std::span{text}));
}

void put_texts(std::vector<std::byte>& out, const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    put(out, static_cast<std::uint32_t>(text.size()));
    put_text(out, text);
  }
}

Head head_of(const WorkerRules& rules) {
  const session::SessionRules& sessions = rules.sessions;
  const wire::UpgradeRules& upgrade = sessions.upgrade;
  return {.magic = kMagic,
          .version = kVersion,
          .size = 0,  // once it is known
          .made_at = to_ns(rules.made_at),
          .hang_threshold = ns(rules.hang_threshold),
          .drain_timeout = ns(rules.drain_timeout),
          .handshake_timeout = ns(sessions.handshake_timeout),
          .idle_timeout = ns(sessions.idle_timeout),
          .ping_interval = ns(sessions.ping_interval),
          .close_timeout = ns(sessions.close_timeout),
          .busy_poll = ns(rules.busy_poll),
          .header_bytes_max = upgrade.header_bytes_max,
          .request_line_bytes_max = upgrade.request_line_bytes_max,
          .message_bytes_max = sessions.message_bytes_max,
          .compress_from_bytes = sessions.compress_from_bytes,
          .backlog_bytes_max = sessions.backlog_bytes_max,
          .high_water_bytes = sessions.high_water_bytes,
          .messages_per_second = sessions.message_rate.per_second,
          .messages_at_once = sessions.message_rate.burst,
          .log_level = static_cast<std::uint8_t>(rules.log_level),
          .compression = static_cast<std::uint8_t>(upgrade.compression.mode),
          .window_bits = upgrade.compression.window_bits,
          .slow_consumer = static_cast<std::uint8_t>(sessions.slow_consumer),
          .health_path_bytes = static_cast<std::uint32_t>(upgrade.health_path.size()),
          .paths = static_cast<std::uint32_t>(upgrade.paths.size()),
          .origins = static_cast<std::uint32_t>(upgrade.origins.size()),
          .subprotocols = static_cast<std::uint32_t>(upgrade.subprotocols.size()),
          .networks = static_cast<std::uint32_t>(sessions.proxy_from.size()),
          .hash_on = static_cast<std::uint32_t>(upgrade.hash_on.part),
          .hash_on_name_bytes = static_cast<std::uint32_t>(upgrade.hash_on.name.size())};
}

// --- reading ----------------------------------------------------------------------------------

/// Takes from the front of what is left; nothing once that was too little.
class Reader {
 public:
  explicit Reader(Bytes in) noexcept : left_{in} {}

  [[nodiscard]] std::string text(std::size_t bytes) {
    if (bytes > left_.size()) {
      short_ = true;
      return {};
    }
    std::string out{reinterpret_cast<const char*>(left_.data()), bytes};
    left_ = left_.subspan(bytes);
    return out;
  }

  /// Room is made for what is there, not for what is said to be.
  [[nodiscard]] std::vector<std::string> texts(std::uint32_t count) {
    std::vector<std::string> out;
    for (std::uint32_t i = 0; i < count && !short_; ++i) {
      const std::string length = text(sizeof(std::uint32_t));
      std::uint32_t bytes = 0;
      if (!short_) std::memcpy(&bytes, length.data(), sizeof bytes);
      out.push_back(text(bytes));
    }
    return out;
  }

  [[nodiscard]] bool used_up() const noexcept { return !short_ && left_.empty(); }

 private:
  Bytes left_;
  bool short_ = false;
};

/// What no flags come to, by the name that the error says.
std::string_view bad_field(const Head& head) {
  for (const std::uint64_t time :
       {head.hang_threshold, head.drain_timeout, head.handshake_timeout, head.idle_timeout,
        head.ping_interval, head.close_timeout, head.busy_poll})
    if (time > kTimeMax) return "time";
  if (head.handshake_timeout == 0 || head.close_timeout == 0) return "time";
  if (head.made_at > static_cast<std::uint64_t>(INT64_MAX)) return "time made";
  if (head.header_bytes_max == 0) return "request size";
  if (head.message_bytes_max >= session::BlockPool::kBytesMax) return "message size";
  if (head.messages_per_second != 0 && head.messages_at_once == 0) return "message rate";
  if (head.log_level > SPDLOG_LEVEL_ERROR) return "log level";
  if (head.compression > static_cast<std::uint8_t>(wire::Compression::dedicated))
    return "compression";
  if (head.window_bits <= wire::kWindowBitsMin || head.window_bits > wire::kWindowBitsMax)
    return "window";
  if (head.slow_consumer > static_cast<std::uint8_t>(session::SlowConsumer::drop))
    return "slow consumer";
  if (head.hash_on > static_cast<std::uint32_t>(wire::HashOn::Part::cookie) ||
      (head.hash_on == 0) != (head.hash_on_name_bytes == 0))
    return "hash";
  return {};
}

WorkerRules rules_of(const Head& head) {
  WorkerRules rules;
  rules.made_at = Instant{duration(head.made_at)};
  rules.hang_threshold = duration(head.hang_threshold);
  rules.busy_poll = duration(head.busy_poll);
  rules.drain_timeout = duration(head.drain_timeout);
  rules.log_level = static_cast<spdlog::level::level_enum>(head.log_level);
  session::SessionRules& sessions = rules.sessions;
  sessions.handshake_timeout = duration(head.handshake_timeout);
  sessions.idle_timeout = duration(head.idle_timeout);
  sessions.ping_interval = duration(head.ping_interval);
  sessions.close_timeout = duration(head.close_timeout);
  sessions.message_bytes_max = head.message_bytes_max;
  sessions.compress_from_bytes = head.compress_from_bytes;
  sessions.backlog_bytes_max = head.backlog_bytes_max;
  sessions.high_water_bytes = head.high_water_bytes;
  sessions.message_rate = {.per_second = head.messages_per_second, .burst = head.messages_at_once};
  sessions.slow_consumer = session::SlowConsumer{head.slow_consumer};
  sessions.upgrade.header_bytes_max = head.header_bytes_max;
  sessions.upgrade.request_line_bytes_max = head.request_line_bytes_max;
  sessions.upgrade.compression = {.mode = wire::Compression{head.compression},
                                  .window_bits = head.window_bits};
  sessions.upgrade.hash_on.part = static_cast<wire::HashOn::Part>(head.hash_on);
  return rules;
}

Error refusal(std::string what) {
  return {fmt::format("a letter with rules {}", what), "they stay as they were"};
}

}  // namespace

std::vector<std::byte> pack(const WorkerRules& rules) {
  const wire::UpgradeRules& upgrade = rules.sessions.upgrade;
  std::vector<std::byte> out;
  put(out, head_of(rules));
  put_text(out, upgrade.health_path);
  put_text(out, upgrade.hash_on.name);
  put_texts(out, upgrade.paths);
  put_texts(out, upgrade.origins);
  put_texts(out, upgrade.subprotocols);
  std::vector<std::string> networks;
  for (const Cidr& network : rules.sessions.proxy_from) networks.push_back(network.to_string());
  put_texts(out, networks);
  const std::uint64_t size = out.size() + kCrcBytes;
  std::memcpy(out.data() + offsetof(Head, size), &size, sizeof size);
  put(out, crc_of(out));
  return out;
}

Result<WorkerRules> unpack_rules(Bytes letter) {
  Head head{};
  if (letter.size() < sizeof head + kCrcBytes)
    return refusal(fmt::format("of {} bytes", letter.size()));
  std::memcpy(&head, letter.data(), sizeof head);
  if (head.magic != kMagic) return refusal("that is none");
  if (head.version != kVersion)
    return refusal(fmt::format("of version {}, where {} is known", head.version, kVersion));
  if (head.size != letter.size())
    return refusal(fmt::format("of {} bytes that came as {}", head.size, letter.size()));
  const Bytes body = letter.first(letter.size() - kCrcBytes);
  std::uint32_t crc = 0;
  std::memcpy(&crc, letter.data() + body.size(), sizeof crc);
  if (crc != crc_of(body)) return refusal("that is damaged");
  if (const auto field = bad_field(head); !field.empty())
    return refusal(fmt::format("whose {} is out of range", field));

  WorkerRules rules = rules_of(head);
  wire::UpgradeRules& upgrade = rules.sessions.upgrade;
  Reader reader{body.subspan(sizeof head)};
  upgrade.health_path = reader.text(head.health_path_bytes);
  upgrade.hash_on.name = reader.text(head.hash_on_name_bytes);
  upgrade.paths = reader.texts(head.paths);
  upgrade.origins = reader.texts(head.origins);
  upgrade.subprotocols = reader.texts(head.subprotocols);
  for (const std::string& text : reader.texts(head.networks)) {
    const auto network = Cidr::parse(text);
    if (!network) return refusal("whose networks are none");
    rules.sessions.proxy_from.push_back(*network);
  }
  if (!reader.used_up()) return refusal("whose lists do not fill it");
  return rules;
}

}  // namespace weir::server
