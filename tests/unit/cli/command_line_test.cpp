// The command line as such: flags that are unknown, incomplete or doubled, --help and --version.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "parsing.h"

namespace weir::cli {
namespace {

TEST(CommandLine, MistakesAreNamedInOneLine) {
  const std::pair<std::vector<std::string>, std::string_view> cases[] = {
      {{"--worker", "2"}, "weir: unknown flag '--worker'; did you mean --workers?"},
      {{"--wrokers=2"}, "weir: unknown flag '--wrokers'; did you mean --workers?"},
      {{"--colour"}, "weir: unknown flag '--colour'; --help lists them"},
      {{"-w"}, "weir: unknown flag '-w'; did you mean --workers?"},
      {{"--workers"},
       "weir: --workers: a value is missing: expected auto or a number from 1 to "
       "1024"},
      {{"--workers=", "2"},
       "weir: --workers: a value is missing: expected auto or a number from "
       "1 to 1024"},
      {{"--check=no"}, "weir: --check takes no value, and '--check=no' has one"},
      {{"--workers=2", "--workers", "3"},
       "weir: --workers is given 2 times, and may be given "
       "once"},
      {{"--check", "--check"}, "weir: --check is given 2 times, and may be given once"},
      {{"9000"}, "weir: '9000' is no flag; --help lists them"},
      {{"--", "--workers"}, "weir: '--workers' is no flag; --help lists them"},
  };
  for (const auto& [words, line] : cases) EXPECT_EQ(refused(words), line);
}

TEST(CommandLine, AValueMayLookLikeANegativeNumberOrAFlag) {
  EXPECT_EQ(refused({"--backlog", "-1"}),
            "weir: --backlog: '-1' is not accepted: expected a number from 1 to 2147483647");
  EXPECT_EQ(refused({"--user", "--check"}),
            "weir: --user: '--check' is not accepted: expected a user's name or number");
}

TEST(CommandLine, HelpGoesBeforeAnyMistake) {
  for (const auto& words : {std::vector<std::string>{"--help"},
                            {"-h"},
                            {"--bogus", "--help"},
                            {"--workers", "abc", "--help"},
                            {"--version", "--help"}}) {
    const ParseOutcome outcome = parse_words(words);
    ASSERT_TRUE(std::holds_alternative<Printed>(outcome)) << words.front();
    EXPECT_TRUE(std::get<Printed>(outcome).text.starts_with("Usage: weir ")) << words.front();
  }
}

TEST(CommandLine, VersionIsOneLine) {
  const ParseOutcome outcome = parse_words({"--version"});
  ASSERT_TRUE(std::holds_alternative<Printed>(outcome));
  EXPECT_EQ(std::get<Printed>(outcome).text, fmt::format("weir {}\n", version()));
}

TEST(CommandLine, NoProgramNameIsNoReasonToFall) {
  EXPECT_TRUE(std::holds_alternative<Options>(parse(0, nullptr, four_cpus())));
}

}  // namespace
}  // namespace weir::cli
