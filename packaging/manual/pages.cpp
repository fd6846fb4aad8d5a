#include "manual/pages.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <string_view>

#include "manual/roff.h"
#include "weir/cli/ctl_options.h"
#include "weir/cli/options.h"
#include "weir/cli/version.h"

namespace weir::manual {
namespace {

using cli::Flag;
using cli::Manual;

/// A clause as a sentence.
std::string sentence(std::string clause) {
  if (clause.empty()) return clause;
  clause.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(clause.front())));
  return clause + '.';
}

/// `reloading`: other flags of the program change while it runs.
std::string described(const Flag& flag, bool reloading) {
  std::string text = sentence(flag.help);
  if (!flag.manual.empty()) text += fmt::format(" {}", flag.manual);
  if (!flag.accepts.empty()) text += fmt::format(" Accepts {}.", flag.accepts);
  if (!flag.fallback().empty()) text += fmt::format(" Default: {}.", flag.fallback());
  if (flag.repeatable) text += " May be given again.";
  if (!flag.reloads && !flag.command_line_only && reloading) text += " Takes a restart.";
  return text;
}

Roff begin(const Manual& manual) {
  Roff page{manual.program, "8", fmt::format("weir {}", cli::version())};
  page.section("NAME");
  page.paragraph(fmt::format("{} - {}", manual.program, manual.purpose));
  page.section("SYNOPSIS");
  for (const std::string& line : manual.synopsis) page.synopsis(manual.program, line);
  return page;
}

void add_flags(Roff& page, const Manual& manual) {
  page.section("FLAGS");
  if (!manual.units.empty()) page.paragraph(manual.units);
  std::string_view group;
  for (const Flag& flag : manual.flags) {
    if (flag.group != group) page.subsection(flag.group);
    group = flag.group;
    page.item(fmt::format("--{}", flag.name), flag.value, described(flag, !manual.reload.empty()));
  }
}

struct Entry {
  std::string_view term;
  std::string_view text;
};

template <class Entries>
void add_entries(Roff& page, const Entries& entries) {
  for (const Entry& entry : entries) page.item(entry.term, "", entry.text);
}

constexpr std::array kPolicies{
    Entry{"least-connections",
          "The worker with the fewest connections for its weight, those still in the handshake or "
          "waiting to be accepted counted."},
    Entry{"two-choices", "The emptier of two workers picked at random."},
    Entry{"round-robin", "The next worker."},
    Entry{"weighted-round-robin",
          "The next worker of a sequence in which each stands as often as "
          "its weight says, evenly spread."},
    Entry{"source-hash",
          "By the client's address: a client keeps its worker, and a worker that is "
          "lost moves its own clients only."},
    Entry{"tuple-hash", "By the client's address and port."},
    Entry{"cpu-local",
          "The worker bound (--pin) to the CPU that the connection came in on, unless it has more "
          "than 1.25 times the mean; then the one with the fewest connections."},
    Entry{"least-load",
          "The worker whose connections, busy time and backlog, taken together, are least. For "
          "sessions of which some cost far more than others."},
    Entry{"predictive",
          "The worker for which the least busy time is forecast, by a model of its connections, "
          "busy time and traffic that is fitted all the time. While it has little to go by, or is "
          "no better than counting connections, the one with the fewest connections."},
    Entry{
        "uri-hash",
        "By what --hash-on names of the upgrade request: sessions that have it in common share a "
        "worker, and a worker that is lost moves its own keys only, which it has back once it "
        "serves again. A connection is accepted as under least-connections, and once its request "
        "is found good, and before it is answered, it goes to the worker that its key belongs "
        "to. It is answered where it was accepted if its key is missing (counted as hash_no_key), "
        "if it has TLS, which cannot move (hash_tls), or if the other worker does not take it or "
        "is full (hash_stayed). Sessions that are open stay when a key's worker changes, and are "
        "spread by load when weirctl workers has their worker end."},
};

constexpr std::array kExitStatus{
    Entry{"0", "Ended as it was told to, or --help, --version or --check succeeded."},
    Entry{"1",
          "The host or another program stands in the way: a port in use, a right that is "
          "missing, a kernel too old. One line on standard error says which, and what to "
          "do."},
    Entry{"2",
          "A flag or the configuration file is wrong. One line on standard error names it "
          "and what is accepted."},
};

constexpr std::array kCtlExitStatus{
    Entry{"0", "The answer was printed."},
    Entry{"1",
          "No weir answers, this user may not ask, or weir refused. One line on standard "
          "error says which."},
    Entry{"2", "A flag is wrong, or the command."},
};

constexpr std::array kFiles{
    Entry{"/etc/weir/weir.conf", "The configuration file of the packaged service."},
    Entry{"/run/weir/control.sock",
          "The control socket of a weir that root or the packaged "
          "service runs."},
    Entry{"$XDG_RUNTIME_DIR/weir.sock", "That of a weir that any other user runs."},
};

void describe_weir(Roff& page) {
  page.section("DESCRIPTION");
  page.paragraph(
      "weir is a WebSocket server (RFC 6455) for one large host. A master process starts workers, "
      "each with a loop of its own on io_uring(7), and all of them share the ports given by "
      "--listen. A small program in the kernel picks the worker of each new connection from the "
      "workers' present load, before the connection is accepted.");
  page.paragraph(
      "A worker that hangs is passed over within --hang-threshold, and what waits to be accepted "
      "by "
      "it is accepted by the next one that does not; past --hang-kill it is killed. A worker that "
      "dies is replaced; its open sessions are lost, those of the others go on.");
  page.paragraph(
      "The program in the kernel needs the capability CAP_BPF, or root. Without it a simpler one "
      "does, which comes near to the same under least-connections and does the hashes, or else the "
      "kernel's own hash picks the worker; weir says so when it starts. See --steer-backend.");
}

void add_policies(Roff& page) {
  page.section("POLICIES");
  page.paragraph("What --steer may name. Under each of them a worker that hangs is passed over.");
  add_entries(page, kPolicies);
}

void add_config(Roff& page) {
  page.section("CONFIGURATION FILE");
  page.paragraph(
      "The file of --config has a flag a line, as name = value, without the dashes; the flags of "
      "the group Program, but for app, belong on the command line only. A line that begins with # "
      "is a comment, and so is the rest of a line after #. A value may stand in double quotes. A "
      "flag that may be given again may stand on several lines, or once with a list in brackets. "
      "A flag of the command line goes before the file's line. An unknown name is an error.");
  page.example({"# /etc/weir/weir.conf", "listen = [\"0.0.0.0:9000\", \"[::]:9000\"]",
                "workers = 8", "pin = 0-7", "steer = least-connections", "idle-timeout = 5m"});
}

void add_reloading(Roff& page) {
  page.section("RELOADING");
  page.paragraph(
      "SIGHUP to the master, or weirctl reload, has the command line parsed again with the file of "
      "--config as it is now, and as at start: a path is relative to the directory that weir was "
      "started in, and auto means what it meant then. What has changed is logged, with both "
      "values, "
      "and weirctl says it. A file that is wrong is refused whole, with the sentence that a start "
      "would refuse it with, and so is a change of a flag that takes a restart. The master reads "
      "with the rights of its user: it has given up those beyond.");
  page.paragraph(
      "Sessions go on, and the new values hold for them too, at once: limits, timeouts, and the "
      "log "
      "level in all processes. A shorter idle timeout counts silence that began before; with "
      "pings, "
      "a session is pinged before it is closed for that. What was agreed with an open session "
      "stays: its compression and its subprotocol. A policy and weights hold from the next "
      "connection on; sessions that are open stay where they are, unless --rebalance moves them. "
      "What weirctl steer and weirctl weight had set ends. "
      "A worker that hangs meanwhile has the newest values once it goes on, and so has its "
      "successor.");
}

void add_upgrading(Roff& page) {
  page.section("UPGRADING");
  page.paragraph(
      "SIGUSR2 to the master, or weirctl upgrade, runs the binary that weir was started from, or "
      "another one, with the same command line. The new weir is handed the listeners, the steering "
      "program with its tables, the workers' inboxes, the keys of session tickets and the control "
      "socket. Once all its workers are ready they take over from the old ones, slot by slot, with "
      "every session, and the old processes end. Sessions that cannot move, those with TLS or of "
      "a version with which there is no common form, are closed with the code 1012, spread over "
      "--drain-timeout; until the last worker of before has ended, the next upgrade is refused.");
  page.paragraph(
      "If the new weir ends, or is not ready within --upgrade-timeout, the old one goes on as it "
      "was; the log and weirctl say why. The number of workers is the one that was last set, "
      "unless "
      "--workers says another one than at the start before. --steer-backend cannot change to ebpf "
      "or from it, and a version that lays the shared tables out differently refuses: then weir "
      "has "
      "to be restarted.");
  page.paragraph(
      "When the master dies, its workers go on. The process weir-keeper, which has no rights and "
      "does nothing else, holds the listeners, tables and inboxes for a weir --takeover, which it "
      "hands them to over the control socket. It ends when no worker has been alive for 30 s.");
}

void add_signals(Roff& page) {
  page.section("SIGNALS");
  page.item("SIGTERM, SIGINT", "",
            "No new session is taken and --health-path answers 503; the sessions are closed with "
            "the code 1001, spread over --drain-timeout, and weir ends once all workers have. A "
            "second one ends it at once.");
  page.item("SIGHUP", "", "The configuration is read again, as by weirctl reload: see RELOADING.");
  page.item("SIGUSR2", "", "A new weir takes over, as by weirctl upgrade: see UPGRADING.");
}

void add_service(Roff& page) {
  page.section("SERVICE MANAGER");
  page.paragraph(
      "Under systemd (Type=notify) weir says when every worker serves, when it reloads and stops, "
      "and once a second at most what it carries (systemctl status shows it). With WatchdogSec= "
      "the master says that all is well as long as at least one worker serves and wakes.");
  page.paragraph(
      "Listening sockets that a socket unit passes are listen addresses; they go before those of "
      "--listen, and replace its default. Their unit has ReusePort=yes, and FileDescriptorName= "
      "plain, tls, proxy or tls-proxy, which means what the prefixes of --listen do. Each is the "
      "listener of one worker. For further workers weir makes sockets beside it, if it runs as the "
      "user that made the first; the same ListenStream= may stand once for each worker instead. "
      "/usr/share/doc/weir/examples/weir.socket is an example.");
  page.paragraph(
      "With FileDescriptorStoreMax= the manager holds weir's own listeners as well, so that who "
      "connects while all of weir is down waits until it is up again. At an upgrade the manager is "
      "told the new master (MAINPID). KillMode=process and --takeover let the workers outlive a "
      "master that crashes.");
}

}  // namespace

std::string weir_page() {
  const Manual manual = cli::weir_manual();
  Roff page = begin(manual);
  describe_weir(page);
  add_flags(page, manual);
  add_policies(page);
  add_config(page);
  add_reloading(page);
  add_upgrading(page);
  add_signals(page);
  add_service(page);
  page.section("EXIT STATUS");
  add_entries(page, kExitStatus);
  page.section("FILES");
  add_entries(page, kFiles);
  page.section("EXAMPLES");
  page.paragraph("An echo on every address, with four workers on four CPUs:");
  page.example({"weir --listen '*:9000' --workers 4 --pin 0-3"});
  page.paragraph("Whether a file is sound, and what it would come to on this host:");
  page.example({"weir --check --config /etc/weir/weir.conf"});
  page.section("SEE ALSO");
  page.paragraph("weirctl(8), io_uring(7), bpf(2), capabilities(7)");
  return page.text();
}

std::string weirctl_page() {
  const Manual manual = cli::weirctl_manual();
  Roff page = begin(manual);
  page.section("DESCRIPTION");
  page.paragraph(
      "weirctl speaks to a running weir(8) over its control socket, which only the user that "
      "started weir and root may use.");
  page.section("COMMANDS");
  page.item(
      "status", "",
      "Shows for each worker its slot, process, CPU, state and weight; its connections now, those "
      "that wait to be accepted, and those assigned and accepted so far; its messages and "
      "bytes; and the share of the last second that it was busy. The imbalance is the most "
      "connections of a serving worker over their mean: 1 is even.");
  page.item(
      "reload", "",
      "Has the configuration file and the certificates read again, and says what has changed, "
      "or what is wrong: then nothing has. Sessions go on. See RELOADING in weir(8).");
  page.item("drain", "SLOT",
            "Nothing new is steered to the worker of this slot; its sessions are closed with the "
            "code 1012, spread over --drain-timeout of weir(8), and once they are gone a fresh "
            "worker takes the slot. Returns at once; status shows how far it is.");
  page.item("rebalance", "",
            "Has sessions move to other workers until each worker is within one of its share, at "
            "no more than --rebalance-rate of weir(8), and says how many are to move. Clients "
            "notice nothing. Sessions with TLS do not move. Refused under a policy that puts "
            "clients where their address says or sessions where their request does, or by which a "
            "worker may have more than its share.");
  page.item("move", "COUNT FROM TO",
            "Has the worker of slot FROM give so many sessions to that of slot TO, or as many as "
            "it has that can move: to empty a worker before it is taken out, say, or to fill one. "
            "Returns at once; status shows what has arrived. With --rebalance auto they may move "
            "back.");
  page.item(
      "workers", "N",
      "Has N workers serve, 1 to 1024. New ones are steered to as soon as they are ready, and "
      "sessions move to them, also with --rebalance off. Of fewer, the last slots go: each "
      "worker hands its sessions to those that stay, at no more than --rebalance-rate of "
      "weir(8), and ends; status calls it retiring until then. Clients notice nothing, but "
      "those whose sessions cannot move (TLS): they are closed with the code 1012, spread "
      "over --drain-timeout. Returns at once. Refused, with nothing changed, where this host "
      "cannot carry so many, where --weights names a weight for each worker, for fewer than "
      "a service manager passed sockets for, and while workers are still ending.");
  page.item("steer", "POLICY",
            "Has new connections, from the next on, steered by this policy of weir(8), and says "
            "what it was. It outlives workers, an upgrade and the master, and ends with the next "
            "reload, which has the configuration hold again, or with weir. Sessions that are open "
            "stay where they are, unless --rebalance moves them.");
  page.item("weight", "SLOT W",
            "Gives the worker of this slot the weight W, 1 to 1000, in the same way. Where "
            "--weights says nothing all have 1, and so has a worker that comes later. A note is "
            "printed where the policy does not heed it.");
  page.item(
      "record", "",
      "Records what sessions do and prints it as a trace, once the time of --seconds is over, "
      "or SIGINT or SIGTERM has come: a line a session, in the order of arrival, with its "
      "client's address, how long it stayed, how many messages it sent, the microseconds of a "
      "worker's CPU for one of them and the bytes of all, both ways. Sessions that are there "
      "when it begins arrive then, and those that are there as it ends leave then. A session "
      "that moves to another worker is one line, also through an upgrade. What is missing is "
      "told in comments at the end. One recording at a time; killing weirctl ends it as well.");
  page.item(
      "upgrade", "",
      "Has a new weir take over, with every session; see UPGRADING in weir(8). Returns once it "
      "is in charge, or with the reason why the old one goes on.");
  add_flags(page, manual);
  page.section("PROTOCOL");
  page.paragraph(
      "The control socket takes one JSON object a line, and answers with one. Any program may "
      "use it:");
  page.example({R"({"command":"status"})", R"({"ok":true,"status":{"master_pid":4711,...}})",
                R"({"command":"stop"})",
                R"({"ok":false,"error":"unknown command 'stop': expected one of ..."})"});
  page.section("EXIT STATUS");
  add_entries(page, kCtlExitStatus);
  page.section("EXAMPLES");
  page.paragraph("The connections of each worker, once a second:");
  page.example({"weirctl status --watch 1", "weirctl status --json --watch 1 |",
                "    jq -c '[.workers[].connections]'"});
  page.section("SEE ALSO");
  page.paragraph("weir(8)");
  return page.text();
}

}  // namespace weir::manual
