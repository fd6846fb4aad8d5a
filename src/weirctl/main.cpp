// weirctl: asks a running weir over its control socket. One command line, one or more questions,
// one answer each on standard output; a failure is one line on standard error.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>

#include "record.h"
#include "weir/admin/control_client.h"
#include "weir/admin/json_text.h"
#include "weir/admin/status.h"
#include "weir/admin/status_table.h"
#include "weir/base/json_number.h"
#include "weir/cli/control_path.h"
#include "weir/cli/ctl_options.h"

namespace {

using weir::Result;
using weir::cli::CtlOptions;

constexpr int kFailed = 1;
/// The master answers between two other events of its loop, none of which takes long.
constexpr std::chrono::milliseconds kTimeout{5'000};
/// It says itself how long an upgrade may take (--upgrade-timeout, an hour at most).
constexpr std::chrono::milliseconds kUpgradeTimeout{std::chrono::minutes{61}};
/// Cursor home, and clear from there: on a terminal each table takes the last one's place.
constexpr std::string_view kClear = "\x1b[H\x1b[J";

/// Everything at once, and through to the reader: a table may be watched through a pipe.
Result<void> print(std::string_view text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (written && std::fflush(stdout) == 0) return {};
  return weir::os_error("cannot write the answer", errno);
}

Result<boost::json::object> ask(const CtlOptions& options) {
  // Not as a list in braces; see answer.cpp of the admin part.
  boost::json::object request;
  request["command"] = options.command;
  if (options.slot) request["slot"] = *options.slot;
  if (options.move) {
    request["count"] = options.move->count;
    request["from"] = options.move->from;
    request["to"] = options.move->to;
  }
  if (options.workers) request["count"] = *options.workers;
  if (!options.policy.empty()) request["policy"] = options.policy;
  if (options.weight) request["weight"] = *options.weight;
  if (!options.binary.empty()) request["binary"] = options.binary;
  return weir::admin::control_call(options.control, request,
                                   options.command == "upgrade" ? kUpgradeTimeout : kTimeout);
}

/// What `status` prints once.
Result<std::string> status_text(const CtlOptions& options) {
  auto answer = ask(options);
  if (!answer) return answer.error();
  const boost::json::value& json = (*answer)["status"];
  if (options.json) return weir::admin::json_text(json) + '\n';
  const auto status = weir::admin::from_json(json);
  if (!status) return status.error();
  return weir::admin::render_table(*status);
}

/// Returns only on an error, or after the first time unless it is to watch.
Result<void> show_status(const CtlOptions& options) {
  const bool redraw = options.watch && !options.json && ::isatty(STDOUT_FILENO) == 1;
  for (bool first = true;; first = false) {
    const auto text = status_text(options);
    if (!text) return text.error();
    const bool apart = !first && !redraw && !options.json;  // tables in a pipe
    const std::string_view lead = redraw ? kClear : apart ? "\n" : "";
    auto printed = print(fmt::format("{}{}", lead, *text));
    if (!printed || !options.watch) return printed;
    std::this_thread::sleep_for(*options.watch);
  }
}

Result<void> reload(const CtlOptions& options) {
  auto answer = ask(options);
  if (!answer) return answer.error();
  const boost::json::value* said = answer->if_contains("reloaded");
  const bool in_words = said != nullptr && said->is_string();
  return print(in_words ? fmt::format("{}\n", std::string_view{said->get_string()}) : "reloaded\n");
}

Result<void> drain(const CtlOptions& options) {
  const auto answer = ask(options);
  if (!answer) return answer.error();
  return print(fmt::format("slot {} drains; a fresh worker takes it then\n", *options.slot));
}

Result<void> rebalance(const CtlOptions& options) {
  const auto answer = ask(options);
  if (!answer) return answer.error();
  const auto sessions = weir::number_in<std::uint64_t>(*answer, "sessions");
  if (!sessions) return weir::Error{"the answer says not how many sessions are to move", ""};
  return print(*sessions == 0 ? "every worker holds its share already\n"
                              : fmt::format("{} sessions are to move\n", *sessions));
}

Result<void> move(const CtlOptions& options) {
  const auto answer = ask(options);
  if (!answer) return answer.error();
  return print(fmt::format("slot {} gives {} sessions to slot {}, as far as it has them\n",
                           options.move->from, options.move->count, options.move->to));
}

Result<void> upgrade(const CtlOptions& options) {
  const auto answer = ask(options);
  if (!answer) return answer.error();
  const auto pid = weir::number_in<std::uint64_t>(*answer, "pid");
  if (!pid) return weir::Error{"the answer says not which process is in charge", ""};
  return print(fmt::format("upgraded: process {} is in charge\n", *pid));
}

Result<void> workers(const CtlOptions& options) {
  const auto answer = ask(options);
  if (!answer) return answer.error();
  return print(
      fmt::format("there are to be {} workers; status shows them come and go\n", *options.workers));
}

/// What weir says beside, on a line of its own; empty where it does not.
std::string note_in(const boost::json::object& answer) {
  const boost::json::value* note = answer.if_contains("note");
  if (note == nullptr || !note->is_string()) return {};
  return fmt::format("note: {}\n", std::string_view{note->get_string()});
}

/// " (was 1)"; empty where weir does not say.
std::string was_in(const boost::json::object& answer) {
  const boost::json::value* was = answer.if_contains("was");
  if (was == nullptr) return {};
  return fmt::format(" (was {})", was->is_string() ? std::string{was->get_string()}
                                                   : weir::admin::json_text(*was));
}

Result<void> steer(const CtlOptions& options) {
  const auto answer = ask(options);
  if (!answer) return answer.error();
  return print(fmt::format("new connections are steered by {}{}, until a reload\n{}",
                           options.policy, was_in(*answer), note_in(*answer)));
}

Result<void> weight(const CtlOptions& options) {
  const auto answer = ask(options);
  if (!answer) return answer.error();
  return print(fmt::format("slot {} has the weight {}{}, until a reload\n{}", *options.slot,
                           *options.weight, was_in(*answer), note_in(*answer)));
}

Result<void> record(const CtlOptions& options) {
  const auto trace = weir::ctl::record(options);
  if (!trace) return trace.error();
  return print(*trace);
}

/// The parser let no other command through.
Result<void> carry_out(const CtlOptions& options) {
  if (options.command == "reload") return reload(options);
  if (options.command == "drain") return drain(options);
  if (options.command == "rebalance") return rebalance(options);
  if (options.command == "move") return move(options);
  if (options.command == "upgrade") return upgrade(options);
  if (options.command == "workers") return workers(options);
  if (options.command == "steer") return steer(options);
  if (options.command == "record") return record(options);
  if (options.command == "weight") return weight(options);
  return show_status(options);
}

}  // namespace

int main(int argc, char** argv) {
  const auto outcome = weir::cli::parse_ctl(argc, argv, weir::cli::default_control_path());
  if (const auto* refused = std::get_if<weir::cli::Refused>(&outcome)) {
    fmt::print(stderr, "{}\n", refused->line);
    return weir::cli::kUsageError;
  }
  const auto* asked = std::get_if<weir::cli::Printed>(&outcome);
  const auto done = asked ? print(asked->text) : carry_out(std::get<CtlOptions>(outcome));
  if (done) return 0;
  fmt::print(stderr, "weirctl: {}\n", weir::to_string(done.error()));
  return kFailed;
}
