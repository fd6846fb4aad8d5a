#include "weir/process/passed_sockets.h"

#include <gtest/gtest.h>

namespace weir::process {
namespace {

using Listed = std::vector<std::pair<int, std::string>>;

constexpr pid_t kSelf = 4711;

TEST(ListenFds, AreReadWithTheirNames) {
  const struct {
    const char* sentence;
    const char* pid;
    const char* fds;
    const char* names;
    Listed listed;
  } cases[] = {
      {"nothing is set", nullptr, nullptr, nullptr, {}},
      {"they begin at 3", "4711", "2", "tls:plain", {{3, "tls"}, {4, "plain"}}},
      {"without names", "4711", "2", nullptr, {{3, "unknown"}, {4, "unknown"}}},
      {"with an empty one", "4711", "2", "tls:", {{3, "tls"}, {4, "unknown"}}},
      {"another process's", "4712", "2", "a:b", {}},
      {"none", "4711", "0", nullptr, {}},
      {"no count", "4711", nullptr, nullptr, {}},
  };
  for (const auto& c : cases) {
    const auto listed = read_listen_fds(c.pid, c.fds, c.names, kSelf);
    ASSERT_TRUE(listed) << c.sentence;
    EXPECT_EQ(*listed, c.listed) << c.sentence;
  }
}

TEST(ListenFds, WhatIsNoneIsRefused) {
  const struct {
    const char* pid;
    const char* fds;
    const char* names;
    std::string_view what;
  } cases[] = {
      {"me", "1", nullptr, "LISTEN_PID is 'me' and LISTEN_FDS '1'"},
      {"4711", "-1", nullptr, "LISTEN_PID is '4711' and LISTEN_FDS '-1'"},
      {"4711", "1x", nullptr, "LISTEN_PID is '4711' and LISTEN_FDS '1x'"},
      {"4711", "99999999", nullptr, "LISTEN_PID is '4711' and LISTEN_FDS '99999999'"},
      {"4711", "2", "tls", "LISTEN_FDNAMES is 'tls' for 2 descriptors"},
      {"4711", "1", "tls:plain", "LISTEN_FDNAMES is 'tls:plain' for 1 descriptors"},
  };
  for (const auto& c : cases) {
    const auto listed = read_listen_fds(c.pid, c.fds, c.names, kSelf);
    ASSERT_FALSE(listed) << c.what;
    EXPECT_EQ(listed.error().what, c.what);
  }
}

}  // namespace
}  // namespace weir::process
