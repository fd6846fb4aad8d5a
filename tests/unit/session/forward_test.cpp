// Messages that leave from where they lie: in a receive buffer, in the block they were gathered
// in, or in the large buffer of who is read in bulk.
#include <random>

#include "rig.h"

namespace weir::session {
namespace {

std::string noise(std::size_t bytes) {
  std::mt19937 random{static_cast<unsigned>(bytes)};
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

class ForwardTest : public SessionTest {
 protected:
  void SetUp() override {
    handler_.forwards = true;
    SessionTest::SetUp();
  }
  void TearDown() override {
    if (!buffers_) return;
    EXPECT_EQ(buffers_->in_use(), 0U) << "receive buffers were not given back";
  }

  /// Writes what the socket takes, and reads what comes, until all has come.
  std::string exchange(const UniqueFd& peer, std::string_view out, std::size_t expected) {
    std::string got;
    turn_until([&] {
      if (!out.empty()) {
        const ssize_t n = ::send(peer.get(), out.data(), out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) out.remove_prefix(static_cast<std::size_t>(n));
      }
      std::string piece(1 << 20, '\0');
      const ssize_t n = ::recv(peer.get(), piece.data(), piece.size(), MSG_DONTWAIT);
      if (n > 0) got.append(piece, 0, static_cast<std::size_t>(n));
      return got.size() >= expected;
    });
    return got;
  }
};

TEST_F(ForwardTest, EveryLengthOfHeaderFits) {
  const UniqueFd peer = open();
  for (const std::size_t bytes : {0U, 1U, 125U, 126U, 127U, 4'000U, 65'535U, 65'536U, 200'000U}) {
    const std::string payload = noise(bytes);
    const std::string expected = answer(0x82, payload);
    EXPECT_EQ(exchange(peer, frame(0x82, payload), expected.size()), expected) << bytes;
  }
}

TEST_F(ForwardTest, AHeaderThatCameBeforeItsMessageLeavesTheNeighboursBufferAlone) {
  const UniqueFd peer = open();
  const UniqueFd neighbour = open();
  // A buffer to its last byte, and right behind it a message whose header came with an earlier one.
  const std::string full = noise(buffers_->buffer_bytes() - 8);
  const std::string late = noise(300);
  const std::string bytes = frame(0x82, late);
  for (std::size_t cut = 2; cut <= 8; ++cut) {
    for (int round = 0; round < 10; ++round) {
      write(peer, bytes.substr(0, cut));
      for (int i = 0; i < 3; ++i) turn();
      write(neighbour, frame(0x82, full));
      write(peer, bytes.substr(cut));
      ASSERT_EQ(read(neighbour, full.size() + 4), answer(0x82, full)) << cut;
      ASSERT_EQ(read(peer, late.size() + 4), answer(0x82, late)) << cut;
      for (int i = 0; i < 70; ++i) {  // small again, so that it is not read in bulk
        write(neighbour, frame(0x82, "s"));
        ASSERT_EQ(read(neighbour, 3), answer(0x82, "s"));
      }
    }
  }
}

TEST_F(ForwardTest, TheMaskIsTakenOff) {
  const UniqueFd peer = open();
  write(peer,
        "\x81\x83\x01\x02\x03\x04"
        "`bd"sv);
  EXPECT_EQ(read(peer, 5),
            "\x81\x03"
            "a`g"sv);
}

TEST_F(ForwardTest, MessagesThatCameTogetherLeaveTogetherInTheirOrder) {
  const UniqueFd peer = open();
  std::string in;
  std::string out;
  for (std::size_t i = 0; i < 40; ++i) {
    const std::string payload = noise(i * 3);
    in += frame(0x82, payload);
    out += answer(0x82, payload);
    if (i % 10 == 9) {  // a pong between them is copied, and what lay before it with it
      in += frame(0x89, "ping");
      out += answer(0x8a, "ping");
    }
  }
  write(peer, in);
  EXPECT_EQ(read(peer, out.size()), out);
  EXPECT_EQ(handler_.sent, 40);
}

TEST_F(ForwardTest, AMessageInPiecesLeavesFromWhereItWasGathered) {
  const UniqueFd peer = open();
  for (int round = 0; round < 3; ++round) {  // the second knows how much the first needed
    write(peer, frame(0x01, "one ") + frame(0x80, std::string(3'000, 'x')));
    const std::string expected = answer(0x81, "one " + std::string(3'000, 'x'));
    EXPECT_EQ(read(peer, expected.size()), expected);
  }
  write(peer, frame(0x01, "") + frame(0x80, ""));
  EXPECT_EQ(read(peer, 2), "\x81\x00"sv);
}

TEST_F(ForwardTest, APartOfAMessageMayBeForwarded) {
  class Tail final : public Handler {
    void on_message(Peer& peer, const Message& message) override {
      peer.forward(
          {.opcode = message.opcode, .bytes = message.bytes.subspan(message.bytes.size() - 2)});
    }
  } tail;
  sessions_.reset();
  sessions_ = std::make_unique<Sessions>(*ring_, *buffers_, tail, gate_, nullptr, rules_, now_);
  const UniqueFd peer = open();
  write(peer, frame(0x81, "hello") + frame(0x01, std::string(500, 'a')) + frame(0x80, "bc"));
  EXPECT_EQ(read(peer, 8),
            "\x81\x02lo\x81\x02"
            "bc"sv);
}

TEST_F(ForwardTest, WhatTheSocketHasNoRoomForIsCopiedOutAndFollows) {
  const UniqueFd peer = open();
  std::string in;
  std::string out;
  for (std::size_t i = 0; i < 500; ++i) {
    const std::string payload = noise(1'000 + i);
    in += frame(0x82, payload);
    out += answer(0x82, payload);
  }
  // Nothing is read until nothing moves any more: the session's socket is full.
  const std::string_view left = fill_up(peer, in, [&] { turn(); });
  EXPECT_EQ(buffers_->in_use(), 0U) << "a slow reader holds receive buffers";
  EXPECT_EQ(exchange(peer, left, out.size()), out);
}

TEST_F(ForwardTest, APeerThatIsGoneBeforeItsEchoCostsNothing) {
  for (int i = 0; i < 50; ++i) {
    UniqueFd peer = open();
    write(peer, frame(0x82, noise(2'000)));
    peer.reset();
  }
  turn_until([&] { return sessions_->count() == 0; });
  EXPECT_TRUE(is_quiet());
}

TEST_F(ForwardTest, AClosingHandshakeComesAfterWhatWasForwarded) {
  const UniqueFd peer = open();
  write(peer, frame(0x81, "last") + frame(0x88, "\x03\xe8"));
  EXPECT_EQ(read_to_end(peer), "\x81\x04last\x88\x02\x03\xe8"sv);
}

/// With receive buffers that are large enough to show what calls for bulk.
class BulkTest : public ForwardTest {
 protected:
  BulkTest() { buffer_bytes_ = 17'408; }
};

TEST_F(BulkTest, LargeMessagesComeBackWhole) {
  rules_.message_bytes_max = 4 << 20;
  const UniqueFd peer = open();
  std::string in;
  std::string out;
  for (const std::size_t bytes :
       {16'384U, 16'384U, 5U, 300'000U, 0U, 1'000'000U, 16'384U, 70'000U, 9U}) {
    const std::string payload = noise(bytes);
    in += frame(0x82, payload);
    out += answer(0x82, payload);
  }
  for (int round = 0; round < 3; ++round) EXPECT_EQ(exchange(peer, in, out.size()), out);
}

TEST_F(BulkTest, ItEndsWithManySmallMessagesAndMayBeginAnew) {
  const UniqueFd peer = open();
  for (int round = 0; round < 2; ++round) {
    const std::string large = noise(16'384);
    EXPECT_EQ(exchange(peer, frame(0x82, large), large.size() + 4), answer(0x82, large));
    for (int i = 0; i < 200; ++i) {
      write(peer, frame(0x81, "small"));
      EXPECT_EQ(read(peer, 7), "\x81\x05small");
    }
  }
}

TEST_F(BulkTest, AReaderThatStopsIsNotReadFromAnyMore) {
  rules_.high_water_bytes = 64 * 1'024;
  const UniqueFd peer = open();
  const std::string payload = noise(60'000);
  std::string in;
  std::string out;
  for (int i = 0; i < 200; ++i) {
    in += frame(0x82, payload);
    out += answer(0x82, payload);
  }
  const std::string_view left = fill_up(peer, in, [&] { turn(); });
  // The mark, one large buffer past it, and what the sockets hold.
  EXPECT_LT(sessions_->traffic().bytes_in, 64U * 1'024 + 512U * 1'024 + 1'000'000);
  EXPECT_EQ(exchange(peer, left, out.size()), out);
}

/// Nobody reads what two floods of 150 messages have echoed. The first finds room in the socket,
/// most of the second does not; nothing more is read from there on.
class SlowBulkTest : public BulkTest {
 protected:
  static constexpr std::size_t kEach = 150;

  SlowBulkTest() { rules_.high_water_bytes = rules_.backlog_bytes_max = 64 * 1'024; }

  void flood(const UniqueFd& peer) {
    const std::string large = noise(buffers_->buffer_bytes());
    EXPECT_EQ(exchange(peer, frame(0x82, large), large.size() + 4), answer(0x82, large));
    for (std::size_t i = 0; i < 2; ++i) {
      std::string in;
      for (std::size_t n = 0; n < kEach; ++n) in += frame(0x82, payload_of(i * kEach + n));
      write(peer, in);
      for (int turns = 0; turns < 5; ++turns) turn();
    }
  }
  static std::string payload_of(std::size_t number) {
    return std::string(1'000, static_cast<char>(number % 251));
  }
  static std::string answers(std::size_t count) {
    std::string out;
    for (std::size_t n = 0; n < count; ++n) out += answer(0x82, payload_of(n));
    return out;
  }
};

TEST_F(SlowBulkTest, WhatOneReceiveBringsBeyondTheLimitIsLeftOut) {
  rules_.slow_consumer = SlowConsumer::drop;
  const UniqueFd peer = open();
  flood(peer);
  const Traffic& seen = sessions_->traffic();
  ASSERT_GT(seen.dropped, 0U);
  EXPECT_EQ(seen.messages_in, 2 * kEach + 1);
  EXPECT_EQ(seen.messages_out, 2 * kEach + 1 - seen.dropped);
  const std::string out = answers(2 * kEach - seen.dropped);
  EXPECT_EQ(exchange(peer, {}, out.size()), out) << "whole messages, the first of them";
  EXPECT_EQ(exchange(peer, frame(0x81, "lives"), 7), "\x81\x05lives");
}

TEST_F(SlowBulkTest, OrTheSessionIsClosedBehindWhatTheLimitLeaves) {
  const UniqueFd peer = open();
  flood(peer);
  const Traffic& seen = sessions_->traffic();
  EXPECT_EQ(seen.overloaded, 1U);
  EXPECT_EQ(seen.dropped, 0U);
  ASSERT_LT(seen.messages_out, 2 * kEach + 1);
  const std::string out = answers(seen.messages_out - 1) + "\x88\x0f\x03\xf5slow consumer";
  EXPECT_EQ(exchange(peer, {}, out.size()), out);
}

TEST_F(BulkTest, TheEndOfTheStreamAndErrorsAreSeen) {
  UniqueFd peer = open();
  const std::string large = noise(16'384);
  EXPECT_EQ(exchange(peer, frame(0x82, large), large.size() + 4), answer(0x82, large));
  EXPECT_EQ(exchange(peer, frame(0x82, large), large.size() + 4), answer(0x82, large));
  write(peer, frame(0x81, "\xff"));
  EXPECT_EQ(read(peer, 4), "\x88\x18\x03\xef"sv);
  peer.reset();
  turn_until([&] { return sessions_->count() == 0; });
  EXPECT_TRUE(is_quiet());
}

TEST_F(BulkTest, AnEndThatComesWithTheLastBytesIsSeen) {
  for (int i = 0; i < 20; ++i) {
    UniqueFd peer = open();
    const std::string large = noise(16'384);
    EXPECT_EQ(exchange(peer, frame(0x82, large), large.size() + 4), answer(0x82, large));
    write(peer, frame(0x82, large));
    ::shutdown(peer.get(), SHUT_WR);
    EXPECT_EQ(read_to_end(peer), answer(0x82, large));
  }
  turn_until([&] { return sessions_->count() == 0; });
}

TEST_F(BulkTest, AnyMixtureOfSizesCutAnywhereComesBackAsItWas) {
  std::mt19937 random{2'024};
  const UniqueFd peer = open();
  for (int round = 0; round < 30; ++round) {
    std::string in;
    std::string out;
    for (int i = 0; i < 20; ++i) {
      const std::string payload = noise(random() % (random() % 4 == 0 ? 100'000 : 300));
      const std::size_t cut = random() % (payload.size() + 1);
      const bool in_two = random() % 3 == 0;
      in += in_two ? frame(0x02, payload.substr(0, cut)) + frame(0x80, payload.substr(cut))
                   : frame(0x82, payload);
      out += answer(0x82, payload);
    }
    std::string got;
    while (!in.empty()) {
      const std::size_t piece = std::min<std::size_t>(in.size(), 1 + random() % 50'000);
      write(peer, in.substr(0, piece));
      in.erase(0, piece);
      const std::size_t more = random() % 3;
      for (std::size_t i = 0; i <= more; ++i) turn();
      got += exchange(peer, {}, 0);
    }
    ASSERT_EQ(got + exchange(peer, {}, out.size() - got.size()), out) << round;
  }
}

}  // namespace
}  // namespace weir::session
