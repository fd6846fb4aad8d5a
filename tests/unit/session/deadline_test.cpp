// Time, made up by the test: handshakes, idleness, pings, closes that are not finished.
#include "rig.h"

namespace weir::session {
namespace {

using wire::CloseCode;

TEST_F(SessionTest, ASilentPeerHasTheHandshakeTimeoutAndNoMore) {
  rules_.handshake_timeout = seconds{10};
  const UniqueFd peer = connect();
  turn();
  pass(milliseconds{9'900});
  EXPECT_EQ(sessions_->count(), 1U);
  pass(milliseconds{200});
  turn_until([&] { return sessions_->count() == 0; });
}

TEST_F(SessionTest, ASlowPeerGainsNoTimeBySendingALittle) {
  rules_.handshake_timeout = seconds{10};
  const UniqueFd peer = connect();
  for (int i = 0; i < 9; ++i) {
    write(peer, kUpgrade.substr(static_cast<std::size_t>(i), 1));
    pass(seconds{1});
  }
  EXPECT_EQ(sessions_->count(), 1U);
  pass(milliseconds{1'100});
  EXPECT_EQ(read(peer, 28), "HTTP/1.1 408 Request Timeout") << "it began, so it is told";
  EXPECT_EQ(sessions_->traffic().handshake_timeouts, 1U);
  ::shutdown(peer.get(), SHUT_WR);
  turn_until([&] { return sessions_->count() == 0; });
}

TEST_F(SessionTest, AQuietPeerIsPingedAtTheIntervalAndAgain) {
  rules_.ping_interval = seconds{30};
  const UniqueFd peer = open();
  pass(milliseconds{29'900});
  pass(milliseconds{200});
  EXPECT_EQ(read(peer, 2), "\x89\x00"sv);
  pass(seconds{31});
  EXPECT_EQ(read(peer, 2), "\x89\x00"sv);
}

TEST_F(SessionTest, APeerThatTalksIsNotPinged) {
  rules_.ping_interval = seconds{30};
  const UniqueFd peer = open();
  for (int i = 0; i < 10; ++i) {
    pass(seconds{20});
    write(peer, frame(0x8a, ""));
    turn();
  }
  write(peer, frame(0x81, "x"));
  EXPECT_EQ(read(peer, 3), "\x81\x01x") << "no ping came before";
}

TEST_F(SessionTest, APeerNotHeardOfIsClosedWith1001) {
  rules_.idle_timeout = seconds{120};
  rules_.ping_interval = seconds{0};
  const UniqueFd peer = open();
  pass(milliseconds{119'900});
  EXPECT_EQ(handler_.closed.size(), 0U);
  pass(milliseconds{200});
  EXPECT_EQ(read(peer, 16), "\x88\x0e\x03\xe9idle timeout");
  EXPECT_EQ(handler_.closed, std::vector{CloseCode::going_away});
}

TEST_F(SessionTest, APongKeepsASessionAlive) {
  rules_.idle_timeout = seconds{120};
  rules_.ping_interval = seconds{30};
  const UniqueFd peer = open();
  for (int i = 0; i < 20; ++i) {
    pass(milliseconds{30'100});
    ASSERT_EQ(read(peer, 2), "\x89\x00"sv);
    write(peer, frame(0x8a, ""));
    turn();
  }
  EXPECT_TRUE(handler_.closed.empty());
}

TEST_F(SessionTest, BothCanBeOff) {
  rules_.idle_timeout = seconds{0};
  rules_.ping_interval = seconds{0};
  const UniqueFd peer = open();
  for (int i = 0; i < 10; ++i) pass(std::chrono::hours{1});
  write(peer, frame(0x81, "x"));
  EXPECT_EQ(read(peer, 3), "\x81\x01x");
}

TEST_F(SessionTest, ACloseThatIsNotAnsweredEndsAllTheSame) {
  rules_.close_timeout = seconds{5};
  const UniqueFd peer = open();
  sessions_->close_some(1, CloseCode::going_away, {}, now_);
  turn();
  pass(milliseconds{4'900});
  EXPECT_EQ(sessions_->count(), 1U);
  pass(milliseconds{200});
  turn_until([&] { return sessions_->count() == 0; });
}

TEST_F(SessionTest, APeerThatKeepsItsEndOpenAfterTheCloseIsNotWaitedForForEver) {
  rules_.close_timeout = seconds{5};
  const UniqueFd peer = open();
  write(peer, frame(0x88, "\x03\xe8"));
  EXPECT_EQ(read_to_end(peer), "\x88\x02\x03\xe8");
  EXPECT_EQ(sessions_->count(), 1U);
  pass(milliseconds{5'100});
  turn_until([&] { return sessions_->count() == 0; });
}

}  // namespace
}  // namespace weir::session
