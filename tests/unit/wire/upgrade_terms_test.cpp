// What an opening handshake settles beyond the upgrade itself: which pages may connect, the
// subprotocol, the extension.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

#include "upgrading.h"

namespace weir::wire {
namespace {

/// A 101 with `lines` behind those that every 101 has.
std::string switching_with(std::string_view lines) {
  std::string response{kSwitching.substr(0, kSwitching.size() - 2)};
  return response.append(lines).append("\r\n\r\n");
}

/// A 400, byte for byte.
std::string bad_request(std::string_view why) {
  return "HTTP/1.1 400 Bad Request\r\n"
         "Connection: close\r\n"
         "Content-Type: text/plain\r\n"
         "Content-Length: " +
         std::to_string(why.size() + 1) + "\r\n\r\n" + std::string{why} + "\n";
}

struct OriginCase {
  std::string_view what;
  std::string_view lines;  // of the request
  unsigned status;
};

constexpr OriginCase kOrigins[] = {
    {"the page of the list", "Origin: https://example.com", 101},
    {"another page of the list", "Origin: http://localhost:3000", 101},
    {"scheme and host in capitals", "Origin: HTTPS://Example.COM", 101},
    {"a page in a sandbox, since the list has it", "Origin: null", 101},
    {"another host", "Origin: https://example.org", 403},
    {"another scheme", "Origin: http://example.com", 403},
    {"another port", "Origin: http://localhost:3001", 403},
    {"a port where the list has none", "Origin: https://example.com:443", 403},
    {"a host below the one of the list", "Origin: https://www.example.com", 403},
    {"a host that only begins so", "Origin: https://example.com.evil.org", 403},
    {"a host that only ends so", "Origin: https://evilexample.com", 403},
    {"a path behind it", "Origin: https://example.com/", 403},
    {"two origins in a line", "Origin: https://example.com https://evil.org", 403},
    {"an empty origin", "Origin:", 403},
    {"two lines", "Origin: https://example.com\r\nOrigin: https://evil.org", 400},
    {"two lines that are equal", "Origin: https://example.com\r\nOrigin: https://example.com", 400},
};

TEST(UpgradeTerms, LetInThePagesOfTheListOnly) {
  const UpgradeRules rules{.origins = {"https://example.com", "http://Localhost:3000", "null"}};
  EXPECT_EQ(feed(rules, request()).status, 101U) << "no browser";
  for (const OriginCase& c : kOrigins) {
    const std::string text = request({{"", c.lines}});
    for_each_cut(text.size(), [&](const Cut& cut) {
      ASSERT_EQ(feed(rules, text, cut).status, c.status) << c.what;
    });
  }
}

TEST(UpgradeTerms, LetInEveryPageWithoutAListButNoTwo) {
  EXPECT_EQ(feed({}, request({{"", "Origin: https://anywhere.example"}})).status, 101U);
  EXPECT_EQ(feed({}, request({{"", "Origin: http://a\r\nOrigin: http://b"}})).response,
            bad_request("there may be only one Origin"));
}

TEST(UpgradeTerms, RefuseAPageWithA403) {
  const UpgradeRules rules{.origins = {"https://example.com"}};
  EXPECT_EQ(feed(rules, request({{"", "Origin: https://evil.org"}})).response,
            "HTTP/1.1 403 Forbidden\r\n"
            "Connection: close\r\n"
            "Content-Type: text/plain\r\n"
            "Content-Length: 42\r\n\r\n"
            "pages of this origin may not connect here\n");
}

struct ProtocolCase {
  std::string_view what;
  std::string_view lines;     // of the request
  std::string_view selected;  // empty: none
};

constexpr ProtocolCase kProtocols[] = {
    {"the only one", "Sec-WebSocket-Protocol: chat", "chat"},
    {"the client's first, though the server has it last", "Sec-WebSocket-Protocol: mqtt, chat",
     "mqtt"},
    {"the client's first that is served", "Sec-WebSocket-Protocol: soap, wamp, chat, mqtt", "chat"},
    {"the first over repeated lines",
     "Sec-WebSocket-Protocol: soap\r\nSec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Protocol: chat",
     "mqtt"},
    {"no blanks", "Sec-WebSocket-Protocol:soap,mqtt", "mqtt"},
    {"many blanks", "Sec-WebSocket-Protocol: soap \t,\t mqtt  ", "mqtt"},
    {"empty items, which do not count", "Sec-WebSocket-Protocol: , ,chat,", "chat"},
    {"every character of a token", "Sec-WebSocket-Protocol: a!#$%&'*+-.^_`|~9Z",
     "a!#$%&'*+-.^_`|~9Z"},
    {"none that is served", "Sec-WebSocket-Protocol: soap, wamp", ""},
    {"one that is served, in another case", "Sec-WebSocket-Protocol: Chat", ""},
    {"two that differ in case", "Sec-WebSocket-Protocol: Chat, chat", "chat"},
};

TEST(UpgradeTerms, SelectTheFirstSubprotocolOfTheClientThatIsServed) {
  const UpgradeRules rules{.subprotocols = {"chat", "mqtt", "a!#$%&'*+-.^_`|~9Z"}};
  for (const ProtocolCase& c : kProtocols) {
    SCOPED_TRACE(c.what);
    const std::string text = request({{"", c.lines}});
    const std::string line = "Sec-WebSocket-Protocol: " + std::string{c.selected};
    const std::string expected{c.selected.empty() ? std::string{kSwitching} : switching_with(line)};
    for_each_cut(text.size(), [&](const Cut& cut) {
      const Outcome outcome = feed(rules, text, cut);
      ASSERT_EQ(outcome.response, expected);
      ASSERT_EQ(outcome.request.subprotocol, c.selected);
    });
  }
  EXPECT_EQ(feed(rules, request()).response, kSwitching) << "none asked for";
}

struct MalformedCase {
  std::string_view what;
  std::string_view lines;
};

constexpr MalformedCase kMalformedProtocols[] = {
    {"nothing", "Sec-WebSocket-Protocol:"},
    {"empty items alone", "Sec-WebSocket-Protocol: , ,"},
    {"a blank in a name", "Sec-WebSocket-Protocol: my chat"},
    {"a separator in a name", "Sec-WebSocket-Protocol: chat/1"},
    {"quotes", "Sec-WebSocket-Protocol: \"chat\""},
    {"a parameter", "Sec-WebSocket-Protocol: chat;v=1"},
    {"a byte past ASCII", "Sec-WebSocket-Protocol: ch\xc3\xa4t"},
    {"a name that is no token behind one that is served", "Sec-WebSocket-Protocol: chat, a b"},
    {"a name twice", "Sec-WebSocket-Protocol: chat, chat"},
    {"a name twice, not side by side", "Sec-WebSocket-Protocol: soap, chat, wamp, soap"},
    {"a name twice over two lines",
     "Sec-WebSocket-Protocol: chat, soap\r\nSec-WebSocket-Protocol: chat"},
};

TEST(UpgradeTerms, RefuseAMalformedListOfSubprotocolsWhetherOrNotAnyIsServed) {
  for (const UpgradeRules& rules : {UpgradeRules{}, UpgradeRules{.subprotocols = {"chat"}}}) {
    for (const MalformedCase& c : kMalformedProtocols) {
      const std::string text = request({{"", c.lines}});
      for_each_cut(text.size(), [&](const Cut& cut) {
        ASSERT_EQ(feed(rules, text, cut).response,
                  bad_request("Sec-WebSocket-Protocol has to be a list of tokens, each there once"))
            << c.what;
      });
    }
  }
}

UpgradeRules with_compression() {
  return {.compression = {.mode = Compression::shared}};
}

constexpr std::string_view kOffer = "permessage-deflate";
constexpr std::string_view kOfferLine = "Sec-WebSocket-Extensions: permessage-deflate";

TEST(UpgradeTerms, NameTheExtensionThatWasAgreed) {
  const UpgradeRules rules = with_compression();
  const DeflateAnswer agreed = negotiate_deflate({&kOffer, 1}, rules.compression);
  ASSERT_EQ(agreed.kind, DeflateAnswer::Kind::agreed);
  const std::string text = request({{"", kOfferLine}});
  for_each_cut(text.size(), [&](const Cut& cut) {
    const Outcome outcome = feed(rules, text, cut);
    ASSERT_EQ(outcome.response,
              switching_with("Sec-WebSocket-Extensions: " + std::string{agreed.response}));
    ASSERT_TRUE(outcome.request.deflate);
    EXPECT_TRUE(outcome.request.deflate->server_no_context_takeover);
    EXPECT_TRUE(outcome.request.deflate->client_no_context_takeover);
  });
}

TEST(UpgradeTerms, HandOnTheOffersOfAllLines) {
  const std::string lines = "Sec-WebSocket-Extensions: x-other\r\n" + std::string{kOfferLine};
  EXPECT_TRUE(feed(with_compression(), request({{"", lines}})).request.deflate);
}

TEST(UpgradeTerms, NameTheSubprotocolBeforeTheExtension) {
  UpgradeRules rules = with_compression();
  rules.subprotocols = {"chat"};
  const std::string agreed{negotiate_deflate({&kOffer, 1}, rules.compression).response};
  const std::string lines = "Sec-WebSocket-Protocol: chat\r\n" + std::string{kOfferLine};
  EXPECT_EQ(feed(rules, request({{"", lines}})).response,
            switching_with("Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: " + agreed));
}

TEST(UpgradeTerms, NameNoExtensionThatWasNotAgreed) {
  for (const auto& [rules, line] :
       {std::pair{UpgradeRules{}, kOfferLine},
        std::pair{with_compression(), std::string_view{"Sec-WebSocket-Extensions: x-other"}}}) {
    const Outcome outcome = feed(rules, request({{"", line}}));
    EXPECT_EQ(outcome.response, kSwitching);
    EXPECT_FALSE(outcome.request.deflate);
  }
  EXPECT_FALSE(feed(with_compression(), request()).request.deflate) << "none offered";
}

TEST(UpgradeTerms, RefuseMalformedExtensionsWhetherOrNotAnyIsServed) {
  for (const UpgradeRules& rules : {UpgradeRules{}, with_compression()}) {
    const std::string line = "Sec-WebSocket-Extensions: permessage-deflate; =10";
    EXPECT_EQ(feed(rules, request({{"", line}})).response,
              bad_request("Sec-WebSocket-Extensions is malformed"));
  }
}

}  // namespace
}  // namespace weir::wire
