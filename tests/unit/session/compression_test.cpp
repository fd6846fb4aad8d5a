// permessage-deflate in a session: what goes compressed, what does not, and what is refused.
#include "rig.h"

namespace weir::session {
namespace {

constexpr std::string_view kOffer = "Sec-WebSocket-Extensions: permessage-deflate";

/// "Hello" in RFC 7692, 7.2.3.1.
constexpr std::string_view kHello = "\xf2\x48\xcd\xc9\xc9\x07\x00"sv;

class CompressionTest : public SessionTest {
 protected:
  /// Serves anew with these rules.
  void serve(wire::Compression mode, std::size_t from_bytes = 16) {
    rules_.upgrade.compression.mode = mode;
    rules_.compress_from_bytes = from_bytes;
    sessions_ =
        std::make_unique<Sessions>(*ring_, *buffers_, handler_, gate_, nullptr, rules_, now_);
  }

  UniqueFd open_compressing(std::string_view offer = kOffer) {
    UniqueFd peer = connect();
    std::string request{kUpgrade};
    request.insert(request.size() - 2, std::string{offer} + "\r\n");
    write(peer, request);
    std::string head;
    while (!head.ends_with("\r\n\r\n")) head += read(peer, 1);
    EXPECT_NE(head.find("\r\nSec-WebSocket-Extensions: permessage-deflate"), head.npos) << head;
    return peer;
  }

  /// The payload of the next frame, whose first byte has to be `first`.
  std::string payload(const UniqueFd& peer, char first) {
    const std::string header = read(peer, 2);
    EXPECT_EQ(header[0], first);
    return read(peer, static_cast<unsigned char>(header[1]));
  }

  static std::string inflated(wire::Inflater& inflater, std::string_view payload) {
    std::string out(65'536, '\0');
    auto in = std::as_bytes(std::span{payload});
    const auto step = inflater.inflate(in, true, std::as_writable_bytes(std::span{out}));
    EXPECT_EQ(step.kind, wire::Inflater::Step::Kind::done);
    out.resize(step.bytes);
    return out;
  }
};

TEST_F(CompressionTest, ACompressedMessageReachesTheApplicationInflated) {
  serve(wire::Compression::shared);
  const UniqueFd peer = open_compressing();
  write(peer, frame(0xc1, kHello));
  EXPECT_EQ(read(peer, 7), "\x81\x05Hello") << "the echo is below the least size";
  EXPECT_EQ(handler_.messages, std::vector<std::string>{"Hello"});
  EXPECT_EQ(sessions_->traffic().compressed_in, 1U);
  EXPECT_EQ(sessions_->traffic().compressed_out, 0U);
}

TEST_F(CompressionTest, WhatComesInPiecesIsOneMessage) {
  serve(wire::Compression::shared);
  const UniqueFd peer = open_compressing();
  write(peer, frame(0x41, kHello.substr(0, 3)) + frame(0x89, "!") + frame(0x80, kHello.substr(3)));
  EXPECT_EQ(read(peer, 3), "\x8a\x01!");
  EXPECT_EQ(read(peer, 7), "\x81\x05Hello");
}

TEST_F(CompressionTest, ALongMessageGoesCompressedByItself) {
  serve(wire::Compression::shared);
  const UniqueFd peer = open_compressing();
  const std::string message(100, 'a');
  wire::Inflater inflater{15, false};
  std::string first;
  for (int i = 0; i < 2; ++i) {
    write(peer, frame(0x81, message));
    const std::string sent = payload(peer, '\xc1');
    EXPECT_LT(sent.size(), 20U);
    EXPECT_EQ(inflated(inflater, sent), message);
    if (i == 0) first = sent;
    EXPECT_EQ(sent, first) << "nothing is referred back to";
  }
  EXPECT_EQ(sessions_->traffic().compressed_out, 2U);
}

TEST_F(CompressionTest, WhatWouldNotGetSmallerGoesAsItIs) {
  serve(wire::Compression::shared);
  const UniqueFd peer = open_compressing();
  const std::string noise = "q8\x01Zt7\x03Vk2\x7fWm5\x11Xb9\x1d"s;
  write(peer, frame(0x82, noise));
  EXPECT_EQ(payload(peer, '\x82'), noise);
}

TEST_F(CompressionTest, WithAContextASecondLikeMessageIsSmaller) {
  serve(wire::Compression::dedicated);
  const UniqueFd peer = open_compressing();
  const std::string message = "The quick brown fox jumps over the lazy dog.";
  wire::Inflater inflater{15, true};
  write(peer, frame(0x81, message));
  const std::string first = payload(peer, '\xc1');
  EXPECT_EQ(inflated(inflater, first), message);
  write(peer, frame(0x81, message));
  const std::string second = payload(peer, '\xc1');
  EXPECT_EQ(inflated(inflater, second), message);
  EXPECT_LT(second.size(), first.size() / 2);
}

TEST_F(CompressionTest, ABombIsRefusedAtTheLimitAndTakesNoMore) {
  rules_.message_bytes_max = 64 * 1'024;
  serve(wire::Compression::shared);
  const UniqueFd peer = open_compressing();
  wire::Deflater deflater{15, true};  // zlib's: a megabyte of zeros in a thousand bytes
  const std::string zeros(1 << 20, '\0');
  std::string bomb(deflater.bound(zeros.size()), '\0');
  bomb.resize(
      deflater.deflate(std::as_bytes(std::span{zeros}), std::as_writable_bytes(std::span{bomb})));
  ASSERT_LT(bomb.size(), 3'000U);
  write(peer, frame(0xc2, bomb));
  EXPECT_EQ(payload(peer, '\x88').substr(0, 2), "\x03\xf1");
  EXPECT_TRUE(handler_.messages.empty());
  EXPECT_EQ(sessions_->traffic().too_big, 1U);
}

TEST_F(CompressionTest, AMessageOfExactlyTheLimitPasses) {
  rules_.message_bytes_max = 5;
  serve(wire::Compression::shared);
  const UniqueFd peer = open_compressing();
  write(peer, frame(0xc1, kHello));
  EXPECT_EQ(read(peer, 7), "\x81\x05Hello");
}

TEST_F(CompressionTest, CorruptDataAndBadTextCloseWith1007AndTheNextSessionIsServed) {
  serve(wire::Compression::shared);
  for (const std::string_view bad : {"\xff\xff\xff"sv, "\xf2\x48\xcd"sv}) {
    const UniqueFd peer = open_compressing();
    write(peer, frame(0xc1, bad));
    EXPECT_EQ(payload(peer, '\x88').substr(0, 2), "\x03\xef");
  }
  {
    const UniqueFd peer = open_compressing();
    write(peer, frame(0xc1, "\x01\x02\x00\xfd\xff\xc3\x28\x00"sv));  // stored: C3 28
    EXPECT_EQ(payload(peer, '\x88').substr(0, 2), "\x03\xef");
  }
  EXPECT_EQ(sessions_->traffic().protocol_errors, 3U);
  const UniqueFd peer = open_compressing();
  write(peer, frame(0xc1, kHello));
  EXPECT_EQ(read(peer, 7), "\x81\x05Hello");
}

TEST_F(CompressionTest, WithoutTheExtensionRsv1IsAnError) {
  serve(wire::Compression::shared);
  const UniqueFd peer = open();
  write(peer, frame(0xc1, kHello));
  EXPECT_EQ(payload(peer, '\x88').substr(0, 2), "\x03\xea");
}

}  // namespace
}  // namespace weir::session
