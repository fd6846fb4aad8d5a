#include "weir_flags.h"

#include "setters.h"
#include "weir_values.h"

namespace weir::cli {
namespace {

constexpr std::string_view kListening = "Listening";
constexpr std::string_view kRequests = "Upgrade requests";
constexpr std::string_view kCompression = "Compression";
constexpr std::string_view kTls = "TLS";
constexpr std::string_view kWorkers = "Workers";
constexpr std::string_view kSteering = "Steering";
constexpr std::string_view kLimits = "Limits and timeouts";
constexpr std::string_view kPrivileges = "Privileges";
constexpr std::string_view kLogging = "Logging and control";
constexpr std::string_view kProgramGroup = "Program";

constexpr std::int64_t kMinute = 60'000;   // milliseconds
constexpr std::int64_t kHour = 3'600'000;  // milliseconds
constexpr std::int64_t kDay = 24 * kHour;

std::vector<Row<Options>> listening() {
  return {
      {{.name = "listen",
        .value = "[tls:][proxy:]ADDRESS:PORT",
        .group = kListening,
        .standard = "127.0.0.1:9000",
        .accepts = "ADDRESS:PORT with a numeric address, such as 127.0.0.1:9000, [::1]:9000 or "
                   "*:9000, or with tls: or proxy: before it",
        .help = "accept connections here",
        .manual = "An IPv6 address stands in brackets, and in the configuration file in quotes as "
                  "well; * means every IPv4 address. Port 0 lets the kernel pick a free port, "
                  "which the log names. Names are not looked up. Sockets that the service manager "
                  "passes are listened on as well, and instead of the default. With tls: the "
                  "connections are TLS (wss), see --tls-cert. With proxy: they begin with a PROXY "
                  "protocol header, see --proxy-from; both together mean TLS behind that header.",
        .repeatable = true},
       append_listen},
      {{.name = "backlog",
        .value = "N",
        .group = kListening,
        .standard = "4096",
        .accepts = "a number from 1 to 2147483647",
        .help = "connections that may wait for each worker to accept them",
        .manual = "The kernel takes the smaller of this and the sysctl net.core.somaxconn."},
       set_number<&Options::backlog, std::uint32_t{1}, std::uint32_t{2'147'483'647}>},
      {{.name = "proxy-from",
        .value = "NETWORK",
        .group = kListening,
        .otherwise = "none",
        .accepts = "a network such as 10.0.0.0/8 or 2001:db8::/32, with no bit set behind its "
                   "length, or one address",
        .help = "believe PROXY protocol headers from here",
        .manual = "On a proxy: listen address the client's address is the one that the header "
                  "(version 1 or 2) tells: in the log and for the limits. A connection from "
                  "elsewhere, or without the header, is reset.",
        .repeatable = true,
        .reloads = true},
       append_proxy_from},
  };
}

std::vector<Row<Options>> requests() {
  return {
      {{.name = "path",
        .value = "PATH",
        .group = kRequests,
        .otherwise = "every path",
        .accepts = "a path that begins with / and has no space, ? or #",
        .help = "answer upgrade requests for this path only",
        .manual = "A request for any other path gets 404. A query after the path does not count.",
        .repeatable = true,
        .reloads = true},
       append_path},
      {{.name = "origin",
        .value = "ORIGIN",
        .group = kRequests,
        .otherwise = "every origin",
        .accepts = "an origin as browsers send it, such as https://example.com, or null",
        .help = "let pages of this origin connect",
        .manual = "A page of another origin gets 403. A request without an Origin is from no "
                  "browser and passes.",
        .repeatable = true,
        .reloads = true},
       append_origin},
      {{.name = "subprotocol",
        .value = "NAME",
        .group = kRequests,
        .otherwise = "none",
        .accepts = "a token such as chat.v1",
        .help = "serve this subprotocol",
        .manual = "Of those that a client asks for, the first that is served is agreed on.",
        .repeatable = true,
        .reloads = true},
       append_subprotocol},
      {{.name = "health-path",
        .value = "PATH",
        .group = kRequests,
        .otherwise = "none",
        .accepts = "a path that begins with / and has no space, ? or #",
        .help = "answer a GET of this path with 200, or 503 while stopping",
        .reloads = true},
       set_health_path},
      {{.name = "max-header-size",
        .value = "SIZE",
        .group = kRequests,
        .standard = "8KiB",
        .accepts = "a size from 256 to 1MiB, such as 16KiB",
        .help = "the request line and all header lines; more gets 431",
        .reloads = true},
       set_size<&Options::max_header_size, 256, 1_MiB>},
      {{.name = "max-request-line",
        .value = "SIZE",
        .group = kRequests,
        .standard = "4KiB",
        .accepts = "a size from 64 to 1MiB, such as 2KiB",
        .help = "the request line; a longer one gets 414",
        .reloads = true},
       set_size<&Options::max_request_line, 64, 1_MiB>},
  };
}

std::vector<Row<Options>> compression() {
  return {
      {{.name = "compression",
        .value = "off|shared|dedicated",
        .group = kCompression,
        .standard = "shared",
        .accepts = "off, shared or dedicated",
        .help = "permessage-deflate, for clients that offer it",
        .manual = "shared compresses each message by itself, and a session needs no memory for it. "
                  "dedicated keeps what was said before to refer back to, where the client agrees: "
                  "messages get smaller, at up to 300 KiB a session.",
        .reloads = true},
       set_compression},
      {{.name = "compression-min-size",
        .value = "SIZE",
        .group = kCompression,
        .standard = "128",
        .accepts = "a size from 0 to 1GiB, such as 1KiB",
        .help = "send smaller messages as they are",
        .reloads = true},
       set_size<&Options::compression_min_size, 0, 1'024_MiB>},
      {{.name = "compression-window",
        .value = "BITS",
        .group = kCompression,
        .standard = "15",
        .accepts = "a number from 9 to 15",
        .help = "how far back dedicated compression refers, as a power of two",
        .manual = "Each bit less halves the memory of a session.",
        .reloads = true},
       set_compression_window},
  };
}

std::vector<Row<Options>> tls() {
  return {
      {{.name = "tls-cert",
        .value = "FILE",
        .group = kTls,
        .otherwise = "none",
        .accepts = "a path to a file",
        .help = "a certificate with its chain, as PEM",
        .manual = "Given several times, the name that the client asks for (SNI) decides; the first "
                  "serves clients that ask for none or another. A reload reads the files again, "
                  "whether or not their names have changed.",
        .repeatable = true,
        .reloads = true},
       append_file<&Options::tls_certs>},
      {{.name = "tls-key",
        .value = "FILE",
        .group = kTls,
        .otherwise = "none",
        .accepts = "a path to a file",
        .help = "the certificate's private key, as PEM, not encrypted",
        .manual = "As many as there are certificates, in the same order. Only the master reads "
                  "them, at start with all the privileges that weir is started with and at a "
                  "reload with those of its user.",
        .repeatable = true,
        .reloads = true},
       append_file<&Options::tls_keys>},
      {{.name = "tls-min-version",
        .value = "VERSION",
        .group = kTls,
        .standard = "1.2",
        .accepts = "1.2 or 1.3",
        .help = "refuse clients that speak no newer TLS"},
       set_tls_min_version},
      {{.name = "tls-ticket-rotation",
        .value = "TIME",
        .group = kTls,
        .standard = "1h",
        .accepts = "a time from 1s to 24h",
        .help = "draw a new key for session tickets this often",
        .manual = "A session resumes, on any worker, by a ticket of this key or of the two before "
                  "it.",
        .reloads = true},
       set_duration<&Options::tls_ticket_rotation, 1'000, kDay, Zero::refused>},
  };
}

std::vector<Row<Options>> workers() {
  return {
      {{.name = "workers",
        .value = "N|auto",
        .group = kWorkers,
        .standard = "auto",
        .accepts = "auto or a number from 1 to 1024",
        .help = "worker processes; auto starts one for each CPU that weir may run on",
        .manual = "weirctl workers changes their number while weir runs.",
        .reloads = true},
       set_workers},
      {{.name = "pin",
        .value = "auto|none|CPUS",
        .group = kWorkers,
        .standard = "auto",
        .accepts = "auto, none or a list of CPUs such as 0-3,8",
        .help = "bind each worker to a CPU",
        .manual = "auto gives each worker a CPU of its own, if there are enough. A list gives the "
                  "first worker its first CPU, the second its second, and so on; it names at "
                  "least as many as there are workers, and may name one again. Where weirctl "
                  "workers makes them more than there are CPUs, auto binds none of the new ones; "
                  "those that run stay where they are until they are replaced."},
       set_pin},
      {{.name = "busy-poll",
        .value = "TIME",
        .group = kWorkers,
        .standard = "0",
        .accepts = "0, or a time from 1us to 10ms",
        .help = "look this long for more work before sleeping; 0 sleeps at once",
        .manual =
            "Answers sooner, where workers have CPUs to themselves: falling asleep and being "
            "woken takes longer than a small message. A worker looks only while work keeps "
            "coming within this time, and sleeps when its clients fall silent; meanwhile it "
            "takes all of its CPU. Twice the time from an answer to the next message is "
            "enough, such as 50us. What it takes for looking is not in the status' busy time.",
        .reloads = true},
       set_duration<&Options::busy_poll, 1, 10'000, Zero::off, std::chrono::microseconds>},
      {{.name = "hang-threshold",
        .value = "TIME",
        .group = kWorkers,
        .standard = "50ms",
        .accepts = "0, or a time from 1ms to 1h",
        .help = "steer past a worker that has not woken for this long; 0 never does",
        .manual = "An idle worker wakes itself three times as often as this, so that one that is "
                  "stopped is told from one that has nothing to do. What was waiting to be "
                  "accepted by it is accepted by another within twice this time.",
        .reloads = true},
       set_duration<&Options::hang_threshold, 1, kHour, Zero::off>},
      {{.name = "hang-kill",
        .value = "TIME",
        .group = kWorkers,
        .otherwise = "10s, or twice a hang threshold above 5s",
        .accepts = "0, or a time from 2ms to 24h",
        .help = "kill and replace a worker that has not woken for this long; 0 never does",
        .manual = "Longer than the hang threshold. Its sessions are lost; what waits to be "
                  "accepted by it is accepted by its neighbours meanwhile. Without a hang "
                  "threshold a worker gives no signs of life, and none is killed.",
        .reloads = true},
       set_duration<&Options::hang_kill, 2, kDay, Zero::off>},
  };
}

std::vector<Row<Options>> steering() {
  return {
      {{.name = "steer",
        .value = "POLICY",
        .group = kSteering,
        .standard = "least-connections",
        .accepts = policy_list(),
        .help = "how a new connection gets its worker",
        .manual = "See POLICIES.",
        .accepts_in_help = true,
        .reloads = true},
       set_policy},
      {{.name = "hash-on",
        .value = "PART",
        .group = kSteering,
        .standard = "path",
        .accepts = "path, query:NAME, header:NAME or cookie:NAME, such as query:room",
        .help = "what of an upgrade request --steer uri-hash goes by",
        .manual =
            "The path, up to a question mark; the first argument of that name in the query; the "
            "first header of that name, in any case; the first cookie of that name. Values count "
            "as they are sent, to the byte and with their case, percent-encoding and quotes. A "
            "request that has no such part is answered by the worker that accepted it.",
        .accepts_in_help = true,
        .reloads = true},
       set_hash_on},
      {{.name = "steer-backend",
        .value = "auto|ebpf|cbpf|none",
        .group = kSteering,
        .standard = "auto",
        .accepts = "auto, ebpf, cbpf or none",
        .help = "what picks the worker in the kernel",
        .manual =
            "ebpf runs the policies and needs the capability CAP_BPF. cbpf needs no privilege: a "
            "program that picks at random, by shares that follow the load, and comes near "
            "least-connections so; or by source-hash or tuple-hash, which heed no weights. It does "
            "no other policy but uri-hash, which is the workers' own doing and holds with each of "
            "them. "
            "It is to be had with a kernel in which CVE-2026-52910 is mended. "
            "none leaves the pick to the kernel's own hash, whatever the policy. "
            "auto takes the first of them that the host allows and that does the policy, and logs "
            "which one it took and why none before it."},
       set_backend},
      {{.name = "weights",
        .value = "W,W,...",
        .group = kSteering,
        .otherwise = "all equal",
        .accepts = "numbers from 1 to 1000 with commas between them, such as 4,2,1",
        .help = "the workers' shares, one number for each worker",
        .manual = "A worker of weight 4 gets twice the connections of one of weight 2, or of "
                  "the hashed addresses. The policy round-robin does not heed them, nor do the "
                  "hashes of the backend cbpf.",
        .reloads = true},
       set_weights},
      {{.name = "predict-horizon",
        .value = "TIME",
        .group = kSteering,
        .standard = "1s",
        .accepts = "a time from 200ms to 1m",
        .help = "how far ahead --steer predictive forecasts the workers' load",
        .manual = "A short one follows what the load does; a long one is less led by chance."},
       set_duration<&Options::predict_horizon, 200, kMinute, Zero::refused>},
      {{.name = "rebalance",
        .value = "off|auto",
        .group = kSteering,
        .standard = "auto",
        .accepts = "off or auto",
        .help = "move open sessions to other workers while the load is uneven",
        .manual =
            "auto begins when for 300 ms a worker has had more than 1.1 times its share of the "
            "connections, or less than half of it, as one that was replaced has, and goes on "
            "until all are within one of it. Clients notice nothing. Sessions with TLS stay "
            "where they are, and under the policies source-hash, tuple-hash, cpu-local, "
            "least-load, predictive and uri-hash all do. "
            "weirctl rebalance asks for it at any time.",
        .reloads = true},
       set_rebalance},
      {{.name = "rebalance-rate",
        .value = "N",
        .group = kSteering,
        .standard = "1000",
        .accepts = "a number from 1 to 1000000",
        .help = "sessions a second that --rebalance and weirctl rebalance may move",
        .manual = "As many move where weirctl workers has workers end.",
        .reloads = true},
       set_number<&Options::rebalance_rate, std::uint32_t{1}, std::uint32_t{1'000'000}>},
  };
}

std::vector<Row<Options>> limits() {
  return {
      {{.name = "max-connections",
        .value = "N",
        .group = kLimits,
        .otherwise = "what the descriptor limit allows",
        .accepts = "a number from 1 to 1000000000",
        .help = "connections that may be open at once, all workers together",
        .manual = "One more is refused by the kernel with a reset. Not given, it follows the "
                  "number of workers.",
        .reloads = true},
       set_number<&Options::max_connections, std::uint64_t{1}, std::uint64_t{1'000'000'000}>},
      {{.name = "max-connections-per-ip",
        .value = "N",
        .group = kLimits,
        .standard = "0",
        .accepts = "a number from 0 to 16777215",
        .help = "connections that one client may have open at once; 0 for no limit",
        .manual = "A client is an IPv4 address or the /64 network of an IPv6 address; behind a "
                  "proxy, the address that its header tells. One more is reset, by the kernel "
                  "already on its SYN where the steering program runs. Connections that were made "
                  "while there was no limit on clients do not count.",
        .reloads = true},
       set_number<&Options::max_connections_per_ip, std::uint32_t{0}, std::uint32_t{16'777'215}>},
      {{.name = "connect-rate",
        .value = "N[:BURST]",
        .group = kLimits,
        .standard = "0",
        .accepts = "a number from 0 to 1000000, or two with a colon between them such as 10:100",
        .help = "connections a second that one client may make; 0 for no limit",
        .manual = "After as many at once as BURST says, or N without it. Those beyond are reset, "
                  "as with --max-connections-per-ip, and cost the client nothing. What comes "
                  "faster than it is accepted is reset after the accept.",
        .reloads = true},
       set_rate<&Options::connect_rate>},
      {{.name = "max-message-size",
        .value = "SIZE",
        .group = kLimits,
        .standard = "1MiB",
        .accepts = "a size from 1 to 1GiB, such as 64KiB",
        .help = "the largest message; a larger one closes its session with 1009",
        .manual = "Counted over all fragments of the message, and after inflation. Lowered by a "
                  "reload, it holds for a message in progress from its next fragment on.",
        .reloads = true},
       set_size<&Options::max_message_size, 1, 1'024_MiB>},
      {{.name = "max-message-rate",
        .value = "N[:BURST]",
        .group = kLimits,
        .standard = "0",
        .accepts = "a number from 0 to 1000000, or two with a colon between them such as 10:100",
        .help = "messages and pings a second from one session; 0 for no limit",
        .manual = "After as many at once as BURST says, or N without it. More closes the session "
                  "with 1008.",
        .reloads = true},
       set_rate<&Options::max_message_rate>},
      {{.name = "max-backlog",
        .value = "SIZE",
        .group = kLimits,
        .standard = "16MiB",
        .accepts = "a size from 64KiB to 2GiB",
        .help = "a session's output that its client has not taken yet",
        .manual = "Beyond it --slow-consumer holds. A message that is larger than this still goes "
                  "to a client that has taken all before.",
        .reloads = true},
       set_size<&Options::max_backlog, 64_KiB, 2'048_MiB>},
      {{.name = "slow-consumer",
        .value = "close|drop",
        .group = kLimits,
        .standard = "close",
        .accepts = "close or drop",
        .help = "what becomes of a session over its backlog",
        .manual = "close ends it with 1013; drop keeps it and leaves out whole messages until "
                  "there is room, counting them.",
        .reloads = true},
       set_slow_consumer},
      {{.name = "handshake-timeout",
        .value = "TIME",
        .group = kLimits,
        .standard = "10s",
        .accepts = "a time from 1ms to 1h",
        .help = "for TLS and the whole upgrade request to arrive; later gets 408",
        .reloads = true},
       set_duration<&Options::handshake_timeout, 1, kHour, Zero::refused>},
      {{.name = "idle-timeout",
        .value = "TIME",
        .group = kLimits,
        .standard = "120s",
        .accepts = "0, or a time from 1ms to 24h",
        .help = "close a session from which nothing came for this long; 0 never does",
        .manual = "The answer to a ping counts as something.",
        .reloads = true},
       set_duration<&Options::idle_timeout, 1, kDay, Zero::off>},
      {{.name = "ping-interval",
        .value = "TIME",
        .group = kLimits,
        .otherwise = "30s, or half of a shorter idle timeout",
        .accepts = "0, or a time from 1ms to 24h",
        .help = "ping a session from which nothing came for this long; 0 never does",
        .manual = "Shorter than the idle timeout, or the pings would come too late. A session that "
                  "has been silent for too long under the timeouts of a reload is pinged first.",
        .reloads = true},
       set_duration<&Options::ping_interval, 1, kDay, Zero::off>},
      {{.name = "drain-timeout",
        .value = "TIME",
        .group = kLimits,
        .standard = "10s",
        .accepts = "0, or a time from 1ms to 1h",
        .help = "spread the closing of sessions over this when stopping; 0 closes all at once",
        .manual = "So that the clients do not come back as one wave. Each is then given 5 s to "
                  "answer. It holds for the whole service and for weirctl drain.",
        .reloads = true},
       set_duration<&Options::drain_timeout, 1, kHour, Zero::off>},
      {{.name = "upgrade-timeout",
        .value = "TIME",
        .group = kLimits,
        .standard = "30s",
        .accepts = "a time from 100ms to 1h",
        .help = "end the new weir of an upgrade if it is not ready by then",
        .manual =
            "The old one then goes on as if nothing had been. An upgrade (weirctl upgrade, or "
            "SIGUSR2) starts the binary with the same command line. Its workers take over the "
            "sessions once all of them are ready.",
        .reloads = true},
       set_duration<&Options::upgrade_timeout, 100, kHour, Zero::refused>},
  };
}

std::vector<Row<Options>> privileges_and_logging() {
  return {
      {{.name = "user",
        .value = "NAME",
        .group = kPrivileges,
        .otherwise = "unchanged",
        .accepts = "a user's name or number",
        .help = "run the workers as this user",
        .manual = "Needs root, or CAP_SETUID and CAP_SETGID."},
       set_account<&Options::user>},
      {{.name = "group",
        .value = "NAME",
        .group = kPrivileges,
        .otherwise = "the user's own",
        .accepts = "a group's name or number",
        .help = "run the workers as this group"},
       set_account<&Options::group>},
      {{.name = "log-level",
        .value = "LEVEL",
        .group = kLogging,
        .standard = "info",
        .accepts = "trace, debug, info, warn or error",
        .help = "log this and worse",
        .manual = "The log goes to standard error.",
        .accepts_in_help = true,
        .reloads = true},
       set_log_level},
      {{.name = "log-format",
        .value = "text|json",
        .group = kLogging,
        .standard = "text",
        .accepts = "text or json",
        .help = "a line for people, or a JSON object a line"},
       set_log_format},
      {{.name = "control",
        .value = "PATH",
        .group = kLogging,
        .otherwise = "/run/weir/control.sock for root, else $XDG_RUNTIME_DIR/weir.sock",
        .accepts = "a path of 1 to 107 bytes",
        .help = "the socket for weirctl",
        .manual = "Its mode is 0600: its owner and root may use it. Where neither of the defaults "
                  "applies weir runs without one."},
       set_control_given},
  };
}

std::vector<Row<Options>> program() {
  return {
      {{.name = "app",
        .value = "NAME",
        .group = kProgramGroup,
        .standard = "echo",
        .accepts = "echo",
        .help = "what is done with messages; echo sends each one back"},
       set_app},
      {{.name = "config",
        .value = "FILE",
        .group = kProgramGroup,
        .accepts = "a path to a file",
        .help = "read flags from FILE; those of the command line go before its lines",
        .manual = "It can be read again while weir runs: see RELOADING.",
        .command_line_only = true},
       set_path<&Options::config>},
      {{.name = "takeover",
        .group = kProgramGroup,
        .help = "go on with what a weir has left whose master has died, if there is one",
        .manual = "Asks at the control socket. The workers of that weir have gone on serving: with "
                  "the same version and settings they are taken on, and else new ones take over "
                  "from them as in an upgrade. Where there is nothing to take over, weir starts as "
                  "without this flag.",
        .command_line_only = true},
       set_switch<&Options::takeover>},
      {{.name = "check",
        .group = kProgramGroup,
        .help = "say whether the flags and the file are sound, and exit",
        .command_line_only = true},
       set_switch<&Options::check>},
      {{.name = "version",
        .group = kProgramGroup,
        .help = "print the version and exit",
        .command_line_only = true},
       set_nothing},
      {{.name = "help",
        .group = kProgramGroup,
        .help = "print this and exit; -h does the same",
        .command_line_only = true},
       set_nothing},
  };
}

}  // namespace

std::vector<Row<Options>> weir_rows() {
  std::vector<Row<Options>> rows;
  for (auto part : {listening, requests, compression, tls, workers, steering, limits,
                    privileges_and_logging, program})
    for (Row<Options>& row : part()) rows.push_back(std::move(row));
  return rows;
}

Manual weir_manual() {
  return {.program = "weir",
          .purpose = "a WebSocket server whose workers share one port, steered by their load",
          .synopsis = {"[FLAGS]", "--config FILE [FLAGS]"},
          .flags = flags_of(weir_rows()),
          .units =
              "TIME is a whole number and a unit: ns, us, ms, s, m or h. SIZE is a whole "
              "number of bytes, or with a unit: kB, MB, GB, KiB, MiB or GiB.",
          .reload =
              "weirctl reload, or SIGHUP, has a running weir read FILE and the certificates again; "
              "sessions go on."};
}

}  // namespace weir::cli
