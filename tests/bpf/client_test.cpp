// Per-client limits: refused at the SYN, by what workers have counted.
#include "group.h"

namespace weir::steering {
namespace {

TableOptions each_client(const ClientLimits& limits) {
  TableOptions options = plain(2);
  options.clients = limits;
  options.max_connections = 1'000;
  return options;
}

/// What a worker does on accepting: the connection is counted for its client.
Verdict count_in(Group& group, std::uint32_t place, const UniqueFd& accepted) {
  ClientDesk desk{group.table().raw(), group.steering().clients(), 0};
  return desk.admit(place, *SocketAddress::peer_of(accepted.get()), monotonic_now());
}

/// Accepts whichever slot has one.
UniqueFd accept_any(Group& group) {
  UniqueFd fd = group.accept(0);
  return fd ? std::move(fd) : group.accept(1);
}

TEST(Client, WithAsManyAsItMayIsRefusedAtTheSynAndOthersAreNot) {
  Group group{each_client({.open_max = 2})};
  group.connect(0, "127.0.0.5:0");
  group.connect(0, "127.0.0.5:0");
  const UniqueFd first = accept_any(group);
  const UniqueFd second = accept_any(group);
  ASSERT_EQ(count_in(group, 0, first), Verdict::admitted);
  UniqueFd out;
  EXPECT_EQ(group.try_connect(out, 0, "127.0.0.5:0"), 0) << "one is counted";
  ASSERT_EQ(count_in(group, 1, second), Verdict::admitted);
  EXPECT_EQ(group.try_connect(out, 0, "127.0.0.5:0"), -ECONNREFUSED);
  EXPECT_EQ(group.try_connect(out, 0, "127.0.0.6:0"), 0);
  const weir_program_counters counters = group.table().program_counters();
  EXPECT_EQ(counters.too_many, 1U);
  EXPECT_EQ(counters.syns, 5U) << "the refused one is a run like any other";
  EXPECT_EQ(group.table().total(), 4U) << "and is counted nowhere";

  ClientDesk{group.table().raw(), group.steering().clients(), 0}.leave(0);
  EXPECT_EQ(group.try_connect(out, 0, "127.0.0.5:0"), 0);
}

TEST(Client, ThatConnectsTooFastIsRefusedAtTheSyn) {
  Group group{each_client({.rate = 1, .burst = 1})};
  group.connect(0, "127.0.0.5:0");
  const UniqueFd first = accept_any(group);
  UniqueFd out;
  ASSERT_EQ(count_in(group, 0, first), Verdict::admitted);
  EXPECT_EQ(group.try_connect(out, 0, "127.0.0.5:0"), -ECONNREFUSED);
  EXPECT_EQ(group.table().program_counters().too_fast, 1U);
}

TEST(Client, SynsAloneAreNotCountedForAnybody) {
  Group group{each_client({.open_max = 2, .rate = 5, .burst = 5})};
  for (int i = 0; i < 50; ++i) group.connect(0, "127.0.0.5:0");
  EXPECT_EQ(group.table().program_counters().too_many, 0U);
  EXPECT_EQ(group.table().program_counters().too_fast, 0U);
}

TEST(Client, IsItsSlash64OnIPv6) {
  Group group{each_client({.open_max = 1}), {"[::1]:0"}};
  group.connect();
  const UniqueFd first = accept_any(group);
  ASSERT_EQ(count_in(group, 0, first), Verdict::admitted);
  UniqueFd out;
  EXPECT_EQ(group.try_connect(out), -ECONNREFUSED);
}

TEST(Client, BehindAProxyIsNotJudgedByTheProxysAddress) {
  auto options = each_client({.open_max = 1});
  Group group{options, {"127.0.0.1:0", "127.0.0.1:0"}, {false, true}};
  group.connect(0, "127.0.0.5:0");
  const UniqueFd first = accept_any(group);
  ASSERT_EQ(count_in(group, 0, first), Verdict::admitted);
  UniqueFd out;
  EXPECT_EQ(group.try_connect(out, 0, "127.0.0.5:0"), -ECONNREFUSED);
  EXPECT_EQ(group.try_connect(out, 1, "127.0.0.5:0"), 0);
}

}  // namespace
}  // namespace weir::steering
