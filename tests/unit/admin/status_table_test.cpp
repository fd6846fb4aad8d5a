// The table for terminals.
#include "weir/admin/status_table.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <sstream>

namespace weir::admin {
namespace {

TEST(StatusTable, IsGolden) {
  const Status status{
      .master_pid = 100,
      .version = "0.1.0",
      .policy = "least-connections",
      .backend = "ebpf",
      .listen = {"127.0.0.1:9000", "[::1]:9000"},
      .connections = 1204,
      .imbalance = 1.1467,
      .workers = {{.slot = 0,
                   .pid = 101,
                   .cpu = 3,
                   .state = "serving",
                   .weight = 1000,
                   .connections = 1200,
                   .queued = 1,
                   .assigned = 1301,
                   .accepted = 1300,
                   .messages_in = 20,
                   .messages_out = 21,
                   .bytes_in = 999,
                   .bytes_out = 3ULL << 30,
                   .busy = 0.254},
                  {.slot = 1, .pid = 10'102, .state = "serving", .connections = 4, .busy = 1},
                  {.slot = 2, .state = "waiting"}}};
  EXPECT_EQ(render_table(status),
            R"(weir 0.1.0, master 100: least-connections by ebpf, on 127.0.0.1:9000 [::1]:9000
1204 connections, imbalance 1.15

 SLOT    PID  CPU  STATE    WEIGHT  CONNS  QUEUED  ASSIGNED  ACCEPTED  MSGS IN  MSGS OUT    IN     OUT  BUSY
    0    101    3  serving    1000   1200       1      1301      1300       20        21  999B  3.0GiB   25%
    1  10102    -  serving       1      4       0         0         0        0         0    0B      0B  100%
    2      -    -  waiting       1      0       0         0         0        0         0    0B      0B    0%
total                                1204       1      1301      1300       20        21  999B  3.0GiB   42%
)");
}

TEST(StatusTable, SaysWhatUriHashGoesBy) {
  const std::string table =
      render_table({.policy = "uri-hash", .hash_on = "cookie:sid", .backend = "none"});
  EXPECT_NE(table.find(": uri-hash on cookie:sid by none, on "), table.npos) << table;
}

TEST(StatusTable, BytesAreShortAndNeverAThousandTwentyFour) {
  const std::pair<std::uint64_t, std::string_view> cases[] = {
      {0, " 0B "},
      {1023, " 1023B "},
      {1024, " 1.0KiB "},
      {1536, " 1.5KiB "},
      {1'048'575, " 1.0MiB "},
      {1'048'576, " 1.0MiB "},
      {18'446'744'073'709'551'615ULL, " 16.0EiB "},
  };
  for (const auto& [bytes, text] : cases) {
    const std::string table = render_table({.workers = {{.state = "serving", .bytes_in = bytes}}});
    EXPECT_NE(table.find(text), table.npos) << bytes << '\n' << table;
  }
}

TEST(StatusTable, WhatHasBeenCountedStandsBelowInLinesOfAHundred) {
  Status status;
  status.counters = {{"upgraded", 12}, {"rejected", 0}, {"tls_failed", 3}};
  const std::string table = render_table(status);
  EXPECT_TRUE(table.ends_with("\n\nupgraded 12, tls failed 3\n")) << table;
  for (int i = 0; i < 20; ++i) status.counters.push_back({"a_counter", 1'000});
  std::istringstream lines{render_table(status)};
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100U) << line;
  status.counters.clear();
  EXPECT_EQ(render_table(status).find("\n\n", table.find("total")), std::string::npos);
}

TEST(StatusTable, TakesAnyNumberOfWorkers) {
  Status status;
  EXPECT_NE(render_table(status).find("total"), std::string::npos);
  for (unsigned slot = 0; slot < 1024; ++slot)
    status.workers.push_back({.slot = slot, .state = "serving"});
  std::istringstream table{render_table(status)};
  std::size_t lines = 0;
  for (std::string line; std::getline(table, line);) ++lines;
  EXPECT_EQ(lines, 3 + 1 + 1024 + 1);
}

}  // namespace
}  // namespace weir::admin
