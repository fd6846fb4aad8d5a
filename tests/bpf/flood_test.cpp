// A flood of SYNs that never complete must not stay in the table. The SYNs come from addresses that
// never answer; so that no packet leaves the machine, all happens in a network namespace of its own
// that has a loopback and nothing else.
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/ip.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <array>
#include <random>

#include "group.h"

namespace weir::steering {
namespace {

using namespace std::chrono_literals;

/// This thread in a new network namespace with its loopback up; back in the old one at the end.
class OwnNetwork {
 public:
  OwnNetwork() : old_{must(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), "netns")} {
    if (::unshare(CLONE_NEWNET) != 0) return;
    entered_ = true;
    const UniqueFd fd{must(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket")};
    ifreq lo{};
    std::strcpy(lo.ifr_name, "lo");
    lo.ifr_flags = IFF_UP | IFF_RUNNING;
    must(::ioctl(fd.get(), SIOCSIFFLAGS, &lo), "lo up");
    // 10.0.0.0/8 is sent to the loopback, where nobody has such an address: it is dropped there.
    rtentry route{};
    set(route.rt_dst, "10.0.0.0");
    set(route.rt_genmask, "255.0.0.0");
    route.rt_flags = RTF_UP;
    route.rt_dev = lo.ifr_name;
    must(::ioctl(fd.get(), SIOCADDRT, &route), "route");
  }
  OwnNetwork(const OwnNetwork&) = delete;
  OwnNetwork& operator=(const OwnNetwork&) = delete;
  ~OwnNetwork() {
    if (entered_) ::setns(old_.get(), CLONE_NEWNET);
  }
  [[nodiscard]] bool entered() const { return entered_; }

 private:
  static void set(sockaddr& to, const char* text) {
    auto& in = reinterpret_cast<sockaddr_in&>(to);
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = ::inet_addr(text);
  }
  UniqueFd old_;
  bool entered_ = false;
};

/// Sends bare SYNs with made-up senders in 10.0.0.0/8.
class SynSource {
 public:
  explicit SynSource(const SocketAddress& to)
      : to_{to}, fd_{must(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW), "raw socket")} {}

  void send() {
    struct Packet {
      iphdr ip;
      tcphdr tcp;
    } packet{};
    const auto& to = reinterpret_cast<const sockaddr_in&>(*to_.data());
    packet.ip.version = 4;
    packet.ip.ihl = 5;
    packet.ip.tot_len = htons(sizeof packet);
    packet.ip.ttl = 64;
    packet.ip.protocol = IPPROTO_TCP;
    packet.ip.saddr = htonl(0x0a000000U | (static_cast<std::uint32_t>(random_()) & 0xffffffU));
    packet.ip.daddr = to.sin_addr.s_addr;
    packet.tcp.source = htons(static_cast<std::uint16_t>(1'024 + random_() % 60'000));
    packet.tcp.dest = to.sin_port;
    packet.tcp.seq = static_cast<std::uint32_t>(random_());
    packet.tcp.doff = 5;
    packet.tcp.syn = 1;
    packet.tcp.window = htons(65'535);
    packet.tcp.check = checksum(packet.ip, packet.tcp);
    must(static_cast<int>(::sendto(fd_.get(), &packet, sizeof packet, 0, to_.data(), to_.size())),
         "sendto");
  }

 private:
  /// RFC 9293, 3.1: over the pseudo-header and the header.
  static std::uint16_t checksum(const iphdr& ip, const tcphdr& tcp) {
    std::array<std::uint16_t, sizeof tcp / 2> words{};
    std::memcpy(words.data(), &tcp, sizeof tcp);
    std::uint32_t sum = htons(IPPROTO_TCP) + htons(sizeof tcp);
    for (const std::uint32_t address : {ip.saddr, ip.daddr})
      sum += (address & 0xffffU) + (address >> 16);
    for (const std::uint16_t word : words) sum += word;
    while (sum >> 16 != 0) sum = (sum & 0xffffU) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
  }

  SocketAddress to_;
  UniqueFd fd_;
  std::mt19937 random_{3};
};

/// Ticks every 100 ms, as the master does, until `done` or the patience ends; whether done.
template <class Done>
bool tick_until(Group& group, Duration patience, Done done) {
  const Instant end = monotonic_now() + patience;
  while (!done()) {
    if (monotonic_now() > end) return false;
    ::poll(nullptr, 0, 100);
    group.steering().reconcile(monotonic_now());
  }
  return true;
}

TEST(Flood, OfSynsThatNeverCompleteLeavesTheTableRightSoonAfter) {
  const OwnNetwork network;
  if (!network.entered()) GTEST_SKIP() << "needs CAP_SYS_ADMIN for a network namespace";
  Group group{plain(4)};
  group.connect_many(40);
  group.steering().reconcile(monotonic_now());

  SynSource flood{group.address()};
  for (int i = 0; i < 5'000; ++i) flood.send();
  ASSERT_EQ(sum_of(group.loads()), 5'040U) << "the flood is not what it should be";
  EXPECT_EQ(sum_of(group.queues()), 40U);

  EXPECT_TRUE(tick_until(group, 20s, [&] { return group.loads() == group.queues(); }));
  EXPECT_TRUE(tick_until(group, 5s, [&] { return group.table().total() == 40; }));
  group.connect_many(4);
  EXPECT_EQ(group.queues(), std::vector<std::uint64_t>(4, 11));
}

TEST(Flood, DoesNotKeepOthersOutOnceItIsOver) {
  const OwnNetwork network;
  if (!network.entered()) GTEST_SKIP() << "needs CAP_SYS_ADMIN for a network namespace";
  TableOptions options = plain(2);
  options.max_connections = 100;
  Group group{options};
  SynSource flood{group.address()};
  for (int i = 0; i < 500; ++i) flood.send();
  UniqueFd client;
  EXPECT_EQ(group.try_connect(client), -ECONNREFUSED);
  EXPECT_TRUE(tick_until(group, 20s, [&] { return group.table().total() == 0; }));
  group.connect_many(100);
  EXPECT_EQ(group.try_connect(client), -ECONNREFUSED);
}

TEST(Reconciled, WhatTheKernelPlacedIsCountedInAfterAFewTicks) {
  Group group{plain(2)};
  group.table().mark_down(0);
  group.table().mark_down(1);
  group.connect_many(20);  // by the kernel's hash: the program abstains
  EXPECT_EQ(group.table().total(), 0U);
  EXPECT_TRUE(tick_until(group, 10s, [&] { return group.loads() == group.queues(); }));
  EXPECT_EQ(group.table().total(), 20U);
}

TEST(Reconciled, AMigrationEndsCountedOnceAndInTheRightSlots) {
  Group group{plain(4)};
  group.connect_many(40);
  group.table().mark_down(2);
  group.close_listener(2);
  EXPECT_TRUE(tick_until(
      group, 20s, [&] { return group.loads() == group.queues() && group.table().total() == 40; }));
}

TEST(Reconciled, AWorkersDeathLeavesItsQueueCounted) {
  Group group{plain(2)};
  group.connect_many(20);
  std::vector<UniqueFd> open;
  for (int i = 0; i < 4; ++i) open.push_back(group.accept(0));
  group.table().mark_down(0);
  open.clear();
  group.table().restart_slot(0, group.steering().queued(0));
  EXPECT_EQ(group.loads(), (std::vector<std::uint64_t>{6, 10}));
  EXPECT_EQ(group.table().total(), 16U);
}

}  // namespace
}  // namespace weir::steering
