// Every way a session ends: who says what, in which order, and that no byte sent is lost to a
// reset.
#include <poll.h>

#include <cerrno>

#include "rig.h"

namespace weir::session {
namespace {

using wire::CloseCode;

struct CloseCase {
  const char* sentence;
  std::string_view sent;
  std::string answered;  // all of it, up to the end of the stream
  CloseCode told;
};

/// The close frame for `error`: its code, and what is wrong in words.
std::string close_frame(wire::FrameError error) {
  const auto code = static_cast<unsigned>(wire::close_code_for(error));
  const std::string reason{wire::to_string(error)};
  return "\x88"s + static_cast<char>(2 + reason.size()) + static_cast<char>(code >> 8) +
         static_cast<char>(code) + reason;
}

TEST_F(SessionTest, WhatThePeerSendsLastIsAnsweredAndTheStreamEnds) {
  const CloseCase cases[] = {
      {"a close is answered with its code", "\x88\x82\0\0\0\0\x03\xe8"sv, "\x88\x02\x03\xe8"s,
       CloseCode::normal},
      {"the reason is not sent back",
       "\x88\x85\0\0\0\0\x0f\xa0"
       "bye"sv,
       "\x88\x02\x0f\xa0"s, static_cast<CloseCode>(4000)},
      {"a close without a code is answered without one", "\x88\x80\0\0\0\0"sv, "\x88\x00"s,
       CloseCode::no_status},
      {"an unmasked frame is a protocol error", "\x81\x01x"sv,
       close_frame(wire::FrameError::unmasked), CloseCode::protocol_error},
      {"echoes before an error still arrive", "\x81\x81\0\0\0\0a\x83\x80\0\0\0\0"sv,
       "\x81\x01"
       "a"s +
           close_frame(wire::FrameError::reserved_opcode),
       CloseCode::protocol_error},
      {"what follows a close is dropped", "\x88\x82\0\0\0\0\x03\xe8\x81\x81\0\0\0\0z"sv,
       "\x88\x02\x03\xe8"s, CloseCode::normal},
      {"invalid UTF-8 is 1007", "\x81\x81\0\0\0\0\xff"sv,
       close_frame(wire::FrameError::invalid_utf8), CloseCode::invalid_payload},
  };
  for (const CloseCase& c : cases) {
    handler_.closed.clear();
    const UniqueFd peer = open();
    write(peer, c.sent);
    EXPECT_EQ(read_to_end(peer), c.answered) << c.sentence;
    ASSERT_EQ(handler_.closed.size(), 1U) << c.sentence;
    EXPECT_EQ(handler_.closed[0], c.told) << c.sentence;
    ::shutdown(peer.get(), SHUT_WR);
    turn_until([&] { return sessions_->count() == 0; });
  }
}

TEST_F(SessionTest, AMessageOverTheLimitIs1009AndCostsNothing) {
  rules_.message_bytes_max = 1'000;
  const UniqueFd peer = open();
  write(peer, "\x82\xff\0\0\0\0\x40\0\0\0\0\0\0\0"sv);  // declares 1 GiB
  const std::string answer = read_to_end(peer);
  EXPECT_EQ(answer.substr(0, 1), "\x88");
  EXPECT_EQ(answer.substr(2, 2), "\x03\xf1");
  EXPECT_TRUE(handler_.messages.empty());
}

TEST_F(SessionTest, SomeAreClosedAndTheNextTimeOthers) {
  std::vector<UniqueFd> peers;
  for (int i = 0; i < 5; ++i) peers.push_back(open());
  EXPECT_EQ(sessions_->close_some(2, CloseCode::service_restart, "over", now_), 2U);
  for (const std::size_t i : {0U, 1U}) EXPECT_EQ(read(peers[i], 8), "\x88\x06\x03\xf4over") << i;
  EXPECT_EQ(sessions_->close_some(2, CloseCode::service_restart, "over", now_), 2U);
  for (const std::size_t i : {2U, 3U}) EXPECT_EQ(read(peers[i], 8), "\x88\x06\x03\xf4over") << i;
  write(peers[4], frame(0x81, "x"));
  EXPECT_EQ(read(peers[4], 3), "\x81\x01x") << "the last goes on";
  EXPECT_EQ(sessions_->close_some(2, CloseCode::service_restart, "over", now_), 1U);
  EXPECT_EQ(read(peers[4], 8), "\x88\x06\x03\xf4over");
  EXPECT_EQ(sessions_->close_some(2, CloseCode::service_restart, "over", now_), 0U);
  const UniqueFd late = open();
  EXPECT_EQ(sessions_->close_some(1, CloseCode::service_restart, "over", now_), 1U)
      << "one that came later, in whatever place";
  EXPECT_EQ(read(late, 8), "\x88\x06\x03\xf4over");
}

TEST_F(SessionTest, AHandlersCloseWaitsForThePeersAndDropsData) {
  handler_.close_on_message = true;
  const UniqueFd peer = open();
  write(peer, frame(0x81, "x") + frame(0x81, "dropped"));
  EXPECT_EQ(read(peer, 10),
            "\x88\x08\x03\xe8"
            "enough");
  EXPECT_EQ(handler_.messages.size(), 1U);
  EXPECT_EQ(handler_.closed, std::vector{CloseCode::normal});
  EXPECT_EQ(sessions_->count(), 1U) << "the peer has not closed yet";
  write(peer, frame(0x88, "\x03\xe8"));
  EXPECT_EQ(read_to_end(peer), "");
  ::shutdown(peer.get(), SHUT_WR);
  turn_until([&] { return sessions_->count() == 0; });
}

TEST_F(SessionTest, AnEndOfStreamWithoutACloseIsAbnormalAndTheEchoStillArrives) {
  const UniqueFd peer = open();
  write(peer, frame(0x81, "last words"));
  ::shutdown(peer.get(), SHUT_WR);
  EXPECT_EQ(read_to_end(peer), "\x81\x0alast words");
  turn_until([&] { return sessions_->count() == 0; });
  EXPECT_EQ(handler_.closed, std::vector{CloseCode::abnormal});
}

TEST_F(SessionTest, AnAbruptEndFreesThePlaceForTheNext) {
  {
    const UniqueFd peer = open();
    write(peer, "\x81\xfe\x10"sv);  // half a header
  }
  turn_until([&] { return sessions_->count() == 0; });
  const UniqueFd next = open();
  write(next, frame(0x81, "new"));
  EXPECT_EQ(read(next, 5), "\x81\x03new") << "nothing of the one before is left";
}

TEST_F(SessionTest, CloseAllSaysGoingAwayToEveryOpenSession) {
  const UniqueFd open_peer = open();
  const UniqueFd shaking = connect();
  write(shaking, "GET / HTTP/1.1\r\n");
  turn();
  sessions_->refuse_upgrades();
  sessions_->close_some(9, CloseCode::going_away, "over", now_);
  EXPECT_EQ(read(open_peer, 8), "\x88\x06\x03\xe9over");
  EXPECT_EQ(sessions_->open_count(), 1U);
  write(shaking, kUpgrade.substr(kUpgrade.find('\n') + 1));
  EXPECT_EQ(read(shaking, 12), "HTTP/1.1 503") << "it asked before, and was not heard to the end";
  const UniqueFd late = connect();
  write(late, "GET /");
  turn();
  sessions_->drop_handshakes();
  EXPECT_EQ(read_to_end(late), "");
  write(open_peer, frame(0x88, "\x03\xe9"));
  EXPECT_EQ(read_to_end(open_peer), "");
  ::shutdown(open_peer.get(), SHUT_WR);
  ::shutdown(shaking.get(), SHUT_WR);
  turn_until([&] { return sessions_->count() == 0; });
  EXPECT_EQ(sessions_->open_count(), 0U);
}

/// A connected pair over TCP, where an early close would be a reset.
std::pair<UniqueFd, UniqueFd> tcp_pair() {
  const UniqueFd listener{::socket(AF_INET, SOCK_STREAM, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::listen(listener.get(), 1), 0);
  ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
  UniqueFd client{::socket(AF_INET, SOCK_STREAM, 0)};
  EXPECT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  return {UniqueFd{::accept(listener.get(), nullptr, nullptr)}, std::move(client)};
}

TEST_F(SessionTest, NoResetOvertakesTheCloseOfAPeerThatGoesOnSending) {
  auto [ours, peer] = tcp_pair();
  sessions_->adopt(std::move(ours), Door{}, now_);
  write(peer, kUpgrade);
  ASSERT_EQ(read(peer, 129).size(), 129U);
  write(peer, "\x81\x01x"sv);      // unmasked: we close
  for (int i = 0; i < 200; ++i) {  // and it goes on, over and over
    write(peer, std::string(1'000, 'z'));
    turn();
  }
  const std::string answer = read_to_end(peer);
  EXPECT_EQ(answer.substr(0, 1), "\x88");
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(peer.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  EXPECT_EQ(error, 0) << "reset";
  peer.reset();
  turn_until([&] { return sessions_->count() == 0; });
}

TEST_F(SessionTest, TheLastOutputAndTheEndOfTheStreamAreOnePacket) {
  auto [ours, peer] = tcp_pair();
  sessions_->adopt(std::move(ours), Door{}, now_);
  write(peer, kUpgrade);
  ASSERT_EQ(read(peer, 129).size(), 129U);
  write(peer, "\x88\x82\0\0\0\0\x03\xe8"sv);
  pollfd seen{.fd = peer.get(), .events = POLLIN | POLLRDHUP, .revents = 0};
  const auto is_there = [&] { return ::poll(&seen, 1, 0) == 1; };
  for (int i = 0; i < 5'000 && seen.revents == 0; ++i) {
    enter(milliseconds{1});
    if (is_there()) break;
    take_in();
    (void)is_there();
  }
  EXPECT_EQ(seen.revents, POLLIN | POLLRDHUP) << "the one came without the other";
  EXPECT_EQ(read_to_end(peer), "\x88\x02\x03\xe8");
  peer.reset();
  turn_until([&] { return sessions_->count() == 0; });
}

TEST_F(SessionTest, AResetEndsTheSessionQuietly) {
  auto [ours, peer] = tcp_pair();
  sessions_->adopt(std::move(ours), Door{}, now_);
  write(peer, kUpgrade);
  ASSERT_EQ(read(peer, 129).size(), 129U);
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(peer.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  peer.reset();
  turn_until([&] { return sessions_->count() == 0; });
  EXPECT_EQ(handler_.closed, std::vector{CloseCode::abnormal});
  EXPECT_TRUE(is_quiet()) << "an operation was left for a place that is free";
}

}  // namespace
}  // namespace weir::session
