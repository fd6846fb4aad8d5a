// Each flag's values: what is read from those that are accepted, and the exact line for those
// that are not.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>

#include "parsing.h"

namespace weir::cli {
namespace {

using namespace std::chrono_literals;

TEST(Values, DefaultsAreThoseOfTheTable) {
  const Options options = accepted({});
  ASSERT_EQ(options.listen.size(), 1U);
  EXPECT_EQ(options.listen[0].to_string(), "127.0.0.1:9000");
  EXPECT_EQ(options.backlog, 4096U);
  EXPECT_TRUE(options.paths.empty());
  EXPECT_FALSE(options.workers);
  EXPECT_EQ(worker_count(options, four_cpus()), 4U);
  EXPECT_EQ(options.pin, Pin::automatic);
  EXPECT_EQ(options.hang_threshold, 50ms);
  EXPECT_EQ(options.steer, steering::Policy::least_connections);
  EXPECT_EQ(options.backend, steering::BackendChoice::automatic);
  EXPECT_TRUE(options.weights.empty());
  EXPECT_FALSE(options.max_connections);
  EXPECT_EQ(options.max_message_size, 1'048'576U);
  EXPECT_EQ(options.handshake_timeout, 10s);
  EXPECT_EQ(options.idle_timeout, 120s);
  EXPECT_EQ(options.ping_interval, 30s);
  EXPECT_EQ(options.user, "");
  EXPECT_EQ(options.group, "");
  EXPECT_EQ(options.log_level, spdlog::level::info);
  EXPECT_EQ(options.log_format, log::Format::text);
  EXPECT_EQ(options.control, "/run/here.sock");
  EXPECT_FALSE(options.control_given);
  EXPECT_EQ(to_string(options.app), "echo");
  EXPECT_FALSE(options.check);
  EXPECT_TRUE(options.warnings.empty());
}

TEST(Values, EveryFlagIsRead) {
  const Options options = accepted({"--listen",
                                    "*:80",
                                    "--listen=[::1]:81",
                                    "--backlog",
                                    "2147483647",
                                    "--path",
                                    "/chat",
                                    "--path=/a/b",
                                    "--workers=3",
                                    "--pin",
                                    "0-1,3",
                                    "--hang-threshold=0",
                                    "--steer",
                                    "two-choices",
                                    "--steer-backend",
                                    "none",
                                    "--weights",
                                    "4,2,1000",
                                    "--max-connections=7",
                                    "--max-message-size",
                                    "64KiB",
                                    "--handshake-timeout=1ms",
                                    "--idle-timeout=24h",
                                    "--ping-interval=0",
                                    "--user=weir",
                                    "--group",
                                    "1000",
                                    "--log-level=warn",
                                    "--log-format",
                                    "json",
                                    "--control=/c",
                                    "--app=echo",
                                    "--check"});
  ASSERT_EQ(options.listen.size(), 2U);
  EXPECT_EQ(options.listen[0].to_string(), "0.0.0.0:80");
  EXPECT_EQ(options.listen[1].to_string(), "[::1]:81");
  EXPECT_EQ(options.backlog, 2'147'483'647U);
  EXPECT_EQ(options.paths, (std::vector<std::string>{"/chat", "/a/b"}));
  EXPECT_EQ(options.workers, 3U);
  EXPECT_EQ(options.pin, Pin::list);
  EXPECT_EQ(options.pin_cpus, (std::vector<int>{0, 1, 3}));
  EXPECT_EQ(options.hang_threshold, 0ns);
  EXPECT_EQ(options.steer, steering::Policy::two_choices);
  EXPECT_EQ(options.backend, steering::BackendChoice::none);
  EXPECT_EQ(options.weights, (std::vector<std::uint32_t>{4, 2, 1000}));
  EXPECT_EQ(options.max_connections, 7U);
  EXPECT_EQ(options.max_message_size, 65'536U);
  EXPECT_EQ(options.handshake_timeout, 1ms);
  EXPECT_EQ(options.idle_timeout, 24h);
  EXPECT_EQ(options.ping_interval, 0ns);
  EXPECT_EQ(options.user, "weir");
  EXPECT_EQ(options.group, "1000");
  EXPECT_EQ(options.log_level, spdlog::level::warn);
  EXPECT_EQ(options.log_format, log::Format::json);
  EXPECT_EQ(options.control, "/c");
  EXPECT_TRUE(options.control_given);
  EXPECT_TRUE(options.check);
}

TEST(Values, WrongOnesAreNamedWithWhatIsAccepted) {
  constexpr std::string_view address =
      "expected ADDRESS:PORT with a numeric address, such as 127.0.0.1:9000, [::1]:9000 or *:9000";
  constexpr std::string_view policies =
      "expected least-connections, two-choices, round-robin, weighted-round-robin, source-hash or "
      "tuple-hash";
  constexpr std::string_view cpus = "expected auto, none or a list of CPUs such as 0-3,8";
  constexpr std::string_view weights =
      "expected numbers from 1 to 1000 with commas between them, such as 4,2,1";
  const auto line = [](std::string_view flag, std::string_view value, std::string_view expected) {
    return fmt::format("weir: --{}: '{}' is not accepted: {}", flag, value, expected);
  };
  const std::tuple<std::string_view, std::string_view, std::string_view> cases[] = {
      {"listen", "localhost:9000", address},
      {"listen", "9000", address},
      {"listen", "1.2.3.4:65536", address},
      {"backlog", "0", "expected a number from 1 to 2147483647"},
      {"backlog", "2147483648", "expected a number from 1 to 2147483647"},
      {"path", "chat", "expected a path that begins with / and has no space, ? or #"},
      {"path", "/a b", "expected a path that begins with / and has no space, ? or #"},
      {"path", "/a?b", "expected a path that begins with / and has no space, ? or #"},
      {"workers", "abc", "expected auto or a number from 1 to 1024"},
      {"workers", "0", "expected auto or a number from 1 to 1024"},
      {"workers", "1025", "expected auto or a number from 1 to 1024"},
      {"workers", "-1", "expected auto or a number from 1 to 1024"},
      {"workers", "4 ", "expected auto or a number from 1 to 1024"},
      {"pin", "yes", cpus},
      {"pin", "3-1", cpus},
      {"pin", "0,", cpus},
      {"pin", "0-", cpus},
      {"pin", "8192", cpus},
      {"hang-threshold", "50", "expected 0, or a time from 1ms to 1h"},
      {"hang-threshold", "999us", "expected 0, or a time from 1ms to 1h"},
      {"hang-threshold", "3601s", "expected 0, or a time from 1ms to 1h"},
      {"steer", "random", policies},
      {"steer-backend", "bpf", "expected auto, ebpf or none"},
      {"steer-backend", "cbpf", "expected auto, ebpf or none"},
      {"weights", "0", weights},
      {"weights", "1001", weights},
      {"weights", "4;2", weights},
      {"weights", "4,,2", weights},
      {"max-connections", "0", "expected a number from 1 to 1000000000"},
      {"max-connections", "1000000001", "expected a number from 1 to 1000000000"},
      {"max-message-size", "0", "expected a size from 1 to 1GiB, such as 64KiB"},
      {"max-message-size", "1025MiB", "expected a size from 1 to 1GiB, such as 64KiB"},
      {"max-message-size", "64K", "expected a size from 1 to 1GiB, such as 64KiB"},
      {"handshake-timeout", "0", "expected a time from 1ms to 1h"},
      {"idle-timeout", "25h", "expected 0, or a time from 1ms to 24h"},
      {"ping-interval", "soon", "expected 0, or a time from 1ms to 24h"},
      {"user", "-x", "expected a user's name or number"},
      {"group", "a:b", "expected a group's name or number"},
      {"log-level", "warning", "expected trace, debug, info, warn or error"},
      {"log-format", "xml", "expected text or json"},
      {"control", "--check", "expected a path of 1 to 107 bytes"},
      {"app", "chat", "expected echo"},
  };
  for (const auto& [flag, value, expected] : cases)
    EXPECT_EQ(refused({fmt::format("--{}", flag), std::string{value}}),
              line(flag, value, expected));
  const std::string long_path(108, 'p');
  EXPECT_EQ(refused({"--control", long_path}),
            line("control", long_path, "expected a path of 1 to 107 bytes"));
  EXPECT_EQ(accepted({"--control", long_path.substr(1)}).control.size(), 107U);
}

TEST(Values, ARefusalIsOneLineWhateverWasTyped) {
  EXPECT_EQ(refused({"--workers", "4\n\x1b[2J"}),
            "weir: --workers: '4??[2J' is not accepted: expected auto or a number from 1 to 1024");
}

}  // namespace
}  // namespace weir::cli
