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
  EXPECT_EQ(options.busy_poll, 0ns);
  EXPECT_EQ(options.hang_threshold, 50ms);
  EXPECT_EQ(options.hang_kill, 10s);
  EXPECT_EQ(options.drain_timeout, 10s);
  EXPECT_EQ(options.steer, steering::Policy::least_connections);
  EXPECT_EQ(options.backend, steering::BackendChoice::automatic);
  EXPECT_TRUE(options.weights.empty());
  EXPECT_EQ(options.predict_horizon, 1s);
  EXPECT_EQ(options.rebalance, Rebalancing::automatic);
  EXPECT_EQ(options.rebalance_rate, 1000U);
  EXPECT_TRUE(options.proxy_from.empty());
  EXPECT_TRUE(options.origins.empty());
  EXPECT_TRUE(options.subprotocols.empty());
  EXPECT_EQ(options.health_path, "");
  EXPECT_EQ(options.max_header_size, 8'192U);
  EXPECT_EQ(options.max_request_line, 4'096U);
  EXPECT_EQ(options.compression, wire::Compression::shared);
  EXPECT_EQ(options.compression_min_size, 128U);
  EXPECT_EQ(options.compression_window, 15);
  EXPECT_TRUE(options.tls_certs.empty());
  EXPECT_EQ(options.tls_min_version, TlsVersion::tls12);
  EXPECT_EQ(options.tls_ticket_rotation, 1h);
  EXPECT_FALSE(options.max_connections);
  EXPECT_EQ(options.max_connections_per_ip, 0U);
  EXPECT_EQ(options.connect_rate.per_second, 0U);
  EXPECT_EQ(options.max_message_rate.per_second, 0U);
  EXPECT_EQ(options.max_backlog, 16'777'216U);
  EXPECT_EQ(options.slow_consumer, SlowConsumer::close);
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
                                    "--listen=tls:127.0.0.1:82",
                                    "--listen=proxy:127.0.0.1:83",
                                    "--listen=proxy:tls:127.0.0.1:84",
                                    "--listen=tls:proxy:127.0.0.1:85",
                                    "--proxy-from=10.0.0.0/8",
                                    "--proxy-from",
                                    "::1",
                                    "--origin=https://example.com",
                                    "--origin",
                                    "null",
                                    "--subprotocol=chat.v1",
                                    "--subprotocol=mqtt",
                                    "--health-path=/healthz",
                                    "--max-header-size=16KiB",
                                    "--max-request-line=64",
                                    "--compression=dedicated",
                                    "--compression-min-size=0",
                                    "--compression-window=9",
                                    "--tls-cert=a.pem",
                                    "--tls-cert=b.pem",
                                    "--tls-key=a.key",
                                    "--tls-key=b.key",
                                    "--tls-min-version=1.3",
                                    "--tls-ticket-rotation=1s",
                                    "--max-connections-per-ip=5",
                                    "--connect-rate=10:100",
                                    "--max-message-rate=7",
                                    "--max-backlog=64KiB",
                                    "--slow-consumer=drop",
                                    "--backlog",
                                    "2147483647",
                                    "--path",
                                    "/chat",
                                    "--path=/a/b",
                                    "--workers=3",
                                    "--pin",
                                    "0-1,3",
                                    "--busy-poll=10ms",
                                    "--hang-threshold=0",
                                    "--steer",
                                    "two-choices",
                                    "--hash-on=header:X-Room",
                                    "--steer-backend",
                                    "none",
                                    "--predict-horizon=1m",
                                    "--rebalance=off",
                                    "--rebalance-rate=1000000",
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
  ASSERT_EQ(options.listen.size(), 6U);
  EXPECT_EQ(options.listen[0].to_string(), "0.0.0.0:80");
  EXPECT_EQ(options.listen[1].to_string(), "[::1]:81");
  EXPECT_EQ(options.listen[2].to_string(), "tls:127.0.0.1:82");
  EXPECT_TRUE(options.listen[2].tls && !options.listen[2].proxy);
  EXPECT_TRUE(options.listen[3].proxy && !options.listen[3].tls);
  EXPECT_EQ(options.listen[4].to_string(), "proxy:tls:127.0.0.1:84");
  EXPECT_EQ(options.listen[5].to_string(), "proxy:tls:127.0.0.1:85");
  ASSERT_EQ(options.proxy_from.size(), 2U);
  EXPECT_EQ(options.proxy_from[0].to_string(), "10.0.0.0/8");
  EXPECT_EQ(options.proxy_from[1].to_string(), "::1/128");
  EXPECT_EQ(options.origins, (std::vector<std::string>{"https://example.com", "null"}));
  EXPECT_EQ(options.subprotocols, (std::vector<std::string>{"chat.v1", "mqtt"}));
  EXPECT_EQ(options.health_path, "/healthz");
  EXPECT_EQ(options.max_header_size, 16'384U);
  EXPECT_EQ(options.max_request_line, 64U);
  EXPECT_EQ(options.compression, wire::Compression::dedicated);
  EXPECT_EQ(options.compression_min_size, 0U);
  EXPECT_EQ(options.compression_window, 9);
  EXPECT_EQ(options.tls_certs, (std::vector<std::string>{"a.pem", "b.pem"}));
  EXPECT_EQ(options.tls_keys, (std::vector<std::string>{"a.key", "b.key"}));
  EXPECT_EQ(options.tls_min_version, TlsVersion::tls13);
  EXPECT_EQ(options.tls_ticket_rotation, 1s);
  EXPECT_EQ(options.max_connections_per_ip, 5U);
  EXPECT_EQ(options.connect_rate.per_second, 10U);
  EXPECT_EQ(options.connect_rate.burst, 100U);
  EXPECT_EQ(options.max_message_rate.per_second, 7U);
  EXPECT_EQ(options.max_message_rate.burst, 7U);
  EXPECT_EQ(options.max_backlog, 65'536U);
  EXPECT_EQ(options.slow_consumer, SlowConsumer::drop);
  EXPECT_EQ(options.backlog, 2'147'483'647U);
  EXPECT_EQ(options.paths, (std::vector<std::string>{"/chat", "/a/b"}));
  EXPECT_EQ(options.workers, 3U);
  EXPECT_EQ(options.pin, Pin::list);
  EXPECT_EQ(options.pin_cpus, (std::vector<int>{0, 1, 3}));
  EXPECT_EQ(options.busy_poll, 10ms);
  EXPECT_EQ(options.hang_threshold, 0ns);
  EXPECT_EQ(options.steer, steering::Policy::two_choices);
  EXPECT_EQ(options.hash_on, (wire::HashOn{.part = wire::HashOn::Part::header, .name = "X-Room"}));
  EXPECT_EQ(options.backend, steering::BackendChoice::none);
  EXPECT_EQ(options.weights, (std::vector<std::uint32_t>{4, 2, 1000}));
  EXPECT_EQ(options.predict_horizon, 1min);
  EXPECT_EQ(options.rebalance, Rebalancing::off);
  EXPECT_EQ(options.rebalance_rate, 1'000'000U);
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
      "expected ADDRESS:PORT with a numeric address, such as 127.0.0.1:9000, [::1]:9000 or "
      "*:9000, or with tls: or proxy: before it";
  constexpr std::string_view network =
      "expected a network such as 10.0.0.0/8 or 2001:db8::/32, with no bit set behind its length, "
      "or one address";
  constexpr std::string_view rate =
      "expected a number from 0 to 1000000, or two with a colon between them such as 10:100";
  constexpr std::string_view policies =
      "expected least-connections, two-choices, round-robin, weighted-round-robin, source-hash, "
      "tuple-hash, cpu-local, least-load, predictive or uri-hash";
  constexpr std::string_view hash_on =
      "expected path, query:NAME, header:NAME or cookie:NAME, such as query:room";
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
      {"listen", "ssl:1.2.3.4:443", address},
      {"listen", "tls:tls:1.2.3.4:443", address},
      {"listen", "tls:", address},
      {"proxy-from", "10.1.0.0/8", network},
      {"proxy-from", "lb.example.com", network},
      {"origin", "example.com",
       "expected an origin as browsers send it, such as https://example.com, or null"},
      {"origin", "https://example.com/",
       "expected an origin as browsers send it, such as https://example.com, or null"},
      {"origin", "https://a b",
       "expected an origin as browsers send it, such as https://example.com, or null"},
      {"subprotocol", "chat v1", "expected a token such as chat.v1"},
      {"subprotocol", "a,b", "expected a token such as chat.v1"},
      {"health-path", "healthz", "expected a path that begins with / and has no space, ? or #"},
      {"max-header-size", "255", "expected a size from 256 to 1MiB, such as 16KiB"},
      {"max-request-line", "2MiB", "expected a size from 64 to 1MiB, such as 2KiB"},
      {"compression", "on", "expected off, shared or dedicated"},
      {"compression-min-size", "-1", "expected a size from 0 to 1GiB, such as 1KiB"},
      {"compression-window", "8", "expected a number from 9 to 15"},
      {"compression-window", "16", "expected a number from 9 to 15"},
      {"tls-cert", "--tls-key", "expected a path to a file"},
      {"tls-min-version", "1.1", "expected 1.2 or 1.3"},
      {"tls-ticket-rotation", "0", "expected a time from 1s to 24h"},
      {"max-connections-per-ip", "16777216", "expected a number from 0 to 16777215"},
      {"connect-rate", "10:0", rate},
      {"connect-rate", "0:10", rate},
      {"connect-rate", "10:", rate},
      {"max-message-rate", "1000001", rate},
      {"max-backlog", "64", "expected a size from 64KiB to 2GiB"},
      {"slow-consumer", "wait", "expected close or drop"},
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
      {"busy-poll", "50", "expected 0, or a time from 1us to 10ms"},
      {"busy-poll", "999ns", "expected 0, or a time from 1us to 10ms"},
      {"busy-poll", "10001us", "expected 0, or a time from 1us to 10ms"},
      {"hang-threshold", "50", "expected 0, or a time from 1ms to 1h"},
      {"hang-threshold", "999us", "expected 0, or a time from 1ms to 1h"},
      {"hang-threshold", "3601s", "expected 0, or a time from 1ms to 1h"},
      {"drain-timeout", "10", "expected 0, or a time from 1ms to 1h"},
      {"drain-timeout", "61m", "expected 0, or a time from 1ms to 1h"},
      {"hang-kill", "1ms", "expected 0, or a time from 2ms to 24h"},
      {"hang-kill", "25h", "expected 0, or a time from 2ms to 24h"},
      {"steer", "random", policies},
      {"hash-on", "uri", hash_on},
      {"hash-on", "path:", hash_on},
      {"hash-on", "query:", hash_on},
      {"hash-on", "query:a=b", hash_on},
      {"hash-on", "header:X Room", hash_on},
      {"hash-on", "cookie:a;b", hash_on},
      {"steer-backend", "bpf", "expected auto, ebpf, cbpf or none"},
      {"weights", "0", weights},
      {"predict-horizon", "199ms", "expected a time from 200ms to 1m"},
      {"predict-horizon", "61s", "expected a time from 200ms to 1m"},
      {"predict-horizon", "0", "expected a time from 200ms to 1m"},
      {"rebalance", "on", "expected off or auto"},
      {"rebalance-rate", "0", "expected a number from 1 to 1000000"},
      {"rebalance-rate", "1000001", "expected a number from 1 to 1000000"},
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
