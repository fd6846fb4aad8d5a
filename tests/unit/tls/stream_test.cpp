// An established stream: bytes both ways, closing, and what breaks it.
#include <gtest/gtest.h>
#include <openssl/err.h>

#include <random>

#include "certificates.h"
#include "peer.h"

namespace weir::tls {
namespace {

using Kind = Stream::Kind;

constexpr std::size_t kRecordHeader = 5;
constexpr std::size_t kPlainMax = 16 << 10;

/// Each test in both versions.
class StreamTest : public testing::TestWithParam<int> {
 protected:
  StreamTest() { exchange(client, server); }

  Service service{{make_credential()}};
  Client client{{.min_version = GetParam(), .max_version = GetParam()}};
  Server server{service.context};
};

INSTANTIATE_TEST_SUITE_P(Versions, StreamTest, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& each) {
                           return each.param == TLS1_2_VERSION ? "Tls12" : "Tls13";
                         });

std::string noise(std::size_t bytes) {
  std::mt19937_64 random{bytes};
  std::string made(bytes, '\0');
  for (char& c : made) c = static_cast<char>(random());
  return made;
}

TEST_P(StreamTest, CarriesMuchBothWaysInOddCuts) {
  const std::string up = noise(300'001);
  const std::string down = noise(200'003);
  client.write(up);
  ASSERT_TRUE(server.write(down));
  const std::string to_server = client.take();
  const std::string to_client = server.sink.take();
  std::mt19937 random{1};
  for (std::size_t at = 0, piece = 0; at < to_server.size(); at += piece) {
    piece = 1 + random() % 5'000;
    ASSERT_EQ(server.give(std::string_view{to_server}.substr(at, piece), 1 + random() % 3'000),
              Kind::need_more);
  }
  for (std::size_t at = 0; at < to_client.size(); at += 1'009)
    client.give(std::string_view{to_client}.substr(at, 1'009));
  EXPECT_TRUE(server.got == up);
  EXPECT_TRUE(client.got == down);
}

TEST_P(StreamTest, ReadsOneByteAtATime) {
  client.write("hello");
  EXPECT_EQ(server.give(client.take(), 1), Kind::need_more);
  EXPECT_EQ(server.got, "hello");
}

TEST_P(StreamTest, WritesRecordsOfAtMost16KiBEachAsOnePiece) {
  // TLS 1.2: 8 bytes of nonce and 16 of tag; 1.3: 1 of type and 16 of tag.
  const std::size_t over = kRecordHeader + (GetParam() == TLS1_2_VERSION ? 24 : 17);
  ASSERT_TRUE(server.write(std::string(2 * kPlainMax + 1, 'x')));
  EXPECT_EQ(server.sink.sizes,
            (std::vector<std::size_t>{kPlainMax + over, kPlainMax + over, 1 + over}));
  EXPECT_EQ(server.sink.bytes.substr(0, 3), "\x17\x03\x03");
  const std::size_t length = static_cast<unsigned char>(server.sink.bytes[3]) * 256U +
                             static_cast<unsigned char>(server.sink.bytes[4]);
  EXPECT_EQ(length, kPlainMax + over - kRecordHeader);
}

TEST_P(StreamTest, WritesNothingForNothing) {
  EXPECT_TRUE(server.write(""));
  EXPECT_EQ(server.sink.bytes, "");
}

TEST_P(StreamTest, TellsThePeersCloseOnceAllBeforeItIsRead) {
  client.write("last words");
  client.close();
  EXPECT_EQ(server.give(client.take()), Kind::closed);
  EXPECT_EQ(server.got, "last words");
  EXPECT_EQ(server.give("what follows is passed over"), Kind::closed);
  EXPECT_EQ(server.stream->why(), "");
  server.sink.take();
  server.stream->close(server.sink);
  client.give(server.sink.take());
  EXPECT_TRUE(client.closed());
}

TEST_P(StreamTest, ClosesOnceAndStillReads) {
  ASSERT_TRUE(server.write("last words"));
  server.stream->close(server.sink);
  const std::string sent = server.sink.take();
  server.stream->close(server.sink);
  EXPECT_EQ(server.sink.bytes, "") << "one close_notify";
  // In front of what the client hears of it: data that crossed it on the way.
  client.write("crossing");
  EXPECT_EQ(server.give(client.take()), Kind::need_more);
  EXPECT_EQ(server.got, "crossing");
  client.give(sent);
  EXPECT_EQ(client.got, "last words");
  EXPECT_TRUE(client.closed());
  client.close();
  EXPECT_EQ(server.give(client.take()), Kind::closed);
}

TEST_P(StreamTest, ARecordWithAnyByteChangedFails) {
  const auto record = [&](std::size_t changed) {
    Client from{{.min_version = GetParam(), .max_version = GetParam()}};
    Server to{service.context};
    exchange(from, to);
    from.write("hello");
    std::string bytes = from.take();
    if (changed >= bytes.size()) return false;
    bytes[changed] = static_cast<char>(bytes[changed] ^ 1);
    EXPECT_EQ(to.give(bytes), Kind::failed) << changed;
    EXPECT_EQ(to.got, "") << changed;
    EXPECT_EQ(to.stream->why(), "decryption failed or bad record mac") << changed;
    EXPECT_EQ(to.sink.bytes.substr(0, 1), GetParam() == TLS1_2_VERSION ? "\x15" : "\x17");
    from.give(to.sink.take());
    EXPECT_EQ(from.error, GetParam() == TLS1_2_VERSION ? "sslv3 alert bad record mac"
                                                       : "sslv3 alert bad record mac");
    EXPECT_FALSE(to.write("after")) << "a stream that failed writes nothing";
    EXPECT_EQ(to.sink.bytes, "");
    return true;
  };
  // Behind its header, whose own errors are another test's.
  std::size_t changed = kRecordHeader;
  while (record(changed)) ++changed;
  EXPECT_GT(changed, kRecordHeader + 5 + 16);
}

TEST_P(StreamTest, ARecordThatIsRepeatedFails) {
  client.write("hello");
  const std::string record = client.take();
  EXPECT_EQ(server.give(record + record), Kind::failed);
  EXPECT_EQ(server.got, "hello") << "the first was sound";
  EXPECT_EQ(server.stream->why(), "decryption failed or bad record mac");
}

TEST_P(StreamTest, PlainBytesAmidTheStreamFail) {
  EXPECT_EQ(server.give("GET / HTTP/1.1\r\n\r\n"), Kind::failed);
  EXPECT_NE(server.stream->why(), "");
}

TEST_P(StreamTest, HalfARecordWaitsForItsRest) {
  client.write("hello");
  const std::string record = client.take();
  for (std::size_t i = 0; i + 1 < record.size(); ++i)
    ASSERT_EQ(server.give(record.substr(i, 1)), Kind::need_more);
  EXPECT_EQ(server.got, "");
  EXPECT_EQ(server.give(record.substr(record.size() - 1)), Kind::need_more);
  EXPECT_EQ(server.got, "hello");
}

TEST_P(StreamTest, ErrorsThatOthersLeftBehindAreNotItsOwn) {
  client.write("hello");
  const std::string record = client.take();
  ERR_raise(ERR_LIB_USER, ERR_R_INTERNAL_ERROR);
  EXPECT_EQ(server.give(record.substr(0, 9)), Kind::need_more);
  ERR_raise(ERR_LIB_USER, ERR_R_INTERNAL_ERROR);
  EXPECT_TRUE(server.write("hello"));
  EXPECT_EQ(ERR_peek_error(), 0UL);
}

TEST(Stream, RenegotiationIsRefusedAndTheConnectionGoesOn) {
  Service service{{make_credential()}};
  Client client{{.max_version = TLS1_2_VERSION}};
  Server server{service.context};
  exchange(client, server);
  ASSERT_EQ(SSL_renegotiate(client.raw()), 1);
  (void)SSL_do_handshake(client.raw());
  ERR_clear_error();
  EXPECT_EQ(server.give(client.take()), Kind::need_more);
  EXPECT_EQ(server.sink.bytes.substr(0, 1), "\x15") << "a warning: no_renegotiation";
  client.give(server.sink.take());
  EXPECT_EQ(client.error, "no renegotiation");
}

TEST(Stream, KeysAreUpdatedOnRequest) {
  Service service{{make_credential()}};
  Client client;
  Server server{service.context};
  exchange(client, server);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(SSL_key_update(client.raw(), SSL_KEY_UPDATE_REQUESTED), 1);
    client.write("hello");
    exchange(client, server);
    ASSERT_TRUE(server.write("world"));
    exchange(client, server);
    ASSERT_TRUE(server.stream->established());
  }
  EXPECT_EQ(server.got, "hellohellohello");
  EXPECT_EQ(client.got, "worldworldworld");
}

}  // namespace
}  // namespace weir::tls
