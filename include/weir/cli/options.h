// Options: everything that weir's command line and configuration file can say, typed and
// checked. Filled by parse(), which reads, and only reads: it opens no socket, looks up no user
// and changes nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weir/base/cidr.h"
#include "weir/base/log.h"
#include "weir/base/socket_address.h"
#include "weir/base/units.h"
#include "weir/cli/flag_table.h"
#include "weir/cli/outcome.h"
#include "weir/cli/version.h"
#include "weir/steering/policy.h"
#include "weir/wire/deflate.h"
#include "weir/wire/hash_on.h"

namespace weir::cli {

/// Which CPU each worker is bound to.
enum class Pin : std::uint8_t {
  automatic,  // one worker a CPU, in the order of `Host::cpus`, while there are enough of them
  none,       // wherever the kernel puts it
  list,       // slot i on Options::pin_cpus[i]
};

/// What a worker does with its sessions.
enum class App : std::uint8_t { echo };

[[nodiscard]] std::string_view to_string(App app) noexcept;
[[nodiscard]] std::string_view to_string(wire::Compression compression) noexcept;

/// One --listen: an address, and what its connections begin with.
struct Listen {
  SocketAddress address;
  bool proxy = false;  // a PROXY protocol header first
  bool tls = false;    // then TLS
  /// Of some workers, already listening; of the others one is made. Not owned.
  std::vector<int> sockets{};

  /// As it is given: "tls:[::1]:9443".
  [[nodiscard]] std::string to_string() const;
};

enum class TlsVersion : std::uint8_t { tls12, tls13 };

/// Whether sessions move by themselves once the workers' loads are uneven.
enum class Rebalancing : std::uint8_t { off, automatic };

/// What happens to messages for a client that does not read what it has.
enum class SlowConsumer : std::uint8_t { close, drop };

/// So many a second, after so many at once.
struct Rate {
  std::uint32_t per_second = 0;  // 0: no limit
  std::uint32_t burst = 0;
};

/// The most workers there can be: the steering table has this many slots.
inline constexpr unsigned kWorkersMax = 1024;

struct Options {
  // Listening.
  std::vector<Listen> listen;    // one or more, no address twice; port 0: the kernel picks
  std::uint32_t backlog = 4096;  // connections; the kernel caps it at net.core.somaxconn
  std::vector<Cidr> proxy_from;  // who may send a PROXY header; not empty if a listen takes one

  // Upgrade requests.
  std::vector<std::string> paths;          // each "/..."; empty: every path
  std::vector<std::string> origins;        // of pages; empty: any
  std::vector<std::string> subprotocols;   // served; may be empty
  std::string health_path;                 // empty: none
  std::uint64_t max_header_size = 8_KiB;   // bytes, request line and header lines
  std::uint64_t max_request_line = 4_KiB;  // bytes

  // Compression.
  wire::Compression compression = wire::Compression::shared;
  std::uint64_t compression_min_size = 128;                // bytes; a smaller message goes as it is
  std::uint8_t compression_window = wire::kWindowBitsMax;  // bits, 9 to 15

  // TLS.
  std::vector<std::string> tls_certs;  // files; as many as keys, at least one if a listen is TLS
  std::vector<std::string> tls_keys;   // files, of the certificates in the same order
  TlsVersion tls_min_version = TlsVersion::tls12;
  std::chrono::nanoseconds tls_ticket_rotation = std::chrono::hours{1};  // never 0

  // Workers.
  std::optional<unsigned> workers;  // 1..kWorkersMax; nothing: see worker_count()
  Pin pin = Pin::automatic;
  std::vector<int> pin_cpus;  // with Pin::list: at least one for each worker
  std::chrono::nanoseconds hang_threshold = std::chrono::milliseconds{50};  // 0: off
  std::chrono::nanoseconds busy_poll{};                                     // 0: off
  /// 0: off. Once parsed always set: not given, it is 10 s, or twice a hang threshold above 5 s, or
  /// off where there is no threshold.
  std::optional<std::chrono::nanoseconds> hang_kill;

  // Steering.
  steering::Policy steer = steering::Policy::least_connections;
  steering::BackendChoice backend = steering::BackendChoice::automatic;
  wire::HashOn hash_on;                // for the policy uri-hash
  std::vector<std::uint32_t> weights;  // empty, or one for each worker, 1..1000
  std::chrono::nanoseconds predict_horizon = std::chrono::seconds{1};
  Rebalancing rebalance = Rebalancing::automatic;
  std::uint32_t rebalance_rate = 1000;  // sessions a second, 1..1000000

  // Limits and timeouts. A duration of 0 turns its timeout off where that is allowed.
  std::optional<std::uint64_t> max_connections;  // nothing: what the descriptor limit allows
  std::uint32_t max_connections_per_ip = 0;      // 0: no limit
  Rate connect_rate;                             // of one client address
  std::uint64_t max_message_size = 1_MiB;        // bytes, a whole message after inflation
  Rate max_message_rate;                         // of one session
  std::uint64_t max_backlog = 16_MiB;            // bytes of a session's unsent output
  SlowConsumer slow_consumer = SlowConsumer::close;
  std::chrono::nanoseconds handshake_timeout = std::chrono::seconds{10};  // never 0
  std::chrono::nanoseconds idle_timeout = std::chrono::seconds{120};      // 0: off
  /// 0: off. Once parsed always set: not given, it is 30 s, or half of a shorter idle timeout.
  std::optional<std::chrono::nanoseconds> ping_interval;

  std::chrono::nanoseconds drain_timeout = std::chrono::seconds{10};    // 0: all at once
  std::chrono::nanoseconds upgrade_timeout = std::chrono::seconds{30};  // never 0

  // Privileges: names or numbers, not looked up yet. Empty: stay who we are.
  std::string user;
  std::string group;

  // Logging and control.
  spdlog::level::level_enum log_level = spdlog::level::info;
  log::Format log_format = log::Format::text;
  std::string control;         // the control socket's path; empty: no place to put one
  bool control_given = false;  // chosen by the operator: failing to open it is then an error

  // Program.
  App app = App::echo;
  std::string config;     // the file that was read; empty: none
  bool takeover = false;  // of what a weir has left whose master has died
  bool check = false;     // say whether these options are sound, and exit

  /// Where each flag that was given stands, by its name: "--workers", "/etc/weir.conf:3: workers";
  /// of several the first.
  std::map<std::string, std::string, std::less<>> places;

  /// Sentences for the log about what is accepted and yet probably not meant.
  std::vector<std::string> warnings;
};

/// What parse() has to know about the machine; a test makes one up.
struct Host {
  std::vector<int> cpus;         // that this process may run on, ascending, at least one
  std::string default_control;   // see default_control_path()
  std::vector<Listen> passed{};  // by the service manager; they go before every --listen

  [[nodiscard]] static Host here();
};

using ParseOutcome = Outcome<Options>;

/// Reads the command line and the file that its --config names; a flag goes before the file's
/// line. Never throws: memory that runs out ends the process.
[[nodiscard]] ParseOutcome parse(int argc, const char* const* argv, const Host& host) noexcept;
[[nodiscard]] ParseOutcome parse(int argc, const char* const* argv) noexcept;

/// The flag table, for the help and the manual page.
[[nodiscard]] Manual weir_manual();

/// The workers to start: as asked for, else one for each CPU up to kWorkersMax.
[[nodiscard]] unsigned worker_count(const Options& options, const Host& host) noexcept;
[[nodiscard]] unsigned worker_count(const Options& options);

}  // namespace weir::cli
