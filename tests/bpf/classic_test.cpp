// The classic steering programs in the real kernel: what it accepts, how it orders the sockets of a
// group, and that a program leads each connection where the interpreter says that it does.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "group.h"
#include "steering/cbpf_program.h"
#include "steering/classic_bpf.h"

namespace weir::steering {
namespace {

using Counts = std::vector<std::uint64_t>;

constexpr int kConnections = 2'000;

/// Steered by a classic program, which has followed the table once.
class Classic : public Group {
 public:
  explicit Classic(const TableOptions& options,
                   const std::vector<std::string>& addresses = {"127.0.0.1:0"})
      : Group{options, addresses, {}, BackendChoice::cbpf} {
    follow();
  }
  void follow(Instant now = monotonic_now()) {
    const auto followed = steering().follow(now);
    if (!followed) throw std::runtime_error(to_string(followed.error()));
  }
};

void attach(int listener, const ClassicProgram& program) {
  const sock_fprog filter{.len = static_cast<unsigned short>(program.size()),
                          .filter = const_cast<sock_filter*>(program.data())};
  must(::setsockopt(listener, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &filter, sizeof filter),
       "attach");
}

TEST(ClassicKernel, TakesTheLongestProgramsThatThereAre) {
  UniqueFd fd{must(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
  const int one = 1;
  must(::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &one, sizeof one), "SO_REUSEPORT");
  attach(fd.get(), random_program(std::vector<double>(1024, 1)));
  for (const bool with_port : {false, true}) {
    std::vector<bool> every_other(1024);
    for (std::size_t i = 0; i < every_other.size(); i += 2) every_other[i] = true;
    attach(fd.get(), hash_program({.in_service = every_other, .with_port = with_port, .key = {}}));
  }
}

TEST(ClassicKernel, SpreadsByWeightOverIpv4AndIpv6) {
  TableOptions options = plain(4);
  options.weights = {4, 2, 1, 1};
  Classic group{options, {"127.0.0.1:0", "[::1]:0"}};
  for (const std::size_t address : {0U, 1U}) {
    const Counts before = group.queues();
    group.connect_many(kConnections, address);
    const Counts after = group.queues();
    for (std::size_t slot = 0; slot < 4; ++slot) {
      const double share = options.weights[slot] / 8.0;
      EXPECT_NEAR(static_cast<double>(after[slot] - before[slot]), kConnections * share,
                  5 * std::sqrt(kConnections * share * (1 - share)))
          << slot;
    }
  }
}

TEST(ClassicKernel, WhoIsDownOrHangsGetsNothing) {
  TableOptions options = plain(4);
  options.hang_threshold = std::chrono::seconds{1};
  Classic group{options};
  const Instant now = monotonic_now();
  for (const std::uint32_t slot : {0U, 1U, 3U})
    group.worker(slot).woke(now + std::chrono::minutes{1});
  group.table().mark_down(1);
  group.follow(now + std::chrono::minutes{1});  // slot 2 has not woken for as long
  group.connect_many(200);
  Counts queues = group.queues();
  EXPECT_EQ(sum_of(queues), 200U);
  EXPECT_EQ(queues[1] + queues[2], 0U);
  EXPECT_TRUE(group.table().snapshot(2).hung);
  group.worker(2).woke(now + std::chrono::minutes{1});
  group.table().mark_serving(1);
  group.follow(now + std::chrono::minutes{1});
  group.connect_many(200);
  queues = group.queues();
  EXPECT_GT(queues[1], 0U);
  EXPECT_GT(queues[2], 0U);
}

TEST(ClassicKernel, WithNobodyHealthyThoseThatHangGetThem) {
  TableOptions options = plain(3);
  options.hang_threshold = std::chrono::seconds{1};
  Classic group{options};
  group.table().mark_down(0);
  group.follow(monotonic_now() + std::chrono::minutes{1});
  group.connect_many(100);
  EXPECT_EQ(group.queues()[0], 0U);
  EXPECT_EQ(sum_of(group.queues()), 100U);
}

TEST(ClassicKernel, FollowsTheLoadAndAttachesNothingForLittle) {
  Classic group{plain(4)};
  EXPECT_EQ(group.steering().programs_attached(), 1U);
  group.follow();
  EXPECT_EQ(group.steering().programs_attached(), 1U);
  // A thousand are open at slot 0 and none elsewhere: it gets its least share, a 25th.
  for (int i = 0; i < 1'000; ++i) ASSERT_TRUE(group.worker(0).accepted());
  group.follow();
  EXPECT_EQ(group.steering().programs_attached(), 2U);
  group.connect_many(1'000);
  EXPECT_LT(group.queues()[0], 80U);  // 40 are expected: more than six standard deviations
}

TEST(ClassicKernel, WhatWaitsToBeAcceptedCountsAsLoad) {
  Classic group{plain(4)};
  group.table().mark_down(0);
  group.follow();
  group.connect_many(400);
  group.table().mark_serving(0);
  group.follow();
  group.connect_many(100);  // 95 to slot 0 by its share
  EXPECT_GT(group.queues()[0], 80U);
}

TEST(ClassicKernel, AProgramAttachedToAnySocketServesTheGroup) {
  for (const std::size_t through : {0U, 2U}) {
    Group group{plain(3), {"127.0.0.1:0"}, {}, BackendChoice::none};
    attach(group.listener_fd(through), random_program(std::vector<double>{0, 1, 0}));
    group.connect_many(50);
    EXPECT_EQ(group.queues(), (Counts{0, 50, 0}));
  }
}

TEST(ClassicKernel, TheOrderIsThatOfListeningAndTheLastTakesAClosedOnesPlace) {
  for (const bool shut : {false, true}) {
    Group group{plain(4), {"127.0.0.1:0"}, {}, BackendChoice::none};
    for (std::uint32_t index = 0; index < 4; ++index) {
      std::vector<double> shares(4);
      shares[index] = 1;
      attach(group.listener_fd(0), random_program(shares));
      group.connect_many(10);
      EXPECT_EQ(group.queues()[index], 10U);
    }
    if (shut)
      group.shut_listener(1);
    else
      group.close_listener(1);
    for (const auto& [index, slot] : {std::pair{0U, 0U}, {1U, 3U}, {2U, 2U}}) {
      std::vector<double> shares(3);
      shares[index] = 1;
      attach(group.listener_fd(0), random_program(shares));
      const std::uint64_t before = group.steering().queued(slot);
      group.connect_many(10);
      EXPECT_EQ(group.steering().queued(slot), before + 10) << shut << ' ' << index;
    }
    group.grow(5);  // at the end
    attach(group.listener_fd(0), random_program(std::vector<double>{0, 0, 0, 1}));
    group.connect_many(10);
    EXPECT_EQ(group.steering().queued(4), 10U);
  }
}

TEST(ClassicKernel, AnIndexThatThereIsNotIsLeftToTheKernelsHash) {
  Group group{plain(2), {"127.0.0.1:0"}, {}, BackendChoice::none};
  attach(group.listener_fd(0), random_program(std::vector<double>{0, 0, 1}));
  group.connect_many(100);
  EXPECT_EQ(sum_of(group.queues()), 100U);
  EXPECT_GT(group.queues()[0], 0U);
  EXPECT_GT(group.queues()[1], 0U);
}

TEST(ClassicKernel, AProgramOfAnEarlierRunIsTakenAwayWithBackendNone) {
  Group group{plain(2), {"127.0.0.1:0"}, {}, BackendChoice::none};
  attach(group.listener_fd(0), random_program(std::vector<double>{0, 1}));
  auto next = Steering::create({.backend = BackendChoice::none, .table = plain(2)});
  ASSERT_TRUE(next);
  const std::vector<int> listeners{group.listener_fd(0), group.listener_fd(1)};
  ASSERT_TRUE(next->attach(0, listeners));
  group.connect_many(100);
  EXPECT_GT(group.queues()[0], 0U);
}

/// The IPv4 or IPv6 and TCP headers, as far as a program reads them, of what `client` sends.
Packet packet_of(int client) {
  const SocketAddress local = *SocketAddress::local_of(client);
  if (local.is_ipv6()) {
    Packet packet(60);
    packet[0] = 0x60;
    const auto* at = reinterpret_cast<const sockaddr_in6*>(local.data());
    std::copy_n(at->sin6_addr.s6_addr, 16, packet.begin() + 8);
    std::copy_n(reinterpret_cast<const std::uint8_t*>(&at->sin6_port), 2, packet.begin() + 40);
    return packet;
  }
  Packet packet(40);
  packet[0] = 0x45;
  const auto* at = reinterpret_cast<const sockaddr_in*>(local.data());
  std::copy_n(reinterpret_cast<const std::uint8_t*>(&at->sin_addr), 4, packet.begin() + 12);
  std::copy_n(reinterpret_cast<const std::uint8_t*>(&at->sin_port), 2, packet.begin() + 20);
  return packet;
}

TEST(ClassicKernel, HashesEachClientWhereTheInterpreterSays) {
  Group group{plain(8), {"127.0.0.1:0", "[::1]:0"}, {}, BackendChoice::none};
  std::vector<bool> in_service(8, true);
  in_service[3] = false;
  for (const bool with_port : {false, true}) {
    const ClassicProgram program =
        hash_program({.in_service = in_service, .with_port = with_port, .key = {11, 12}});
    const ClassicBpf bpf{program};
    for (const std::size_t address : {0U, 1U}) {
      attach(group.listener_fd(0, address), program);
      for (int i = 1; i <= 200; ++i) {
        const std::string from = "127.0.0." + std::to_string(i) + ":0";
        const Counts before = group.queues();
        group.connect(address, address == 0 ? from.c_str() : nullptr);
        const std::uint32_t slot = bpf.run(packet_of(group.clients().back().get()), 0);
        EXPECT_EQ(group.queues()[slot], before[slot] + 1) << with_port << ' ' << i;
      }
    }
  }
}

TEST(ClassicKernel, ThroughTheTableAHashKeepsAClientWhereItIs) {
  Classic group{plain(8, Policy::source_hash)};
  const auto slot_of = [&](const char* from) {
    const Counts before = group.queues();
    group.connect(0, from);
    const Counts after = group.queues();
    return static_cast<std::uint32_t>(
        std::mismatch(before.begin(), before.end(), after.begin()).first - before.begin());
  };
  const std::uint32_t own = slot_of("127.0.0.9:0");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(slot_of("127.0.0.9:0"), own);
  group.table().mark_down(own);
  group.follow();
  const std::uint32_t other = slot_of("127.0.0.9:0");
  EXPECT_NE(other, own);
  EXPECT_EQ(slot_of("127.0.0.9:0"), other);
  group.table().mark_serving(own);
  group.follow();
  EXPECT_EQ(slot_of("127.0.0.9:0"), own);
}

TEST(ClassicKernel, KeptToTheFirstNobodyElseGetsAnythingNorIsHashedTo) {
  for (const Policy policy : {Policy::least_connections, Policy::tuple_hash}) {
    Classic group{plain(4, policy)};
    ASSERT_TRUE(group.steering().keep_to_first(2));
    group.connect_many(100);
    EXPECT_EQ(group.queues()[2] + group.queues()[3], 0U);
    ASSERT_TRUE(group.steering().keep_to_all());
    group.connect_many(100);
    EXPECT_GT(group.queues()[2], 0U);
    EXPECT_GT(group.queues()[3], 0U);
  }
}

TEST(Cbpf, RefusesAPolicyThatItCannotFollow) {
  for (const std::string_view name : policy_names()) {
    const Policy policy = *parse_policy(name);
    const bool can = policy == Policy::least_connections || is_hashed(policy) ||
                     policy == Policy::uri_hash;  // the workers' own doing
    const auto made = Steering::create({.backend = BackendChoice::cbpf, .table = plain(2, policy)});
    EXPECT_EQ(made.has_value(), can) << name;
    if (!made) {
      EXPECT_NE(made.error().what.find(name), std::string::npos);
      EXPECT_NE(made.error().remedy.find("least-connections"), std::string::npos);
      continue;
    }
    EXPECT_EQ(made->policy_in_force(), name);
    EXPECT_FALSE(made->can(Policy::round_robin));
    EXPECT_TRUE(made->can(Policy::tuple_hash));
  }
}

}  // namespace
}  // namespace weir::steering
