// The manual pages and the default configuration: nothing of the flag tables is missing, and what
// they say is read back.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <sstream>

#include "manual/pages.h"
#include "manual/roff.h"
#include "parsing.h"
#include "weir/cli/config_text.h"
#include "weir/cli/ctl_options.h"

namespace weir::cli {
namespace {

TEST(Manual, HasEveryFlagWithItsDefault) {
  const std::pair<Manual, std::string> pages[] = {
      {weir_manual(), manual::weir_page()},
      {weirctl_manual(), manual::weirctl_page()},
  };
  for (const auto& [table, page] : pages) {
    for (const Flag& flag : table.flags) {
      const std::string name = manual::escaped(fmt::format("--{}", flag.name));
      EXPECT_NE(page.find(fmt::format(".TP\n\\fB{}\\fP", name)), page.npos) << flag.name;
      if (!flag.fallback().empty()) {
        const std::string standard = fmt::format("Default: {}.", flag.fallback());
        EXPECT_NE(page.find(manual::escaped(standard)), page.npos) << flag.name;
      }
    }
  }
}

TEST(Manual, SaysOfEveryFlagWhetherAReloadChangesIt) {
  const std::string page = manual::weir_page();
  for (const Flag& flag : weir_manual().flags) {
    if (flag.command_line_only) continue;
    const auto begin =
        page.find(fmt::format(".TP\n\\fB{}\\fP", manual::escaped(fmt::format("--{}", flag.name))));
    ASSERT_NE(begin, page.npos) << flag.name;
    const std::string entry = page.substr(begin, page.find("\n.", begin + 4) - begin);
    EXPECT_EQ(entry.find("Takes a restart.") != entry.npos, !flag.reloads) << entry;
  }
}

TEST(Manual, ExplainsEveryPolicy) {
  const std::string page = manual::weir_page();
  for (const std::string_view policy : steering::policy_names())
    EXPECT_NE(page.find(fmt::format(".TP\n\\fB{}\\fP\n", manual::escaped(policy))), page.npos)
        << policy;
}

TEST(Manual, HasTheSectionsThatReadersLookFor) {
  for (const std::string& page : {manual::weir_page(), manual::weirctl_page()})
    for (const std::string_view section :
         {"NAME", "SYNOPSIS", "DESCRIPTION", "FLAGS", "EXIT STATUS", "EXAMPLES", "SEE ALSO"})
      EXPECT_NE(page.find(fmt::format("\n.SH {}\n", section)), page.npos) << section;
}

TEST(Roff, TakesNothingInTheTextForARequest) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"--listen", "\\-\\-listen"},         {".TH is a request", "\\&.TH is a request"},
      {"'quoted'", "\\(aqquoted\\(aq"},     {"a \\ b \"c\"", "a \\e b \\(dqc\\(dq"},
      {"  two spaces  ", "  two spaces  "}, {"", ""},
  };
  for (const auto& [text, roff] : cases) EXPECT_EQ(manual::escaped(text), roff);
}

TEST(Roff, MarksFlagsAndPages) {
  EXPECT_EQ(manual::escaped("see weir(8), or give --listen. (8) -- x(y)", true),
            "see \\fBweir\\fP(8), or give \\fB\\-\\-listen\\fP. (8) \\-\\- x(y)");
}

TEST(DefaultConfig, SetsNothingAsItStands) {
  const ConfigFile file{config_text()};
  const Options options = accepted({"--config", file.path()});
  EXPECT_EQ(options.listen.size(), 1U);
  EXPECT_FALSE(options.control_given);
  std::istringstream lines{config_text()};
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), 100U) << line;
    const bool comment = line.empty() || line.starts_with('#');
    EXPECT_TRUE(comment) << line;
  }
}

TEST(DefaultConfig, HasEveryKeyWithADefaultThatIsAcceptedAndChangesNothing) {
  std::istringstream lines{config_text()};
  std::string uncommented;
  std::vector<std::string> keys;
  for (std::string line; std::getline(lines, line);) {
    const auto equals = line.find(" = ");
    if (!line.starts_with('#') || line.starts_with("# ") || equals == line.npos) continue;
    keys.push_back(line.substr(1, equals - 1));
    // Defaults that are no value stand as what the value is called: N, PATH, NAME, W,W,...
    if (std::isupper(static_cast<unsigned char>(line[equals + 3])) == 0)
      uncommented += line.substr(1) + '\n';
  }
  for (const Flag& flag : weir_manual().flags)
    EXPECT_EQ(std::count(keys.begin(), keys.end(), flag.name), flag.command_line_only ? 0 : 1)
        << flag.name;

  const ConfigFile file{uncommented};
  const Options options = accepted({"--config", file.path()});
  const Options plain = accepted({});
  EXPECT_EQ(options.listen[0].to_string(), plain.listen[0].to_string());
  EXPECT_EQ(options.backlog, plain.backlog);
  EXPECT_EQ(options.workers, plain.workers);
  EXPECT_EQ(options.pin, plain.pin);
  EXPECT_EQ(options.hang_threshold, plain.hang_threshold);
  EXPECT_EQ(options.hang_kill, plain.hang_kill);
  EXPECT_EQ(options.drain_timeout, plain.drain_timeout);
  EXPECT_EQ(options.steer, plain.steer);
  EXPECT_EQ(options.backend, plain.backend);
  EXPECT_EQ(options.predict_horizon, plain.predict_horizon);
  EXPECT_EQ(options.rebalance, plain.rebalance);
  EXPECT_EQ(options.rebalance_rate, plain.rebalance_rate);
  EXPECT_EQ(options.max_message_size, plain.max_message_size);
  EXPECT_EQ(options.handshake_timeout, plain.handshake_timeout);
  EXPECT_EQ(options.idle_timeout, plain.idle_timeout);
  EXPECT_EQ(options.ping_interval, plain.ping_interval);
  EXPECT_EQ(options.log_level, plain.log_level);
  EXPECT_EQ(options.log_format, plain.log_format);
  EXPECT_EQ(options.app, plain.app);
}

}  // namespace
}  // namespace weir::cli
