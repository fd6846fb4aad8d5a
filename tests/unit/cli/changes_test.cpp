// What two sets of options say differently: every flag is compared, by what it means, and named
// with both values and its place.
#include "weir/cli/changes.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "parsing.h"

namespace weir::cli {
namespace {

struct Case {
  std::string_view flag;
  std::vector<std::string> words;  // from a run without flags
  std::string_view said;
};

/// With what a flag needs beside it.
const Case kCases[] = {
    {"listen", {"--listen", "[::1]:80"}, "--listen [::1]:80 (was 127.0.0.1:9000)"},
    {"backlog", {"--backlog", "7"}, "--backlog 7 (was 4096)"},
    {"proxy-from",
     {"--proxy-from", "10.0.0.0/8", "--proxy-from", "::1"},
     "--proxy-from 10.0.0.0/8 ::1/128 (was none)"},
    {"path", {"--path", "/a", "--path", "/b"}, "--path /a /b (was every path)"},
    {"origin", {"--origin", "null"}, "--origin null (was every origin)"},
    {"subprotocol", {"--subprotocol", "chat"}, "--subprotocol chat (was none)"},
    {"health-path", {"--health-path", "/h"}, "--health-path /h (was none)"},
    {"max-header-size", {"--max-header-size", "16KiB"}, "--max-header-size 16KiB (was 8KiB)"},
    {"max-request-line", {"--max-request-line", "100"}, "--max-request-line 100 (was 4KiB)"},
    {"compression", {"--compression", "off"}, "--compression off (was shared)"},
    {"compression-min-size", {"--compression-min-size", "0"}, "--compression-min-size 0 (was 128)"},
    {"compression-window", {"--compression-window", "9"}, "--compression-window 9 (was 15)"},
    {"tls-min-version", {"--tls-min-version", "1.3"}, "--tls-min-version 1.3 (was 1.2)"},
    {"tls-ticket-rotation", {"--tls-ticket-rotation", "90m"}, "--tls-ticket-rotation 90m (was 1h)"},
    {"workers", {"--workers", "3"}, "--workers 3 (was auto)"},
    {"pin", {"--pin", "0-3"}, "--pin 0,1,2,3 (was auto)"},
    {"busy-poll", {"--busy-poll", "50us"}, "--busy-poll 50us (was 0)"},
    {"hang-threshold", {"--hang-threshold", "1s"}, "--hang-threshold 1s (was 50ms)"},
    {"hang-kill", {"--hang-kill", "0"}, "--hang-kill 0 (was 10s)"},
    {"steer", {"--steer", "round-robin"}, "--steer round-robin (was least-connections)"},
    {"hash-on", {"--hash-on", "cookie:sid"}, "--hash-on cookie:sid (was path)"},
    {"steer-backend", {"--steer-backend", "none"}, "--steer-backend none (was auto)"},
    {"weights", {"--weights", "4,3,2,1"}, "--weights 4,3,2,1 (was all equal)"},
    {"predict-horizon", {"--predict-horizon", "2s"}, "--predict-horizon 2s (was 1s)"},
    {"rebalance", {"--rebalance", "off"}, "--rebalance off (was auto)"},
    {"rebalance-rate", {"--rebalance-rate", "5"}, "--rebalance-rate 5 (was 1000)"},
    {"max-connections",
     {"--max-connections", "9"},
     "--max-connections 9 (was what the descriptor limit allows)"},
    {"max-connections-per-ip",
     {"--max-connections-per-ip", "2"},
     "--max-connections-per-ip 2 (was 0)"},
    {"connect-rate", {"--connect-rate", "10:100"}, "--connect-rate 10:100 (was 0)"},
    {"max-message-size", {"--max-message-size", "5"}, "--max-message-size 5 (was 1MiB)"},
    {"max-message-rate", {"--max-message-rate", "7"}, "--max-message-rate 7 (was 0)"},
    {"max-backlog", {"--max-backlog", "1MiB"}, "--max-backlog 1MiB (was 16MiB)"},
    {"slow-consumer", {"--slow-consumer", "drop"}, "--slow-consumer drop (was close)"},
    {"handshake-timeout", {"--handshake-timeout", "1s"}, "--handshake-timeout 1s (was 10s)"},
    {"idle-timeout", {"--idle-timeout", "0"}, "--idle-timeout 0 (was 2m)"},
    {"ping-interval", {"--ping-interval", "1s"}, "--ping-interval 1s (was 30s)"},
    {"drain-timeout", {"--drain-timeout", "0"}, "--drain-timeout 0 (was 10s)"},
    {"upgrade-timeout", {"--upgrade-timeout", "1m"}, "--upgrade-timeout 1m (was 30s)"},
    {"user", {"--user", "www"}, "--user www (was unchanged)"},
    {"group", {"--group", "www"}, "--group www (was the user's own)"},
    {"log-level", {"--log-level", "error"}, "--log-level error (was info)"},
    {"log-format", {"--log-format", "json"}, "--log-format json (was text)"},
    {"control", {"--control", "/c"}, "--control /c (was /run/here.sock)"},
};

std::vector<std::string> said(const Options& before, const Options& after) {
  std::vector<std::string> out;
  for (const Change& change : changes(before, after)) out.push_back(change.to_string());
  return out;
}

TEST(Changes, EveryFlagIsComparedAndSaidWithBothValues) {
  for (const Case& c : kCases)
    EXPECT_EQ(said(accepted({}), accepted(c.words)), std::vector{std::string{c.said}}) << c.flag;
  // Each needs the other.
  EXPECT_EQ(
      said(accepted({}), accepted({"--tls-cert", "a.pem", "--tls-key", "a.key"})),
      (std::vector<std::string>{"--tls-cert a.pem (was none)", "--tls-key a.key (was none)"}));
}

TEST(Changes, NoFlagIsForgotten) {
  for (const Flag& flag : weir_manual().flags) {
    if (flag.command_line_only) continue;
    if (flag.name == "tls-cert" || flag.name == "tls-key") continue;  // above
    if (flag.name == "app") continue;                                 // there is but one
    EXPECT_NE(std::ranges::find(kCases, flag.name, &Case::flag), std::end(kCases))
        << flag.name << " needs a row in changes.cpp, and a case here";
  }
}

TEST(Changes, WhatMeansTheSameIsNone) {
  EXPECT_EQ(said(accepted({"--idle-timeout", "120s"}), accepted({"--idle-timeout", "2m"})),
            std::vector<std::string>{});
  EXPECT_EQ(said(accepted({}), accepted({"--hang-kill", "10s", "--max-connections-per-ip", "0"})),
            std::vector<std::string>{});
}

TEST(Changes, ListsAreComparedWordByWordAndSaidInPartWhereTheyAreLong) {
  EXPECT_EQ(said(accepted({"--path", "/a,/b"}), accepted({"--path", "/a", "--path", "/b"})),
            std::vector<std::string>{"--path /a /b (was /a,/b)"});
  const std::string path = "/" + std::string(200, 'p');
  EXPECT_EQ(
      said(accepted({"--path", path}), accepted({"--path", path + "q"})),
      std::vector<std::string>{fmt::format("--path {0}... (was {0}...)", path.substr(0, 120))});
}

TEST(Changes, WhatFollowsFromAnotherFlagIsSaidToo) {
  EXPECT_EQ(
      said(accepted({}), accepted({"--idle-timeout", "10s"})),
      (std::vector<std::string>{"--idle-timeout 10s (was 2m)", "--ping-interval 5s (was 30s)"}));
}

TEST(Changes, WhatCannotChangeIsRefusedWithItsPlace) {
  const ConfigFile before{"listen = 127.0.0.1:1\nuser = www\nidle-timeout = 60s\n"};
  const ConfigFile after{"idle-timeout = 30s\n\nlisten = 127.0.0.1:2\n"};
  const auto found = changes(accepted({"--config", before.path()}),
                             accepted({"--config", after.path(), "--backlog", "5"}));
  EXPECT_EQ(against(found),
            fmt::format("weir: {}:3: listen: 127.0.0.1:2 (is 127.0.0.1:1), --backlog: 5 (is 4096), "
                        "--user, by default: unchanged (is www): cannot change while weir runs",
                        after.path()));
  const auto timeouts = changes(accepted({}), accepted({"--idle-timeout", "60s"}));
  ASSERT_EQ(timeouts.size(), 1U);
  EXPECT_EQ(timeouts[0].place, "--idle-timeout");
  EXPECT_EQ(against(timeouts), "");
}

/// Whoever adds to these sees to it that launch/reload.cpp takes it over.
TEST(Changes, OnlyWhatIsTakenOverReloads) {
  std::vector<std::string_view> reloads;
  for (const Flag& flag : weir_manual().flags)
    if (flag.reloads) reloads.push_back(flag.name);
  EXPECT_EQ(reloads, (std::vector<std::string_view>{"proxy-from",
                                                    "path",
                                                    "origin",
                                                    "subprotocol",
                                                    "health-path",
                                                    "max-header-size",
                                                    "max-request-line",
                                                    "compression",
                                                    "compression-min-size",
                                                    "compression-window",
                                                    "tls-cert",
                                                    "tls-key",
                                                    "tls-ticket-rotation",
                                                    "workers",
                                                    "busy-poll",
                                                    "hang-threshold",
                                                    "hang-kill",
                                                    "steer",
                                                    "hash-on",
                                                    "weights",
                                                    "rebalance",
                                                    "rebalance-rate",
                                                    "max-connections",
                                                    "max-connections-per-ip",
                                                    "connect-rate",
                                                    "max-message-size",
                                                    "max-message-rate",
                                                    "max-backlog",
                                                    "slow-consumer",
                                                    "handshake-timeout",
                                                    "idle-timeout",
                                                    "ping-interval",
                                                    "drain-timeout",
                                                    "upgrade-timeout",
                                                    "log-level"}));
}

}  // namespace
}  // namespace weir::cli
