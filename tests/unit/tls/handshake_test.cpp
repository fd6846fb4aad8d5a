// Handshakes: versions, names, protocols, every cut, and what is refused with which alert.
#include <gtest/gtest.h>

#include "certificates.h"
#include "peer.h"

namespace weir::tls {
namespace {

using namespace std::string_view_literals;
using Kind = Stream::Kind;

ClientOptions only(int version) {
  return {.min_version = version, .max_version = version};
}

TEST(Handshake, IsDoneInEachVersion) {
  Service service{{make_credential()}};
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    Client client{only(version)};
    Server server{service.context};
    EXPECT_FALSE(server.stream->established());
    EXPECT_EQ(exchange(client, server), Kind::need_more);
    EXPECT_TRUE(client.established());
    EXPECT_TRUE(server.stream->established());
    EXPECT_FALSE(server.stream->resumed());
    EXPECT_EQ(client.version(), version);
    EXPECT_EQ(server.stream->why(), "");
  }
}

TEST(Handshake, SendsTheChainOfTheFile) {
  Service service{{make_credential({.names = {"leaf"}, .with_issuer = true})}};
  Client client;
  Server server{service.context};
  exchange(client, server);
  EXPECT_EQ(client.chain_names(), (std::vector<std::string>{"leaf", "issuer"}));
}

struct RefusedCase {
  std::string_view what;
  ContextOptions context;
  ClientOptions client;
  std::string_view alert;  // the record, in the clear
  std::string_view why;
};

constexpr std::string_view kProtocolVersion = "\x15\x03\x03\x00\x02\x02\x46"sv;   // 70
constexpr std::string_view kNoProtocol = "\x15\x03\x03\x00\x02\x02\x78"sv;        // 120
constexpr std::string_view kHandshakeFailure = "\x15\x03\x03\x00\x02\x02\x28"sv;  // 40

const RefusedCase kRefused[] = {
    {"1.2 where 1.3 is the least",
     {.min_version = Version::tls13},
     only(TLS1_2_VERSION),
     kProtocolVersion,
     "unsupported protocol"},
    {"ALPN of h2 alone", {}, {.protocols = "\x02h2"}, kNoProtocol, "no application protocol"},
    {"ALPN of h2 alone, in 1.2",
     {},
     {.max_version = TLS1_2_VERSION, .protocols = "\x02h2"},
     kNoProtocol,
     "no application protocol"},
    {"ciphers without forward secrecy",
     {},
     {.max_version = TLS1_2_VERSION, .ciphers = "AES128-GCM-SHA256"},
     kHandshakeFailure,
     "no shared cipher"},
    {"ciphers that are not authenticated",
     {},
     {.max_version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-AES128-SHA256"},
     kHandshakeFailure,
     "no shared cipher"},
};

TEST(Handshake, RefusesEachCaseWithItsAlert) {
  const Credential credential = make_credential();
  for (const RefusedCase& c : kRefused) {
    SCOPED_TRACE(c.what);
    Service service{{credential}, c.context};
    Client client{c.client};
    Server server{service.context};
    EXPECT_EQ(server.give(client.take()), Kind::failed);
    EXPECT_EQ(server.sink.bytes, c.alert);
    EXPECT_EQ(server.stream->why(), c.why);
    EXPECT_FALSE(server.stream->established());
    EXPECT_EQ(server.give("more"), Kind::failed) << "and stays so";
    server.sink.take();
    server.stream->close(server.sink);
    EXPECT_EQ(server.sink.bytes, "") << "no close_notify after a failure";
  }
}

TEST(Handshake, TakesOneThreeWhereThatIsTheLeast) {
  Service service{{make_credential()}, {.min_version = Version::tls13}};
  Client client;
  Server server{service.context};
  exchange(client, server);
  EXPECT_TRUE(server.stream->established());
}

TEST(Handshake, ChoosesHttp11WhereverItStandsInTheOffer) {
  Service service{{make_credential()}};
  for (const std::string_view offer : {""sv, "\x08http/1.1"sv, "\x02h2\x08http/1.1"sv}) {
    Client client{{.protocols = std::string{offer}}};
    Server server{service.context};
    exchange(client, server);
    EXPECT_TRUE(server.stream->established());
    EXPECT_EQ(client.protocol(), offer.empty() ? "" : "http/1.1");
  }
}

TEST(Handshake, GivesTheFirstCertificateThatIsForTheName) {
  Service service{{make_credential({.names = {"first.example"}}),
                   make_credential({.names = {"b.example", "www.b.example"}}),
                   make_credential({.names = {"*.wild.example"}}),
                   make_credential({.names = {"exact.wild.example"}}),
                   make_credential({.names = {"first.example"}})}};
  constexpr std::pair<std::string_view, std::string_view> kCases[] = {
      {"", "first.example"},
      {"first.example", "first.example"},
      {"b.example", "b.example"},
      {"www.b.example", "b.example"},
      {"WWW.B.Example", "b.example"},
      {"nobody.example", "first.example"},
      {"a.b.example", "first.example"},
      {"a.wild.example", "*.wild.example"},
      {"exact.wild.example", "*.wild.example"},
      {"a.a.wild.example", "first.example"},
      {"wild.example", "first.example"},
  };
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const auto& [name, expected] : kCases) {
      SCOPED_TRACE(name);
      ClientOptions options = only(version);
      options.name = name;
      Client client{options};
      Server server{service.context};
      exchange(client, server);
      ASSERT_TRUE(server.stream->established());
      EXPECT_EQ(client.certificate_name(), expected);
    }
  }
}

TEST(Handshake, GivesEachClientTheKindOfKeyThatItCanVerify) {
  Service service{{make_credential({.names = {"other.example"}}),
                   make_credential({.names = {"a.example", "B.example"}, .key = KeyKind::rsa}),
                   make_credential({.names = {"b.example", "A.example"}, .key = KeyKind::ec})}};
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    ClientOptions options = only(version);
    options.name = "b.example";
    options.signatures = "RSA-PSS+SHA256";
    Client rsa{options};
    Server to_rsa{service.context};
    exchange(rsa, to_rsa);
    EXPECT_TRUE(to_rsa.stream->established()) << to_rsa.stream->why();
    EXPECT_EQ(rsa.certificate_key_kind(), EVP_PKEY_RSA);

    options.signatures = "ECDSA+SHA256";
    Client ecdsa{options};
    Server to_ecdsa{service.context};
    exchange(ecdsa, to_ecdsa);
    EXPECT_TRUE(to_ecdsa.stream->established()) << to_ecdsa.stream->why();
    EXPECT_EQ(ecdsa.certificate_key_kind(), EVP_PKEY_EC);
  }
}

/// All that the client sends until it is done, with 5 bytes of data at the end, each flight cut in
/// two after `first` bytes, or into single bytes if that is 0.
void handshake_cut(Context& context, int version, std::size_t first, bool& longer) {
  Client client{only(version)};
  Server server{context};
  longer = false;
  const auto give = [&](std::string_view flight) {
    longer |= flight.size() > first;
    for (std::size_t at = 0, piece = 0; at < flight.size(); at += piece) {
      piece = first == 0 ? 1 : at == 0 ? first : flight.size();
      ASSERT_EQ(server.give(flight.substr(at, piece)), Kind::need_more);
    }
  };
  while (!server.stream->established()) {
    const std::string flight = client.take();
    ASSERT_FALSE(flight.empty()) << server.stream->why();
    give(flight);
    client.give(server.sink.take());
  }
  client.write("hello");
  give(client.take());
  ASSERT_EQ(server.got, "hello");
}

TEST(Handshake, IsTheSameHoweverTheClientsBytesAreCut) {
  Service service{{make_credential()}};
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    bool longer = true;
    handshake_cut(service.context, version, 0, longer);
    for (std::size_t first = 1; longer; ++first) {
      handshake_cut(service.context, version, first, longer);
      if (HasFatalFailure()) FAIL() << "cut after " << first << " bytes";
    }
  }
}

TEST(Handshake, GarbageFailsWithAReason) {
  Service service{{make_credential()}};
  const std::string hello = Client{}.take();
  std::string bad_length = hello;
  bad_length[6] = '\x7f';  // of the handshake message, over many records
  const struct {
    std::string_view what;
    std::string bytes;
    std::string_view why;
  } cases[] = {
      {"plain HTTP", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "http request"},
      {"a proxy's CONNECT", "CONNECT a:443 HTTP/1.1\r\n\r\n", "https proxy request"},
      {"a text", "SSH-2.0-OpenSSH_9.2p1\r\n", "wrong version number"},
      {"zeros", std::string(64, '\0'), "wrong version number"},
      {"data before any handshake", std::string{"\x17\x03\x03\x00\x05hello"sv},
       "unexpected message"},
      {"a record of 64 KiB", std::string{"\x16\x03\x01\xff\xff"sv} + std::string(70'000, 'x'),
       "packet length too long"},
      {"a hello after which nothing fits", std::string{"\x16\x03\x01\x00\x04\x01\x00\x00\x00"sv},
       "length too short"},
      {"a hello said to be of 8 MiB", bad_length, "excessive message size"},
      {"an alert before any hello", std::string{"\x15\x03\x03\x00\x02\x02\x28"sv},
       "unexpected message"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    Server server{service.context};
    EXPECT_EQ(server.give(c.bytes), Kind::failed);
    EXPECT_EQ(server.stream->why(), c.why);
    EXPECT_FALSE(server.stream->established());
  }
}

TEST(Handshake, AClientThatStopsHalfwayJustWaits) {
  Service service{{make_credential()}};
  const std::string hello = Client{}.take();
  for (std::size_t bytes = 0; bytes < hello.size(); ++bytes) {
    Server server{service.context};
    ASSERT_EQ(server.give(hello.substr(0, bytes)), Kind::need_more);
    ASSERT_EQ(server.sink.bytes, "");
    server.stream->close(server.sink);
    ASSERT_EQ(server.sink.bytes, "") << "no close_notify before the handshake is done";
  }
}

}  // namespace
}  // namespace weir::tls
