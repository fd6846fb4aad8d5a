#include "weir_flags.h"

#include "setters.h"
#include "weir_values.h"

namespace weir::cli {
namespace {

constexpr std::string_view kListening = "Listening";
constexpr std::string_view kWorkers = "Workers";
constexpr std::string_view kSteering = "Steering";
constexpr std::string_view kLimits = "Limits and timeouts";
constexpr std::string_view kPrivileges = "Privileges";
constexpr std::string_view kLogging = "Logging and control";
constexpr std::string_view kProgram = "Program";

constexpr std::int64_t kHour = 3'600'000;  // milliseconds
constexpr std::int64_t kDay = 24 * kHour;

std::vector<Row<Options>> listening() {
  return {
      {{.name = "listen",
        .value = "ADDRESS:PORT",
        .group = kListening,
        .standard = "127.0.0.1:9000",
        .accepts = "ADDRESS:PORT with a numeric address, such as 127.0.0.1:9000, [::1]:9000 or "
                   "*:9000",
        .help = "accept connections here",
        .manual = "An IPv6 address stands in brackets, and in the configuration file in quotes as "
                  "well; * means every IPv4 address. Port 0 lets the kernel pick a free port, "
                  "which the log names. Names are not looked up.",
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
      {{.name = "path",
        .value = "PATH",
        .group = kListening,
        .otherwise = "every path",
        .accepts = "a path that begins with / and has no space, ? or #",
        .help = "answer upgrade requests for this path only",
        .manual = "A request for any other path gets 404. A query after the path does not count.",
        .repeatable = true},
       append_path},
  };
}

std::vector<Row<Options>> workers() {
  return {
      {{.name = "workers",
        .value = "N|auto",
        .group = kWorkers,
        .standard = "auto",
        .accepts = "auto or a number from 1 to 1024",
        .help = "worker processes; auto starts one for each CPU that weir may run on"},
       set_workers},
      {{.name = "pin",
        .value = "auto|none|CPUS",
        .group = kWorkers,
        .standard = "auto",
        .accepts = "auto, none or a list of CPUs such as 0-3,8",
        .help = "bind each worker to a CPU",
        .manual = "auto gives each worker a CPU of its own, if there are enough. A list gives the "
                  "first worker its first CPU, the second its second, and so on; it names at "
                  "least as many as there are workers, and may name one again."},
       set_pin},
      {{.name = "hang-threshold",
        .value = "TIME",
        .group = kWorkers,
        .standard = "50ms",
        .accepts = "0, or a time from 1ms to 1h",
        .help = "steer past a worker that has not woken for this long; 0 never does",
        .manual = "An idle worker wakes itself three times as often as this, so that one that is "
                  "stopped is told from one that has nothing to do."},
       set_duration<&Options::hang_threshold, 1, kHour, Zero::off>},
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
        .accepts_in_help = true},
       set_policy},
      {{.name = "steer-backend",
        .value = "auto|ebpf|none",
        .group = kSteering,
        .standard = "auto",
        .accepts = "auto, ebpf or none",
        .help = "what picks the worker in the kernel",
        .manual =
            "ebpf runs the policies and needs the capability CAP_BPF. none leaves the pick to "
            "the kernel's own hash, whatever the policy. auto takes ebpf where the host "
            "allows it, and logs what it took and why."},
       set_backend},
      {{.name = "weights",
        .value = "W,W,...",
        .group = kSteering,
        .otherwise = "all equal",
        .accepts = "numbers from 1 to 1000 with commas between them, such as 4,2,1",
        .help = "the workers' shares, one number for each worker",
        .manual = "A worker of weight 4 gets twice the connections of one of weight 2. The "
                  "policies least-connections, two-choices and weighted-round-robin heed them."},
       set_weights},
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
        .manual = "One more is refused by the kernel with a reset."},
       set_number<&Options::max_connections, std::uint64_t{1}, std::uint64_t{1'000'000'000}>},
      {{.name = "max-message-size",
        .value = "SIZE",
        .group = kLimits,
        .standard = "1MiB",
        .accepts = "a size from 1 to 1GiB, such as 64KiB",
        .help = "the largest message; a larger one closes its session with 1009",
        .manual = "Counted over all fragments of the message."},
       set_size<&Options::max_message_size, 1, 1'024_MiB>},
      {{.name = "handshake-timeout",
        .value = "TIME",
        .group = kLimits,
        .standard = "10s",
        .accepts = "a time from 1ms to 1h",
        .help = "for the whole upgrade request to arrive"},
       set_duration<&Options::handshake_timeout, 1, kHour, Zero::refused>},
      {{.name = "idle-timeout",
        .value = "TIME",
        .group = kLimits,
        .standard = "120s",
        .accepts = "0, or a time from 1ms to 24h",
        .help = "close a session from which nothing came for this long; 0 never does",
        .manual = "The answer to a ping counts as something."},
       set_duration<&Options::idle_timeout, 1, kDay, Zero::off>},
      {{.name = "ping-interval",
        .value = "TIME",
        .group = kLimits,
        .standard = "30s",
        .accepts = "0, or a time from 1ms to 24h",
        .help = "ping a session from which nothing came for this long; 0 never does",
        .manual = "Shorter than the idle timeout, or the pings would come too late."},
       set_duration<&Options::ping_interval, 1, kDay, Zero::off>},
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
        .accepts_in_help = true},
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
        .group = kProgram,
        .standard = "echo",
        .accepts = "echo",
        .help = "what is done with messages; echo sends each one back"},
       set_app},
      {{.name = "config",
        .value = "FILE",
        .group = kProgram,
        .accepts = "a path to a file",
        .help = "read flags from FILE; those of the command line go before its lines",
        .manual = "",
        .command_line_only = true},
       set_path<&Options::config>},
      {{.name = "check",
        .group = kProgram,
        .help = "say whether the flags and the file are sound, and exit",
        .command_line_only = true},
       set_switch<&Options::check>},
      {{.name = "version",
        .group = kProgram,
        .help = "print the version and exit",
        .command_line_only = true},
       set_nothing},
      {{.name = "help",
        .group = kProgram,
        .help = "print this and exit; -h does the same",
        .command_line_only = true},
       set_nothing},
  };
}

}  // namespace

std::vector<Row<Options>> weir_rows() {
  std::vector<Row<Options>> rows;
  for (auto part : {listening, workers, steering, limits, privileges_and_logging, program})
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
              "number of bytes, or with a unit: kB, MB, GB, KiB, MiB or GiB."};
}

}  // namespace weir::cli
