#include "weir/process/listeners.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

namespace weir::process {
namespace {

std::vector<ListenOn> on(const char* address, std::vector<int> passed = {}) {
  return {{.address = *SocketAddress::parse(address), .passed = std::move(passed)}};
}
std::vector<ListenOn> loopback() {
  return on("127.0.0.1:0");
}

/// A listening socket as a service manager makes it.
int passed_socket(bool ipv6 = false) {
  const auto address = *SocketAddress::parse(ipv6 ? "[::1]:0" : "127.0.0.1:0");
  const int fd = ::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  EXPECT_EQ(::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes), 0);
  EXPECT_EQ(::bind(fd, address.data(), address.size()), 0);
  EXPECT_EQ(::listen(fd, 1), 0);
  return fd;
}

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  EXPECT_EQ(::getsockopt(fd, level, name, &value, &size), 0);
  return value;
}

UniqueFd connect_to(const SocketAddress& address) {
  UniqueFd fd{::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)};
  EXPECT_EQ(::connect(fd.get(), address.data(), address.size()), 0);
  return fd;
}

TEST(Listeners, AllSlotsShareThePortThatTheKernelPicked) {
  const auto listeners = Listeners::open(loopback(), 3, 16);
  ASSERT_TRUE(listeners) << to_string(listeners.error());
  const std::uint16_t port = listeners->addresses()[0].port();
  EXPECT_NE(port, 0);
  const auto fds = listeners->of_address(0);
  ASSERT_EQ(fds.size(), 3U);
  for (const int fd : fds) {
    EXPECT_EQ(SocketAddress::local_of(fd)->port(), port);
    EXPECT_EQ(option(fd, SOL_SOCKET, SO_REUSEPORT), 1);
    EXPECT_EQ(option(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
  }
}

TEST(Listeners, AcceptedSocketsDoNotWaitForAcknowledgements) {
  const auto listeners = Listeners::open(loopback(), 1, 16);
  ASSERT_TRUE(listeners);
  const UniqueFd client = connect_to(listeners->addresses()[0]);
  const UniqueFd accepted{::accept(listeners->of_slot(0)[0], nullptr, nullptr)};
  EXPECT_EQ(option(accepted.get(), IPPROTO_TCP, TCP_NODELAY), 1);
}

TEST(Listeners, ATakenPortIsRefusedThoughItCouldBeShared) {
  const auto first = Listeners::open(loopback(), 2, 16);
  ASSERT_TRUE(first);
  const auto second = Listeners::open({{.address = first->addresses()[0]}}, 2, 16);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().what,
            "cannot listen on " + first->addresses()[0].to_string() + ": the port is in use");
  EXPECT_NE(second.error().remedy.find("--listen"), std::string::npos);
  EXPECT_FALSE(probe_address(first->addresses()[0]));
}

TEST(Listeners, AForeignAddressIsRefusedWithAReason) {
  const auto listeners = Listeners::open(on("192.0.2.1:9000"), 1, 16);
  ASSERT_FALSE(listeners);
  EXPECT_NE(listeners.error().what.find("not an address of this host"), std::string::npos);
}

TEST(Listeners, IPv6DoesNotTakeIPv4In) {
  const auto listeners = Listeners::open(on("[::1]:0"), 1, 16);
  if (!listeners) GTEST_SKIP() << to_string(listeners.error());
  EXPECT_EQ(option(listeners->of_slot(0)[0], IPPROTO_IPV6, IPV6_V6ONLY), 1);
}

TEST(Listeners, OthersAreBoundBesideASocketThatWasPassed) {
  const int fd = passed_socket();
  const auto address = *SocketAddress::local_of(fd);
  const auto listeners = Listeners::open({{.address = address, .passed = {fd}}}, 3, 16);
  ASSERT_TRUE(listeners) << to_string(listeners.error());
  const auto fds = listeners->of_address(0);
  ASSERT_EQ(fds.size(), 3U);
  EXPECT_EQ(fds[0], fd) << "the first slot's";
  for (const int each : fds) {
    EXPECT_EQ(SocketAddress::local_of(each)->port(), address.port());
    EXPECT_EQ(option(each, SOL_SOCKET, SO_REUSEPORT), 1);
    EXPECT_EQ(option(each, SOL_SOCKET, SO_ACCEPTCONN), 1);
    EXPECT_EQ(option(each, IPPROTO_TCP, TCP_NODELAY), 1);
    tcp_info info{};
    socklen_t size = sizeof info;
    ASSERT_EQ(::getsockopt(each, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
    EXPECT_EQ(info.tcpi_sacked, 16U) << "the backlog, whatever it was passed with";
  }
}

TEST(Listeners, OneForEachWorkerMayBePassedAndNoMore) {
  const auto address = on("127.0.0.1:0")[0].address;
  std::vector<int> pair{passed_socket(), passed_socket()};
  const auto both = Listeners::open({{.address = address, .passed = pair}}, 2, 16);
  ASSERT_TRUE(both) << to_string(both.error());
  EXPECT_EQ(both->of_address(0), pair);
  const int third = passed_socket();
  const auto one_too_many =
      Listeners::open({{.address = address, .passed = {third, third}}}, 1, 16);
  ASSERT_FALSE(one_too_many);
  EXPECT_EQ(one_too_many.error().what,
            "2 sockets were passed for 127.0.0.1:0, and there are 1 workers");
  ::close(third);
}

bool listens(int fd) {
  return option(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1;
}

TEST(Listeners, MoreSlotsShareThePortsOfThoseThatThereAre) {
  auto listen = loopback();
  listen.push_back(on("[::1]:0").front());
  auto listeners = Listeners::open(listen, 2, 16);
  ASSERT_TRUE(listeners);
  const auto addresses = listeners->addresses();
  const auto before = listeners->by_slot();
  ASSERT_TRUE(listeners->grow(5));
  EXPECT_EQ(listeners->addresses()[1].to_string(), addresses[1].to_string());
  const auto after = listeners->by_slot();
  ASSERT_EQ(after.size(), 5U);
  EXPECT_EQ(after[1], before[1]);
  for (const auto& of_slot : after)
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_TRUE(listens(of_slot[i]));
      EXPECT_EQ(SocketAddress::local_of(of_slot[i])->port(), addresses[i].port());
    }
  const int last = after[4][0];
  listeners->shrink(2);
  EXPECT_EQ(listeners->by_slot(), before);
  EXPECT_LT(::fcntl(last, F_GETFD), 0);
}

TEST(Listeners, WhereOneAddressHasNoRoomThereAreAsManyAsBefore) {
  // A socket that was passed without SO_REUSEPORT stands in for another user's: none can join it.
  const auto address = *SocketAddress::parse("127.0.0.1:0");
  const int lone = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::bind(lone, address.data(), address.size()), 0);
  ASSERT_EQ(::listen(lone, 1), 0);
  const SocketAddress at = *SocketAddress::local_of(lone);
  std::vector<ListenOn> listen = loopback();
  listen.push_back({.address = at, .passed = {lone}});
  auto listeners = Listeners::open(listen, 1, 16);
  ASSERT_TRUE(listeners);
  EXPECT_EQ(listeners->passed(), 1U);
  const auto before = listeners->by_slot();
  const auto grown = listeners->grow(2);
  ASSERT_FALSE(grown);
  EXPECT_NE(grown.error().what.find("beside the socket that was passed"), std::string::npos);
  EXPECT_EQ(listeners->by_slot(), before);
}

TEST(Listeners, OneThatIsShutListensNoMoreInAnyProcess) {
  auto listeners = Listeners::open(loopback(), 2, 16);
  ASSERT_TRUE(listeners);
  const UniqueFd elsewhere{::dup(listeners->of_slot(1)[0])};
  ASSERT_TRUE(listens(elsewhere.get()));
  listeners->shut(1);
  EXPECT_EQ(listeners->of_slot(1), std::vector<int>{-1});
  EXPECT_FALSE(listens(elsewhere.get()));
  for (int i = 0; i < 50; ++i) {
    const UniqueFd client = connect_to(listeners->addresses()[0]);
    const UniqueFd accepted{::accept(listeners->of_slot(0)[0], nullptr, nullptr)};
    EXPECT_TRUE(accepted);
  }
}

}  // namespace
}  // namespace weir::process
