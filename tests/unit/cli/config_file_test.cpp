// The configuration file: its form, its precedence, and its mistakes with file and line.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "parsing.h"

namespace weir::cli {
namespace {

TEST(ConfigFile, SetsWhatFlagsSet) {
  const ConfigFile file{
      "# comment\n"
      "\n"
      "; another\n"
      "listen = [\"127.0.0.1:9001\", \"[::1]:9002\"]\r\n"
      "workers=3   # a comment\n"
      "  weights = 4,2,1\n"
      "steer = \"two-choices\"\n"
      "path = /a\n"
      "path = /b\n"
      "pin = 0-1,2\n"
      "idle-timeout = 0\n"
      "control = '/run/other.sock'"};  // no newline at the end
  const Options options = accepted({"--config", file.path()});
  ASSERT_EQ(options.listen.size(), 2U);
  EXPECT_EQ(options.listen[1].to_string(), "[::1]:9002");
  EXPECT_EQ(options.workers, 3U);
  EXPECT_EQ(options.weights, (std::vector<std::uint32_t>{4, 2, 1}));
  EXPECT_EQ(options.steer, steering::Policy::two_choices);
  EXPECT_EQ(options.paths, (std::vector<std::string>{"/a", "/b"}));
  EXPECT_EQ(options.pin_cpus, (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(options.idle_timeout.count(), 0);
  EXPECT_EQ(options.control, "/run/other.sock");
  EXPECT_TRUE(options.control_given);
  EXPECT_EQ(options.config, file.path());
}

TEST(ConfigFile, AFlagReplacesTheFilesLine) {
  const ConfigFile file{"workers = 3\nlisten = 127.0.0.1:9001\nbacklog = 7\n"};
  const Options options =
      accepted({"--workers=2", "--config", file.path(), "--listen=127.0.0.1:9002"});
  EXPECT_EQ(options.workers, 2U);
  ASSERT_EQ(options.listen.size(), 1U);  // not one more address
  EXPECT_EQ(options.listen[0].address.port(), 9002);
  EXPECT_EQ(options.backlog, 7U);
}

TEST(ConfigFile, AnEmptyFileSetsNothing) {
  const ConfigFile file{""};
  EXPECT_EQ(accepted({"--config", file.path()}).backlog, 4096U);
}

TEST(ConfigFile, MistakesAreNamedWithFileAndLine) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"\nworkers = abc\n",
       "2: workers: 'abc' is not accepted: expected auto or a number from 1 to 1024"},
      {"worker = 2\n", "1: unknown key 'worker'; did you mean workers?"},
      {"colour = 2\n", "1: unknown key 'colour'; the keys are the flags that --help lists"},
      {"x=1\n", "1: unknown key 'x'; the keys are the flags that --help lists"},
      {"workers\n", "1: 'workers' is no setting; expected name = value"},
      {"ab\n", "1: 'ab' is no setting; expected name = value"},
      {"= 3\n", "1: '= 3' is no setting; expected name = value"},
      {"=3\n", "1: '=3' is no setting; expected name = value"},
      {"workers =\n", "1: workers: '' is not accepted: expected auto or a number from 1 to 1024"},
      {"[server]\nworkers = 2\n", "1: sections are not used; expected name = value"},
      {"server.workers = 2\n", "1: 'server.workers = 2' is no setting; expected name = value"},
      {"workers = 2\n\nworkers = 3\n", "3: workers is there twice, and may be there once"},
      {"config = a\n", "1: config belongs on the command line only"},
      {"check = true\n", "1: check belongs on the command line only"},
      {"listen = [::1]:9000\nworkers = 2\n",
       "1: a list ends with ] on the line that begins it; an IPv6 address stands in quotes: "
       "listen = \"[::1]:9000\""},
      {"listen = [\"127.0.0.1:1\",\n\"127.0.0.1:2\"]\n",
       "1: a list ends with ] on the line that begins it; an IPv6 address stands in quotes: "
       "listen = \"[::1]:9000\""},
      {"workers = 2 3\n",
       "1: workers: '2,3' is not accepted: expected auto or a number from 1 to 1024"},
  };
  for (const auto& [text, line] : cases) {
    const ConfigFile file{text};
    EXPECT_EQ(refused({"--config", file.path()}), fmt::format("weir: {}:{}", file.path(), line));
  }
}

TEST(ConfigFile, OneThatCannotBeReadIsNamed) {
  EXPECT_EQ(refused({"--config", "/nonexistent/weir.conf"}),
            "weir: --config: cannot read '/nonexistent/weir.conf': No such file or directory");
  EXPECT_EQ(refused({"--config", "/"}), "weir: --config: cannot read '/': Is a directory");
}

TEST(ConfigFile, BytesOfAnyKindEndInALine) {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  for (const std::string& text : {bytes, "workers = \"" + bytes, "listen = [" + bytes,
                                  "'" + bytes + "' = 1", std::string(100'000, '=')}) {
    const ConfigFile file{text};
    const std::string line = refused({"--config", file.path()});
    EXPECT_TRUE(line.starts_with("weir: ")) << line;
    EXPECT_EQ(line.find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace weir::cli
