// weirctl's command line.
#include "weir/cli/ctl_options.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace weir::cli {
namespace {

Outcome<CtlOptions> parse_words(const std::vector<const char*>& words,
                                const std::string& default_control = "/run/here.sock") {
  std::vector<const char*> argv{"weirctl"};
  argv.insert(argv.end(), words.begin(), words.end());
  return parse_ctl(static_cast<int>(argv.size()), argv.data(), default_control);
}

TEST(WeirctlOptions, AreReadOnEitherSideOfTheCommand) {
  for (const auto& words : {std::vector<const char*>{"--control", "/c", "status", "--json"},
                            {"status", "--json", "--control=/c"}}) {
    const auto outcome = parse_words(words);
    ASSERT_TRUE(std::holds_alternative<CtlOptions>(outcome));
    const auto& options = std::get<CtlOptions>(outcome);
    EXPECT_EQ(options.command, "status");
    EXPECT_EQ(options.control, "/c");
    EXPECT_TRUE(options.json);
    EXPECT_FALSE(options.watch);
  }
}

TEST(WeirctlOptions, WatchTakesSecondsOrATime) {
  using namespace std::chrono_literals;
  const std::pair<const char*, std::chrono::nanoseconds> cases[] = {
      {"2", 2s}, {"3600", 3600s}, {"100ms", 100ms}, {"1m", 60s}};
  for (const auto& [text, time] : cases) {
    const auto outcome = parse_words({"status", "--watch", text});
    ASSERT_TRUE(std::holds_alternative<CtlOptions>(outcome)) << text;
    EXPECT_EQ(std::get<CtlOptions>(outcome).watch, time) << text;
  }
}

TEST(WeirctlOptions, DrainTakesASlot) {
  const auto outcome = parse_words({"drain", "3"});
  ASSERT_TRUE(std::holds_alternative<CtlOptions>(outcome));
  EXPECT_EQ(std::get<CtlOptions>(outcome).command, "drain");
  EXPECT_EQ(std::get<CtlOptions>(outcome).slot, 3U);
}

TEST(WeirctlOptions, WorkersTakesHowMany) {
  for (const unsigned count : {1U, 1024U}) {
    const auto outcome = parse_words({"workers", fmt::to_string(count).c_str()});
    ASSERT_TRUE(std::holds_alternative<CtlOptions>(outcome));
    EXPECT_EQ(std::get<CtlOptions>(outcome).command, "workers");
    EXPECT_EQ(std::get<CtlOptions>(outcome).workers, count);
  }
}

TEST(WeirctlOptions, SteerTakesAPolicyWhichWeirKnows) {
  const auto outcome = parse_words({"steer", "by-the-stars"});
  ASSERT_TRUE(std::holds_alternative<CtlOptions>(outcome));
  EXPECT_EQ(std::get<CtlOptions>(outcome).command, "steer");
  EXPECT_EQ(std::get<CtlOptions>(outcome).policy, "by-the-stars");
}

TEST(WeirctlOptions, WeightTakesASlotAndAWeight) {
  for (const unsigned weight : {1U, 1000U}) {
    const auto outcome = parse_words({"weight", "1023", fmt::to_string(weight).c_str()});
    ASSERT_TRUE(std::holds_alternative<CtlOptions>(outcome));
    EXPECT_EQ(std::get<CtlOptions>(outcome).command, "weight");
    EXPECT_EQ(std::get<CtlOptions>(outcome).slot, 1'023U);
    EXPECT_EQ(std::get<CtlOptions>(outcome).weight, weight);
  }
}

TEST(WeirctlOptions, RecordTakesSecondsOrATime) {
  using namespace std::chrono_literals;
  const std::pair<const char*, std::chrono::nanoseconds> cases[] = {
      {"1", 1s}, {"86400", 24h}, {"100ms", 100ms}, {"1m", 60s}};
  for (const auto& [text, time] : cases) {
    const auto outcome = parse_words({"record", "--seconds", text});
    ASSERT_TRUE(std::holds_alternative<CtlOptions>(outcome)) << text;
    EXPECT_EQ(std::get<CtlOptions>(outcome).command, "record");
    EXPECT_EQ(std::get<CtlOptions>(outcome).seconds, time) << text;
  }
  const auto outcome = parse_words({"record"});
  ASSERT_TRUE(std::holds_alternative<CtlOptions>(outcome));
  EXPECT_FALSE(std::get<CtlOptions>(outcome).seconds);
}

TEST(WeirctlOptions, MoveTakesACountAndTwoSlots) {
  const auto outcome = parse_words({"move", "1000000", "0", "1023"});
  ASSERT_TRUE(std::holds_alternative<CtlOptions>(outcome));
  const auto& options = std::get<CtlOptions>(outcome);
  EXPECT_EQ(options.command, "move");
  ASSERT_TRUE(options.move);
  EXPECT_EQ(options.move->count, 1'000'000U);
  EXPECT_EQ(options.move->from, 0U);
  EXPECT_EQ(options.move->to, 1'023U);
}

TEST(WeirctlOptions, MistakesAreNamedInOneLine) {
  constexpr std::string_view watch =
      "is not accepted: expected a number of seconds from 1 to 3600, or a time such as 500ms";
  const std::pair<std::vector<const char*>, std::string> cases[] = {
      {{},
       "weirctl: a command is missing: expected status, reload, drain, "
       "rebalance, move, workers, steer, weight, record, upgrade"},
      {{"start"},
       "weirctl: 'start' is no command: expected status, reload, drain, "
       "rebalance, move, workers, steer, weight, record, upgrade"},
      {{"drain"},
       "weirctl: drain: which worker is missing: expected the number of a slot, as weirctl status "
       "shows it"},
      {{"drain", "all"},
       "weirctl: drain: 'all' is not accepted: expected the number of a slot, as weirctl status "
       "shows it"},
      {{"drain", "1024"},
       "weirctl: drain: '1024' is not accepted: expected the number of a slot, as weirctl status "
       "shows it"},
      {{"drain", "1", "2"}, "weirctl: drain takes no '2'; --help shows its flags"},
      {{"reload", "1"}, "weirctl: reload takes no '1'; --help shows its flags"},
      {{"rebalance", "1"}, "weirctl: rebalance takes no '1'; --help shows its flags"},
      {{"move"}, "weirctl: move: a number is missing: expected how many sessions, 1 to 1000000"},
      {{"move", "0", "1", "2"},
       "weirctl: move: '0' is not accepted: expected how many sessions, 1 to 1000000"},
      {{"move", "10", "all", "2"},
       "weirctl: move: 'all' is not accepted: expected the slot that gives them, as weirctl status "
       "shows it"},
      {{"move", "10", "1"},
       "weirctl: move: a number is missing: expected the slot that takes them, as weirctl status "
       "shows it"},
      {{"move", "10", "1", "2", "3"}, "weirctl: move takes no '3'; --help shows its flags"},
      {{"workers"}, "weirctl: workers: a number is missing: expected how many workers, 1 to 1024"},
      {{"workers", "0"},
       "weirctl: workers: '0' is not accepted: expected how many workers, 1 to 1024"},
      {{"workers", "1025"},
       "weirctl: workers: '1025' is not accepted: expected how many workers, 1 to 1024"},
      {{"workers", "auto"},
       "weirctl: workers: 'auto' is not accepted: expected how many workers, 1 to 1024"},
      {{"steer"}, "weirctl: steer: the policy is missing: expected one of those in weir(8)"},
      {{"steer", ""}, "weirctl: steer: the policy is missing: expected one of those in weir(8)"},
      {{"steer", "a", "b"}, "weirctl: steer takes no 'b'; --help shows its flags"},
      {{"weight"},
       "weirctl: weight: which worker is missing: expected the number of a slot, as weirctl status "
       "shows it"},
      {{"weight", "all", "1"},
       "weirctl: weight: 'all' is not accepted: expected the number of a slot, as weirctl status "
       "shows it"},
      {{"weight", "0"}, "weirctl: weight: a number is missing: expected a weight, 1 to 1000"},
      {{"weight", "0", "0"}, "weirctl: weight: '0' is not accepted: expected a weight, 1 to 1000"},
      {{"weight", "0", "1001"},
       "weirctl: weight: '1001' is not accepted: expected a weight, 1 to 1000"},
      {{"weight", "0", "1", "2"}, "weirctl: weight takes no '2'; --help shows its flags"},
      {{"workers", "2", "3"}, "weirctl: workers takes no '3'; --help shows its flags"},
      {{"status", "now"}, "weirctl: status takes no 'now'; --help shows its flags"},
      {{"status", "--jason"}, "weirctl: unknown flag '--jason'; did you mean --json?"},
      {{"record", "10"}, "weirctl: record takes no '10'; --help shows its flags"},
      {{"record", "--seconds=0"},
       "weirctl: --seconds: '0' is not accepted: expected a number of seconds from 1 to 86400, or "
       "a "
       "time such as 500ms"},
      {{"record", "--seconds=86401"},
       "weirctl: --seconds: '86401' is not accepted: expected a number of seconds from 1 to 86400, "
       "or a time such as 500ms"},
      {{"status", "--watch=0"}, fmt::format("weirctl: --watch: '0' {}", watch)},
      {{"status", "--watch=3601"}, fmt::format("weirctl: --watch: '3601' {}", watch)},
      {{"status", "--watch=99ms"}, fmt::format("weirctl: --watch: '99ms' {}", watch)},
  };
  for (const auto& [words, line] : cases) {
    const auto outcome = parse_words(words);
    ASSERT_TRUE(std::holds_alternative<Refused>(outcome)) << line;
    EXPECT_EQ(std::get<Refused>(outcome).line, line);
  }
}

TEST(WeirctlOptions, WithoutADefaultTheSocketMustBeNamed) {
  const auto outcome = parse_words({"status"}, "");
  ASSERT_TRUE(std::holds_alternative<Refused>(outcome));
  EXPECT_EQ(std::get<Refused>(outcome).line,
            "weirctl: where is the control socket? There is no XDG_RUNTIME_DIR to look in: give "
            "--control PATH");
}

}  // namespace
}  // namespace weir::cli
