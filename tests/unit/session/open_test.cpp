// From the handshake to messages and back, at byte level.
#include "rig.h"

namespace weir::session {
namespace {

TEST_F(SessionTest, AnUpgradeIsAnsweredWithTheSampleOfTheRfc) {
  const UniqueFd peer = connect();
  write(peer, kUpgrade);
  const std::string response = read(peer, 129);
  EXPECT_EQ(response.substr(0, 12), "HTTP/1.1 101");
  EXPECT_NE(response.find("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), std::string::npos);  // 1.3
  EXPECT_EQ(handler_.opened, 1);
}

TEST_F(SessionTest, BytesThatFollowTheRequestAreTheFirstFrames) {
  const UniqueFd peer = connect();
  write(peer, std::string{kUpgrade} + frame(0x81, "early"));
  const std::string all = read(peer, 129 + 7);
  EXPECT_EQ(all.substr(129),
            "\x81\x05"
            "early");
}

TEST_F(SessionTest, ARequestMayComeByteByByte) {
  const UniqueFd peer = connect();
  for (const char c : kUpgrade) {
    write(peer, {&c, 1});
    turn();
  }
  EXPECT_EQ(read(peer, 129).substr(0, 12), "HTTP/1.1 101");
}

TEST_F(SessionTest, ARefusalIsSentWholeAndThenTheConnectionEnds) {
  const UniqueFd peer = connect();
  write(peer, "POST / HTTP/1.1\r\nHost: a\r\n\r\n");
  const std::string response = read_to_end(peer);
  EXPECT_EQ(response.substr(0, 12), "HTTP/1.1 405");
  EXPECT_EQ(handler_.opened, 0);
  ::shutdown(peer.get(), SHUT_WR);
  turn_until([&] { return sessions_->count() == 0; });
  EXPECT_TRUE(handler_.closed.empty()) << "what was never open is never closed";
}

struct EchoCase {
  const char* sentence;
  std::string_view sent;
  std::string_view answered;
};

TEST_F(SessionTest, FramesAreAnsweredByteForByte) {
  const EchoCase cases[] = {
      {"a text message comes back as one", "\x81\x82\0\0\0\0hi"sv, "\x81\x02hi"sv},
      {"an empty binary message comes back empty", "\x82\x80\0\0\0\0"sv, "\x82\x00"sv},
      {"the mask is taken off and none put on", "\x82\x81\xff\x00\x00\x00\xff"sv, "\x82\x01\x00"sv},
      {"a ping is answered with its own payload", "\x89\x83\0\0\0\0abc"sv,
       "\x8a\x03"
       "abc"sv},
      {"two fragments come back as one message", "\x01\x81\0\0\0\0a\x80\x81\0\0\0\0b"sv,
       "\x81\x02"
       "ab"sv},
      {"a ping between fragments is answered first",
       "\x01\x81\0\0\0\0a\x89\x80\0\0\0\0\x80\x81\0\0\0\0b"sv,
       "\x8a\x00\x81\x02"
       "ab"sv},
  };
  const UniqueFd peer = open();
  for (const EchoCase& c : cases) {
    write(peer, c.sent);
    EXPECT_EQ(read(peer, c.answered.size()), c.answered) << c.sentence;
  }
}

TEST_F(SessionTest, APongIsNotAnswered) {
  const UniqueFd peer = open();
  write(peer, frame(0x8a, "unasked") + frame(0x81, "x"));
  EXPECT_EQ(read(peer, 3), "\x81\x01x");
}

TEST_F(SessionTest, AMessageLargerThanABufferIsGathered) {
  const UniqueFd peer = open();
  const std::string large(10'000, 'L');  // buffers of 4,096
  write(peer, frame(0x82, large));
  const std::string echoed = read(peer, 4 + large.size());
  EXPECT_EQ(echoed.substr(0, 4), "\x82\x7e\x27\x10"sv);
  EXPECT_EQ(echoed.substr(4), large);
  ASSERT_EQ(handler_.messages.size(), 1U);
}

TEST_F(SessionTest, ManyMessagesOfOneTurnLeaveInOneSend) {
  const UniqueFd peer = open();
  std::string sent;
  std::string expected;
  for (int i = 0; i < 100; ++i) {
    sent += frame(0x81, "m" + std::to_string(i));
    const std::string text = "m" + std::to_string(i);
    expected += "\x81"s + static_cast<char>(text.size()) + text;
  }
  write(peer, sent);
  const std::uint64_t before = ring_->enters();
  EXPECT_EQ(read(peer, expected.size()), expected);
  EXPECT_LE(ring_->enters() - before, 3U);
  EXPECT_EQ(sessions_->traffic().messages_in, 100U);
  EXPECT_EQ(sessions_->traffic().messages_out, 100U);
}

TEST_F(SessionTest, BytesAreCountedAsTheyWereOnTheWire) {
  const UniqueFd peer = open();
  const Traffic before = sessions_->traffic();
  EXPECT_EQ(before.bytes_in, kUpgrade.size());
  EXPECT_EQ(before.bytes_out, 129U);
  write(peer, frame(0x81, "12345"));
  ASSERT_EQ(read(peer, 7).size(), 7U);
  turn();
  EXPECT_EQ(sessions_->traffic().bytes_in - before.bytes_in, 11U);
  EXPECT_EQ(sessions_->traffic().bytes_out - before.bytes_out, 7U);
}

TEST_F(SessionTest, ManySessionsKeepApart) {
  std::vector<UniqueFd> peers;
  for (int i = 0; i < 300; ++i) peers.push_back(open());  // more than one chunk of the slab
  EXPECT_EQ(sessions_->count(), 300U);
  for (std::size_t i = 0; i < peers.size(); ++i) {
    const std::string text = "peer " + std::to_string(i);
    write(peers[i], frame(0x81, text));
    EXPECT_EQ(read(peers[i], 2 + text.size()).substr(2), text);
  }
  peers.clear();
  turn_until([&] { return sessions_->count() == 0; });
  EXPECT_EQ(sessions_->traffic().ended, 300U);
  EXPECT_EQ(handler_.closed.size(), 300U);
}

}  // namespace
}  // namespace weir::session
