// The help text: every row of the tables, in groups, with defaults, in 100 columns.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <sstream>

#include "weir/cli/control_path.h"
#include "weir/cli/ctl_options.h"
#include "weir/cli/options.h"

namespace weir::cli {
namespace {

TEST(Help, ShowsEveryRowWithItsDefault) {
  for (const Manual& manual : {weir_manual(), weirctl_manual()}) {
    std::string help = help_text(manual);
    // As one line, so that a wrapped clause is found.
    for (auto at = help.find('\n'); at != help.npos; at = help.find('\n', at)) {
      const auto word = std::min(help.find_first_not_of(" \n", at), help.size());
      help.replace(at, word - at, " ");
    }
    for (const Flag& flag : manual.flags) {
      EXPECT_NE(help.find(fmt::format(" --{} ", flag.name)), help.npos) << flag.name;
      EXPECT_NE(help.find(flag.full_help()), help.npos) << flag.name;
      if (!flag.fallback().empty()) {
        EXPECT_NE(help.find(fmt::format("(default {})", flag.fallback())), help.npos) << flag.name;
      }
    }
  }
}

TEST(Help, FitsInto100Columns) {
  for (const Manual& manual : {weir_manual(), weirctl_manual()}) {
    std::istringstream lines{help_text(manual)};
    for (std::string line; std::getline(lines, line);) {
      EXPECT_LE(line.size(), 100U) << line;
      EXPECT_FALSE(line.ends_with(' ')) << line;
    }
  }
}

TEST(Help, GroupsStandOnceAndInOrder) {
  const std::string help = help_text(weir_manual());
  std::size_t last = 0;
  for (const std::string_view group : {"Listening", "Workers", "Steering", "Limits and timeouts",
                                       "Privileges", "Logging and control", "Program"}) {
    const std::string heading = fmt::format("\n\n{}:\n", group);
    const auto at = help.find(heading);
    ASSERT_NE(at, help.npos) << group;
    EXPECT_GT(at, last) << group;
    EXPECT_EQ(help.find(heading, at + 1), help.npos) << group;
    last = at;
  }
}

TEST(Help, NamesWhatAReloadDoesNotChange) {
  std::string help = help_text(weir_manual());
  std::replace(help.begin(), help.end(), '\n', ' ');
  const std::string names = that_take_a_restart(weir_manual());
  EXPECT_TRUE(
      help.ends_with(fmt::format("weirctl reload, or SIGHUP, has a running weir read FILE and the "
                                 "certificates again; sessions "
                                 "go on. A restart is what these take: {}. ",
                                 names)))
      << help;
  for (const Flag& flag : weir_manual().flags) {
    const bool named =
        fmt::format("{},", names).find(fmt::format("--{},", flag.name)) != names.npos;
    EXPECT_EQ(named, !flag.reloads && !flag.command_line_only) << flag.name;
  }
}

TEST(Help, OfWeirctlIsGolden) {
  EXPECT_EQ(help_text(weirctl_manual()),
            R"(Usage: weirctl [--control PATH] status [--json] [--watch SECONDS]
       weirctl [--control PATH] reload
       weirctl [--control PATH] drain SLOT
       weirctl [--control PATH] rebalance
       weirctl [--control PATH] move COUNT FROM TO
       weirctl [--control PATH] workers N
       weirctl [--control PATH] steer POLICY
       weirctl [--control PATH] weight SLOT W
       weirctl [--control PATH] record [--seconds SECONDS]
       weirctl [--control PATH] upgrade [--binary PATH]
weirctl: ask a running weir what it does, steer and reload it, change its workers, upgrade it.

Of the command status:
  --json                        print the status as one JSON object on one line
  --watch SECONDS               again and again, this far apart, until interrupted (default once)

Of the command record:
  --seconds SECONDS             record for so long (default until interrupted)

Of the command upgrade:
  --binary PATH                 the weir to upgrade to (default the file that the running weir was
                                started from, as it is now)

Of every command:
  --control PATH                the control socket of the weir to speak to (default
                                /run/weir/control.sock for root, else $XDG_RUNTIME_DIR/weir.sock)
  --version                     print the version and exit
  --help                        print this and exit; -h does the same
)");
}

TEST(Help, RowsAreWellFormed) {
  for (const Manual& manual : {weir_manual(), weirctl_manual()}) {
    for (const Flag& flag : manual.flags) {
      EXPECT_FALSE(flag.help.empty()) << flag.name;
      EXPECT_FALSE(flag.help.ends_with('.')) << flag.name;
      EXPECT_EQ(flag.value.empty(), flag.accepts.empty()) << flag.name;
      const bool sentence = flag.manual.empty() || flag.manual.ends_with('.');
      EXPECT_TRUE(sentence) << flag.name;
    }
  }
}

TEST(Nearest, FindsWhatWasMeantAndNothingElse) {
  constexpr std::array<std::string_view, 4> names{"workers", "weights", "listen", "json"};
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"worker", "workers"},  {"wrokers", "workers"}, {"work", "workers"},
      {"wieghts", "weights"}, {"lisen", "listen"},    {"jsno", "json"},
      {"jxyn", ""},           {"port", ""},           {"", ""},
      {"colour", ""},
  };
  for (const auto& [word, name] : cases) EXPECT_EQ(nearest(word, names), name) << word;
  EXPECT_EQ(nearest(std::string(65, 'w'), names), "");
}

TEST(ControlPath, IsRootsOrTheSessions) {
  EXPECT_EQ(default_control_path(0, "/run/user/0"), "/run/weir/control.sock");
  EXPECT_EQ(default_control_path(1000, "/run/user/1000"), "/run/user/1000/weir.sock");
  EXPECT_EQ(default_control_path(1000, ""), "");
  EXPECT_EQ(default_control_path(1000, nullptr), "");
}

}  // namespace
}  // namespace weir::cli
