// weirctl's flag table and its command line.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "command_line.h"
#include "flag_set.h"
#include "setters.h"
#include "weir/cli/ctl_options.h"
#include "weir/cli/options.h"
#include "weir/cli/version.h"
#include "weir/steering/policy.h"  // WEIR_WEIGHT_MAX

namespace weir::cli {
namespace {

constexpr std::string_view kWeirctl = "weirctl";

struct CommandRow {
  std::string_view name;
  std::size_t words = 0;  // that it takes
};

constexpr std::array kCommands{
    CommandRow{.name = "status"},
    CommandRow{.name = "reload"},
    CommandRow{.name = "drain", .words = 1},
    CommandRow{.name = "rebalance"},
    CommandRow{.name = "move", .words = 3},
    CommandRow{.name = "workers", .words = 1},
    CommandRow{.name = "steer", .words = 1},
    CommandRow{.name = "weight", .words = 2},
    CommandRow{.name = "record"},
    CommandRow{.name = "upgrade"},
};
constexpr unsigned kSlotMax = kWorkersMax - 1;
constexpr unsigned kMoveMax = 1'000'000;

/// "2", or with a unit as any other time.
bool set_watch(CtlOptions& options, std::string_view text) {
  const auto seconds = parse_number(text, 1U, 3600U);
  const auto time = seconds ? std::chrono::seconds{*seconds} : parse_duration(text);
  if (!time || *time < std::chrono::milliseconds{100} || *time > std::chrono::hours{1})
    return false;
  options.watch = *time;
  return true;
}

/// Likewise, up to a day.
bool set_seconds(CtlOptions& options, std::string_view text) {
  const auto seconds = parse_number(text, 1U, 86'400U);
  const auto time = seconds ? std::chrono::seconds{*seconds} : parse_duration(text);
  if (!time || *time < std::chrono::milliseconds{100} || *time > std::chrono::hours{24})
    return false;
  options.seconds = *time;
  return true;
}

bool set_binary(CtlOptions& options, std::string_view text) {
  options.binary = text;
  return text.starts_with('/');
}

std::vector<Row<CtlOptions>> rows() {
  return {
      {{.name = "json",
        .group = "Of the command status",
        .help = "print the status as one JSON object on one line"},
       set_switch<&CtlOptions::json>},
      {{.name = "watch",
        .value = "SECONDS",
        .group = "Of the command status",
        .otherwise = "once",
        .accepts = "a number of seconds from 1 to 3600, or a time such as 500ms",
        .help = "again and again, this far apart, until interrupted"},
       set_watch},
      {{.name = "seconds",
        .value = "SECONDS",
        .group = "Of the command record",
        .otherwise = "until interrupted",
        .accepts = "a number of seconds from 1 to 86400, or a time such as 500ms",
        .help = "record for so long"},
       set_seconds},
      {{.name = "binary",
        .value = "PATH",
        .group = "Of the command upgrade",
        .otherwise = "the file that the running weir was started from, as it is now",
        .accepts = "an absolute path",
        .help = "the weir to upgrade to"},
       set_binary},
      {{.name = "control",
        .value = "PATH",
        .group = "Of every command",
        .otherwise = "/run/weir/control.sock for root, else $XDG_RUNTIME_DIR/weir.sock",
        .accepts = "a path of 1 to 107 bytes",
        .help = "the control socket of the weir to speak to"},
       set_control},
      {{.name = "version", .group = "Of every command", .help = "print the version and exit"},
       set_nothing},
      {{.name = "help",
        .group = "Of every command",
        .help = "print this and exit; -h does the same"},
       set_nothing},
  };
}

std::string command_list() {
  std::string names;
  for (const CommandRow& command : kCommands)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", command.name);
  return names;
}

std::optional<Refused> set_slot(CtlOptions& options, const std::vector<std::string>& words) {
  if (words.size() > 1) options.slot = parse_number(words[1], 0U, kSlotMax);
  if (options.slot) return std::nullopt;
  return Refused{fmt::format(
      "weirctl: {}: {}: expected the number of a slot, as weirctl "
      "status shows it",
      words.front(),
      words.size() > 1 ? in_quotes(words[1]) + " is not accepted" : "which worker is missing")};
}

std::optional<Refused> set_weight(CtlOptions& options, const std::vector<std::string>& words) {
  if (auto refused = set_slot(options, words)) return refused;
  if (words.size() > 2) options.weight = parse_number(words[2], 1U, WEIR_WEIGHT_MAX);
  if (options.weight) return std::nullopt;
  return Refused{fmt::format(
      "weirctl: weight: {}: expected a weight, 1 to {}",
      words.size() > 2 ? in_quotes(words[2]) + " is not accepted" : "a number is missing",
      WEIR_WEIGHT_MAX)};
}

/// Which policies there are the weir that is asked knows, and says.
std::optional<Refused> set_policy_word(CtlOptions& options, const std::vector<std::string>& words) {
  if (words.size() > 1) options.policy = words[1];
  if (!options.policy.empty()) return std::nullopt;
  return Refused{"weirctl: steer: the policy is missing: expected one of those in weir(8)"};
}

std::optional<Refused> set_move(CtlOptions& options, const std::vector<std::string>& words) {
  constexpr std::array kMax{kMoveMax, kSlotMax, kSlotMax};
  constexpr std::array kMin{1U, 0U, 0U};
  constexpr std::array<std::string_view, 3> kExpected{
      "how many sessions, 1 to 1000000", "the slot that gives them, as weirctl status shows it",
      "the slot that takes them, as weirctl status shows it"};
  std::array<unsigned, 3> given{};
  for (std::size_t i = 0; i < given.size(); ++i) {
    const bool there = i + 1 < words.size();
    const auto number =
        there ? parse_number(words[i + 1], kMin[i], kMax[i]) : std::optional<unsigned>{};
    if (!number)
      return Refused{
          fmt::format("weirctl: move: {}: expected {}",
                      there ? in_quotes(words[i + 1]) + " is not accepted" : "a number is missing",
                      kExpected[i])};
    given[i] = *number;
  }
  options.move = {.count = given[0], .from = given[1], .to = given[2]};
  return std::nullopt;
}

std::optional<Refused> set_workers(CtlOptions& options, const std::vector<std::string>& words) {
  if (words.size() > 1) options.workers = parse_number(words[1], 1U, kWorkersMax);
  if (options.workers) return std::nullopt;
  return Refused{fmt::format(
      "weirctl: workers: {}: expected how many workers, 1 to {}",
      words.size() > 1 ? in_quotes(words[1]) + " is not accepted" : "a number is missing",
      kWorkersMax)};
}

std::optional<Refused> set_command(CtlOptions& options, const std::vector<std::string>& words) {
  if (words.empty())
    return Refused{fmt::format("weirctl: a command is missing: expected {}", command_list())};
  const auto command = std::ranges::find(kCommands, words.front(), &CommandRow::name);
  if (command == kCommands.end())
    return Refused{fmt::format("weirctl: {} is no command: expected {}", in_quotes(words.front()),
                               command_list())};
  const std::size_t takes = 1 + command->words;
  if (words.size() > takes)
    return Refused{fmt::format("weirctl: {} takes no {}; --help shows its flags", words.front(),
                               in_quotes(words[takes]))};
  if (command->name == "drain")
    if (auto refused = set_slot(options, words)) return refused;
  if (command->name == "move")
    if (auto refused = set_move(options, words)) return refused;
  if (command->name == "workers")
    if (auto refused = set_workers(options, words)) return refused;
  if (command->name == "steer")
    if (auto refused = set_policy_word(options, words)) return refused;
  if (command->name == "weight")
    if (auto refused = set_weight(options, words)) return refused;
  options.command = words.front();
  return std::nullopt;
}

Outcome<CtlOptions> read(int argc, const char* const* argv, const std::string& default_control) {
  const std::vector<Row<CtlOptions>> table = rows();
  const auto line = read_command_line(kWeirctl, flags_of(table), argc, argv);
  if (!line) return line.error();
  if (line->help) return Printed{help_text(weirctl_manual())};
  if (line->version) return Printed{fmt::format("weirctl {}\n", version())};
  CtlOptions options;
  options.control = default_control;
  if (auto refused = apply(kWeirctl, table, line->flags, options)) return *refused;
  if (auto refused = set_command(options, line->words)) return *refused;
  if (options.control.empty())
    return Refused{
        "weirctl: where is the control socket? There is no XDG_RUNTIME_DIR to look in: "
        "give --control PATH"};
  return options;
}

}  // namespace

Outcome<CtlOptions> parse_ctl(int argc, const char* const* argv,
                              const std::string& default_control) noexcept {
  return read(argc, argv, default_control);
}

Manual weirctl_manual() {
  Manual manual{
      .program = "weirctl",
      .purpose =
          "ask a running weir what it does, steer and reload it, change its workers, upgrade it",
      .synopsis = {},
      .flags = flags_of(rows()),
      .units = ""};
  manual.synopsis.push_back("[--control PATH] status [--json] [--watch SECONDS]");
  manual.synopsis.push_back("[--control PATH] reload");
  manual.synopsis.push_back("[--control PATH] drain SLOT");
  manual.synopsis.push_back("[--control PATH] rebalance");
  manual.synopsis.push_back("[--control PATH] move COUNT FROM TO");
  manual.synopsis.push_back("[--control PATH] workers N");
  manual.synopsis.push_back("[--control PATH] steer POLICY");
  manual.synopsis.push_back("[--control PATH] weight SLOT W");
  manual.synopsis.push_back("[--control PATH] record [--seconds SECONDS]");
  manual.synopsis.push_back("[--control PATH] upgrade [--binary PATH]");
  return manual;
}

}  // namespace weir::cli
