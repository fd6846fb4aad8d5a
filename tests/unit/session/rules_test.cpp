// Rules that change while sessions are open, in the middle of whatever they do.
#include <functional>

#include "rig.h"

namespace weir::session {
namespace {

using wire::CloseCode;

constexpr std::string_view kIdleClose = "\x88\x0e\x03\xe9idle timeout";
constexpr std::string_view kTooBigClose = "\x88\x2f\x03\xf1";  // and why

class RulesTest : public SessionTest {
 protected:
  void change(const std::function<void(SessionRules&)>& by) {
    by(rules_);
    sessions_->rules_changed(now_);
  }

  /// What a whole answer to one more upgrade begins with.
  std::string answer_to_another(std::string_view request, std::size_t bytes) {
    const UniqueFd peer = connect();
    write(peer, request);
    return read(peer, bytes);
  }
};

TEST_F(RulesTest, AShorterIdleTimeoutHoldsForSilenceThatBeganBefore) {
  rules_.ping_interval = seconds{0};
  const UniqueFd peer = open();
  pass(seconds{50});
  change([](SessionRules& rules) { rules.idle_timeout = seconds{60}; });
  pass(milliseconds{9'900});
  EXPECT_TRUE(handler_.closed.empty());
  pass(milliseconds{200});
  EXPECT_EQ(read(peer, kIdleClose.size()), kIdleClose);
}

TEST_F(RulesTest, WithoutPingsSilenceThatIsTooLongByThenEndsAtOnce) {
  rules_.ping_interval = seconds{0};
  const UniqueFd peer = open();
  pass(seconds{50});
  change([](SessionRules& rules) { rules.idle_timeout = seconds{20}; });
  pass(milliseconds{20});
  EXPECT_EQ(read(peer, kIdleClose.size()), kIdleClose);
}

TEST_F(RulesTest, WithPingsWhoWouldHaveAnsweredIsAskedFirst) {
  rules_.idle_timeout = seconds{120};
  rules_.ping_interval = seconds{30};
  const UniqueFd answers = open();
  const UniqueFd silent = open();
  pass(seconds{29});
  change([](SessionRules& rules) {
    rules.idle_timeout = seconds{10};
    rules.ping_interval = seconds{4};
  });
  pass(milliseconds{20});
  EXPECT_EQ(read(answers, 2), "\x89\x00"sv) << "overdue under the new interval";
  EXPECT_EQ(read(silent, 2), "\x89\x00"sv);
  write(answers, frame(0x8a, ""));
  turn();
  pass(milliseconds{5'900});
  EXPECT_EQ(handler_.closed.size(), 0U);
  pass(milliseconds{200});
  EXPECT_EQ(handler_.closed, std::vector{CloseCode::going_away}) << "6 s are left after the ping";
  EXPECT_EQ(read(silent, 2 + kIdleClose.size()), "\x89\x00"s + std::string{kIdleClose});
}

TEST_F(RulesTest, AReloadThatLeavesTheTimeoutsForgivesNoSilence) {
  rules_.ping_interval = seconds{30};
  rules_.idle_timeout = seconds{120};
  const UniqueFd peer = open();
  for (int i = 0; i < 119; ++i) {
    pass(seconds{1});
    change([](SessionRules& rules) { rules.backlog_bytes_max += 1; });
  }
  EXPECT_TRUE(handler_.closed.empty());
  pass(milliseconds{1'100});
  EXPECT_EQ(handler_.closed, std::vector{CloseCode::going_away});
}

TEST_F(RulesTest, ALongerIdleTimeoutHoldsToo) {
  rules_.ping_interval = seconds{0};
  const UniqueFd peer = open();
  pass(seconds{119});
  change([](SessionRules& rules) { rules.idle_timeout = seconds{0}; });
  pass(std::chrono::hours{10});
  write(peer, frame(0x81, "x"));
  EXPECT_EQ(read(peer, 3), "\x81\x01x");
}

TEST_F(RulesTest, AShorterHandshakeTimeoutHoldsForThoseUnderWay) {
  const UniqueFd peer = connect();
  pass(seconds{4});
  change([](SessionRules& rules) { rules.handshake_timeout = seconds{5}; });
  pass(milliseconds{900});
  EXPECT_EQ(sessions_->count(), 1U);
  pass(milliseconds{200});
  turn_until([&] { return sessions_->count() == 0; });
}

TEST_F(RulesTest, TheNextMessageIsHeldAgainstTheNewSize) {
  const UniqueFd peer = open();
  write(peer, frame(0x82, std::string(1'000, 'a')));
  EXPECT_EQ(read(peer, 1'004), answer(0x82, std::string(1'000, 'a')));
  change([](SessionRules& rules) { rules.message_bytes_max = 999; });
  write(peer, frame(0x82, std::string(999, 'b')));
  EXPECT_EQ(read(peer, 1'003), answer(0x82, std::string(999, 'b')));
  write(peer, frame(0x82, std::string(1'000, 'c')));
  EXPECT_EQ(read(peer, 4).substr(2), kTooBigClose.substr(2));
  EXPECT_EQ(sessions_->traffic().too_big, 1U);
}

TEST_F(RulesTest, ALargerSizeHoldsForSessionsThatAreOpen) {
  rules_.message_bytes_max = 10;
  const UniqueFd peer = open();
  change([](SessionRules& rules) { rules.message_bytes_max = 70'000; });
  write(peer, frame(0x82, std::string(70'000, 'a')));
  EXPECT_EQ(read(peer, 70'010), answer(0x82, std::string(70'000, 'a')));
}

TEST_F(RulesTest, AMessageInProgressFillsTheFrameThatItHasBegun) {
  const UniqueFd peer = open();
  const std::string whole = frame(0x82, std::string(1'000, 'a'));
  write(peer, whole.substr(0, 500));
  for (int i = 0; i < 4; ++i) turn();
  change([](SessionRules& rules) { rules.message_bytes_max = 100; });
  write(peer, whole.substr(500));
  EXPECT_EQ(read(peer, 1'004), answer(0x82, std::string(1'000, 'a')));
}

TEST_F(RulesTest, AFurtherFrameOfItIsHeldAgainstTheNewSizeWithAllBefore) {
  const UniqueFd peer = open();
  write(peer, frame(0x02, std::string(1'000, 'a')));
  for (int i = 0; i < 4; ++i) turn();
  change([](SessionRules& rules) { rules.message_bytes_max = 100; });
  write(peer, frame(0x80, ""));
  EXPECT_EQ(read(peer, 4).substr(2), kTooBigClose.substr(2));
}

TEST_F(RulesTest, WhatWasPaidAheadAtAnotherRateIsForgotten) {
  rules_.message_rate = {.per_second = 1, .burst = 50};
  const UniqueFd peer = open();
  for (int i = 0; i < 50; ++i) write(peer, frame(0x81, "x"));
  EXPECT_EQ(read(peer, 150).size(), 150U);
  change([](SessionRules& rules) { rules.message_rate = {.per_second = 1'000, .burst = 5}; });
  for (int i = 0; i < 5; ++i) write(peer, frame(0x81, "y"));
  EXPECT_EQ(read(peer, 15).substr(12), "\x81\x01y");
  write(peer, frame(0x81, "z"));
  EXPECT_EQ(read(peer, 4).substr(2), "\x03\xf0") << "1008: one more than the new burst";
}

TEST_F(RulesTest, UpgradesAreJudgedByTheNewRules) {
  EXPECT_EQ(answer_to_another(kUpgrade, 12), "HTTP/1.1 101");
  change([](SessionRules& rules) { rules.upgrade.paths = {"/other"}; });
  EXPECT_EQ(answer_to_another(kUpgrade, 12), "HTTP/1.1 404");
  change([](SessionRules& rules) {
    rules.upgrade.paths = {};
    rules.upgrade.health_path = "/health";
  });
  EXPECT_EQ(answer_to_another("GET /health HTTP/1.1\r\nHost: a\r\n\r\n", 12), "HTTP/1.1 200");
}

TEST_F(RulesTest, ARequestThatIsOverTheNewSizeAlreadyIsAnswered431) {
  const UniqueFd peer = connect();
  write(peer, "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(2'000, 'x'));
  for (int i = 0; i < 4; ++i) turn();
  change([](SessionRules& rules) { rules.upgrade.header_bytes_max = 1'000; });
  write(peer, "y");
  EXPECT_EQ(read(peer, 12), "HTTP/1.1 431");
}

TEST_F(RulesTest, WhoRefusesUpgradesGoesOnRefusing) {
  sessions_->refuse_upgrades();
  change([](SessionRules& rules) { rules.upgrade.health_path = "/health"; });
  EXPECT_EQ(answer_to_another(kUpgrade, 12), "HTTP/1.1 503");
}

TEST_F(RulesTest, CompressionThatWasAgreedStays) {
  rules_.upgrade.compression.mode = wire::Compression::shared;
  sessions_->rules_changed(now_);
  std::string request{kUpgrade};
  request.insert(request.size() - 2, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
  const auto upgrade = [&](const UniqueFd& peer) {
    write(peer, request);
    std::string head;
    while (!head.ends_with("\r\n\r\n") && !HasFailure()) head += read(peer, 1);
    return head;
  };
  const UniqueFd peer = connect();
  EXPECT_NE(upgrade(peer).find("permessage-deflate"), std::string::npos);
  change([](SessionRules& rules) { rules.upgrade.compression.mode = wire::Compression::off; });
  write(peer, frame(0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00"sv));  // RFC 7692, 7.2.3.1
  EXPECT_EQ(read(peer, 7), "\x81\x05Hello") << "and so small an answer goes as it is";
  const UniqueFd another = connect();
  EXPECT_EQ(upgrade(another).find("permessage-deflate"), std::string::npos);
}

}  // namespace
}  // namespace weir::session
