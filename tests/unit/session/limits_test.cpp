// What a session may take, and who may have one: the gate, the PROXY header, the message rate, the
// backlog, and an application that fails.
#include <map>

#include "rig.h"

namespace weir::session {
namespace {

class CountingGate final : public Gate {
 public:
  [[nodiscard]] bool asks() const noexcept override { return true; }
  [[nodiscard]] bool admit(std::uint32_t place, const SocketAddress& client,
                           Instant) noexcept override {
    asked.push_back(client.to_string());
    if (refuses) return false;
    ++open[place];
    return true;
  }
  void left(std::uint32_t place) noexcept override {
    ++lefts;
    open.erase(place);
  }

  std::vector<std::string> asked;
  std::map<std::uint32_t, int> open;
  int lefts = 0;
  bool refuses = false;
};

class LimitsTest : public SessionTest {
 protected:
  void serve(Gate& gate) {
    sessions_ =
        std::make_unique<Sessions>(*ring_, *buffers_, handler_, gate, nullptr, rules_, now_);
  }

  /// A TCP connection, so that there are addresses; its other end is the session's.
  UniqueFd connect_tcp(Door door) {
    const UniqueFd listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    auto address = *SocketAddress::parse("127.0.0.1:0");
    EXPECT_EQ(::bind(listener.get(), address.data(), address.size()), 0);
    EXPECT_EQ(::listen(listener.get(), 1), 0);
    address = *SocketAddress::local_of(listener.get());
    UniqueFd client{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    EXPECT_EQ(::connect(client.get(), address.data(), address.size()), 0);
    sessions_->adopt(UniqueFd{::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)}, door,
                     now_);
    return client;
  }

  /// Whether the connection ends in a reset.
  bool is_reset(const UniqueFd& peer) {
    char byte = 0;
    ssize_t got = -1;
    turn_until([&] {
      got = ::recv(peer.get(), &byte, 1, MSG_DONTWAIT);
      return got >= 0 || errno != EAGAIN;
    });
    return got < 0 && errno == ECONNRESET;
  }

  CountingGate clients_;
};

TEST_F(LimitsTest, TheGateIsAskedForEachConnectionAndToldOfEachEnd) {
  serve(clients_);
  {
    const UniqueFd peer = connect_tcp({});
    write(peer, kUpgrade);
    EXPECT_EQ(read(peer, 12), "HTTP/1.1 101");
    ASSERT_EQ(clients_.asked.size(), 1U);
    EXPECT_EQ(clients_.asked[0], SocketAddress::local_of(peer.get())->to_string());
    EXPECT_EQ(clients_.open.size(), 1U);
  }
  turn_until([&] { return sessions_->count() == 0; });
  EXPECT_TRUE(clients_.open.empty());
}

TEST_F(LimitsTest, WhoTheGateRefusesIsReset) {
  serve(clients_);
  clients_.refuses = true;
  const UniqueFd peer = connect_tcp({});
  EXPECT_TRUE(is_reset(peer));
  EXPECT_EQ(sessions_->count(), 0U);
  EXPECT_EQ(sessions_->traffic().ended, 1U);
}

TEST_F(LimitsTest, BehindAProxyTheClientIsWhomTheHeaderNames) {
  rules_.proxy_from = {*Cidr::parse("127.0.0.0/8")};
  serve(clients_);
  const UniqueFd peer = connect_tcp({.proxy = true});
  EXPECT_TRUE(clients_.asked.empty());
  write(peer, "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"s + std::string{kUpgrade});
  EXPECT_EQ(read(peer, 12), "HTTP/1.1 101");
  EXPECT_EQ(clients_.asked, std::vector<std::string>{"192.0.2.7:4711"});
}

TEST_F(LimitsTest, ARefusedClientBehindAProxyIsResetAfterItsHeader) {
  rules_.proxy_from = {*Cidr::parse("127.0.0.0/8")};
  serve(clients_);
  clients_.refuses = true;
  const UniqueFd peer = connect_tcp({.proxy = true});
  write(peer, "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n");
  EXPECT_TRUE(is_reset(peer));
}

TEST_F(LimitsTest, AProxysOwnCheckIsNobodysConnection) {
  rules_.proxy_from = {*Cidr::parse("127.0.0.0/8")};
  serve(clients_);
  clients_.refuses = true;
  const UniqueFd peer = connect_tcp({.proxy = true});
  write(peer, "PROXY UNKNOWN\r\n"s + std::string{kUpgrade});
  EXPECT_EQ(read(peer, 12), "HTTP/1.1 101");
  EXPECT_TRUE(clients_.asked.empty());
}

TEST_F(LimitsTest, WithoutTheHeaderOrFromElsewhereAConnectionIsReset) {
  rules_.proxy_from = {*Cidr::parse("127.0.0.0/8")};
  serve(clients_);
  const UniqueFd without = connect_tcp({.proxy = true});
  write(without, kUpgrade);
  EXPECT_TRUE(is_reset(without));
  rules_.proxy_from = {*Cidr::parse("10.0.0.0/8")};
  const UniqueFd elsewhere = connect_tcp({.proxy = true});
  EXPECT_TRUE(is_reset(elsewhere));
  EXPECT_EQ(sessions_->traffic().proxy_refused, 2U);
}

TEST_F(LimitsTest, MessagesAndPingsOverTheRateCloseWith1008) {
  rules_.message_rate = {.per_second = 10, .burst = 3};
  const UniqueFd peer = open();
  write(peer, frame(0x81, "1") + frame(0x89, "2") + frame(0x81, "3"));
  EXPECT_EQ(read(peer, 9),
            "\x81\x01"
            "1\x8a\x01"
            "2\x81\x01"
            "3");
  pass(milliseconds{100});
  write(peer, frame(0x81, "4"));
  EXPECT_EQ(read(peer, 3),
            "\x81\x01"
            "4")
      << "one an interval";
  write(peer, frame(0x81, "5"));
  EXPECT_EQ(read(peer, 4), "\x88\x17\x03\xf0");
  EXPECT_EQ(read(peer, 21), "message rate exceeded");
  EXPECT_EQ(sessions_->traffic().too_chatty, 1U);
  EXPECT_EQ(handler_.messages.size(), 3U);
}

TEST_F(LimitsTest, FragmentsAreOneMessageToTheRate) {
  rules_.message_rate = {.per_second = 1, .burst = 1};
  const UniqueFd peer = open();
  write(peer, frame(0x01, "a") + frame(0x00, "b") + frame(0x80, "c"));
  EXPECT_EQ(read(peer, 5),
            "\x81\x03"
            "abc");
}

TEST_F(LimitsTest, ASlowConsumerIsClosedWith1013AfterWhatItHas) {
  rules_.backlog_bytes_max = 1'000;
  handler_.copies = 10;
  const UniqueFd peer = open();
  write(peer, frame(0x82, std::string(600, 'x')));
  const std::string all = read(peer, 2 * 604 + 4 + 13);
  EXPECT_EQ(all.substr(0, 4), "\x82\x7e\x02\x58");
  EXPECT_EQ(all.substr(2 * 604), "\x88\x0f\x03\xf5slow consumer");
  EXPECT_EQ(handler_.sent, 2) << "over the limit by the second, which still went";
  EXPECT_EQ(sessions_->traffic().overloaded, 1U);
}

TEST_F(LimitsTest, OrItsMessagesAreLeftOutWhole) {
  rules_.backlog_bytes_max = 1'000;
  rules_.slow_consumer = SlowConsumer::drop;
  handler_.copies = 10;
  const UniqueFd peer = open();
  write(peer, frame(0x82, std::string(600, 'x')));
  EXPECT_EQ(read(peer, 2 * 604).substr(604, 4), "\x82\x7e\x02\x58");
  EXPECT_EQ(sessions_->traffic().dropped, 8U);
  handler_.copies = 1;
  write(peer, frame(0x81, "still here"));
  EXPECT_EQ(read(peer, 12), "\x81\x0astill here");
}

TEST_F(LimitsTest, AMessageAboveTheLimitGoesToWhoHasTakenAllBefore) {
  rules_.backlog_bytes_max = 100;
  const UniqueFd peer = open();
  write(peer, frame(0x82, std::string(2'000, 'x')));
  EXPECT_EQ(read(peer, 2'004).size(), 2'004U);
}

TEST_F(LimitsTest, AnApplicationThatThrowsLosesThatSessionOnly) {
  const UniqueFd peer = open();
  const UniqueFd other = open();
  handler_.throws = true;
  write(peer, frame(0x81, "x"));
  EXPECT_EQ(read(peer, 18), "\x88\x10\x03\xf3internal error");
  handler_.throws = false;
  write(other, frame(0x81, "y"));
  EXPECT_EQ(read(other, 3), "\x81\x01y");
}

TEST_F(LimitsTest, ATlsDoorWithoutAContextLetsNobodyIn) {
  const UniqueFd peer = connect_tcp({.tls = true});
  EXPECT_TRUE(is_reset(peer));
}

}  // namespace
}  // namespace weir::session
