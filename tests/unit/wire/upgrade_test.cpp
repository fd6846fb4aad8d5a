// The opening handshake at byte level: what is accepted, and each refusal with its status.
#include "weir/wire/upgrade.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "upgrading.h"

namespace weir::wire {
namespace {

struct AcceptedCase {
  std::string_view what;
  std::vector<Edit> edits;
  std::string_view target = "/chat";
  std::string_view path = "/chat";
};

const AcceptedCase kAccepted[] = {
    {"the RFC's sample", {}},
    {"names and tokens in any case",
     {{"Host", "HOST: server.example.com"},
      {"Upgrade", "upgrade: WebSocket"},
      {"Connection", "connection: uPGRADE"},
      {"Sec-WebSocket-Version", "SEC-WEBSOCKET-VERSION: 13"}}},
    {"no blank after the colon, many behind", {{"Host", "Host:server.example.com   "}}},
    {"lists of tokens",
     {{"Connection", "Connection: keep-alive, Upgrade"}, {"Upgrade", "Upgrade: h2c , websocket"}}},
    {"a list with a version in it", {{"Upgrade", "Upgrade: foo/1.0, websocket"}}},
    {"lists over repeated lines",
     {{"Connection", "Connection: keep-alive\r\nConnection: upgrade"},
      {"Upgrade", "Upgrade: foo\r\nUpgrade: websocket"}}},
    {"a query", {{"GET", "GET /chat?room=1&x=/y HTTP/1.1"}}, "/chat?room=1&x=/y", "/chat"},
    {"the root", {{"GET", "GET / HTTP/1.1"}}, "/", "/"},
    {"an absolute target",
     {{"GET", "GET http://server.example.com/chat?a HTTP/1.1"}},
     "http://server.example.com/chat?a",
     "/chat"},
    {"an absolute target without a path",
     {{"GET", "GET ws://server.example.com?a=/b HTTP/1.1"}},
     "ws://server.example.com?a=/b",
     "/"},
    {"a body of no bytes", {{"", "Content-Length: 0"}}},
    {"protocols and extensions with none served",
     {{"", "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate"}}},
};

TEST(Upgrade, AcceptsEachCaseHoweverItIsCut) {
  const UpgradeRules rules;
  for (const AcceptedCase& c : kAccepted) {
    SCOPED_TRACE(c.what);
    const std::string text = request(c.edits);
    for_each_cut(text.size(), [&](const Cut& cut) {
      const Outcome outcome = feed(rules, text, cut);
      ASSERT_EQ(outcome.progress, Progress::accepted) << outcome.response;
      EXPECT_EQ(outcome.response, kSwitching);
      EXPECT_EQ(outcome.status, 101U);
      EXPECT_EQ(outcome.left, "");
      EXPECT_EQ(outcome.request.target, c.target);
      EXPECT_EQ(outcome.request.path, c.path);
      EXPECT_EQ(outcome.request.host, "server.example.com");
      EXPECT_EQ(outcome.request.key, "dGhlIHNhbXBsZSBub25jZQ==");
    });
  }
}

TEST(Upgrade, TellsTheOrigin) {
  EXPECT_EQ(feed({}, request()).request.origin, "");
  EXPECT_EQ(feed({}, request({{"", "Origin: http://example.com"}})).request.origin,
            "http://example.com");
}

TEST(Upgrade, LeavesEarlyFramesWhereverTheCutFalls) {
  const UpgradeRules rules;
  const std::string frames = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
  const std::string text = request() + frames;
  for_each_cut(text.size(), [&](const Cut& cut) {
    const Outcome outcome = feed(rules, text, cut);
    ASSERT_EQ(outcome.progress, Progress::accepted);
    ASSERT_EQ(outcome.left, frames) << "first piece " << cut.front();
  });
}

TEST(Upgrade, TakesNothingOnceItHasAnswered) {
  const UpgradeRules rules;
  UpgradeParser parser{rules};
  Bytes head = to_bytes(request());
  std::span<std::byte> in{head};
  ASSERT_EQ(parser.feed(in), Progress::accepted);
  Bytes more = to_bytes("more");
  in = more;
  EXPECT_EQ(parser.feed(in), Progress::accepted);
  EXPECT_EQ(in.size(), 4U);
  EXPECT_EQ(parser.response(), kSwitching);
}

struct RefusedRequestCase {
  std::string_view what;
  std::vector<Edit> edits;
  unsigned status;
  std::string_view in_body;  // words that say what is wrong
};

constexpr std::string_view kKeyLine = "Sec-WebSocket-Key";
constexpr std::string_view kVersionLine = "Sec-WebSocket-Version";

const RefusedRequestCase kRefusedRequests[] = {
    {"a line that is no request", {{"GET", "GET"}}, 400, "malformed"},
    {"a target with a blank", {{"GET", "GET /a b HTTP/1.1"}}, 400, "malformed"},
    {"a header line without a colon", {{"", "Nonsense"}}, 400, "malformed"},
    {"a blank before the colon", {{"", "Name : value"}}, 400, "malformed"},
    {"a control character in a value", {{"", "Name: a\x01z"}}, 400, "malformed"},
    {"a Content-Length that is no number", {{"", "Content-Length: x"}}, 400, "malformed"},
    {"two different Content-Lengths",
     {{"", "Content-Length: 1\r\nContent-Length: 2"}},
     400,
     "malformed"},
    {"both framings of a body",
     {{"", "Content-Length: 1\r\nTransfer-Encoding: chunked"}},
     400,
     "malformed"},
    {"no Host", {{"Host", ""}}, 400, "Host"},
    {"two Hosts", {{"", "Host: other.example.com"}}, 400, "Host"},
    {"an empty Host", {{"Host", "Host:"}}, 400, "Host"},
    {"a target that is an asterisk", {{"GET", "GET * HTTP/1.1"}}, 400, "target"},
    {"a target that is an authority", {{"GET", "GET example.com:80 HTTP/1.1"}}, 400, "target"},
    {"no Connection", {{"Connection", ""}}, 400, "Connection"},
    {"a Connection of other tokens", {{"Connection", "Connection: keep-alive"}}, 400, "Connection"},
    {"a Connection whose token only begins so",
     {{"Connection", "Connection: upgrades"}},
     400,
     "Connection"},
    {"no key", {{kKeyLine, ""}}, 400, kKeyLine},
    {"an empty key", {{kKeyLine, "Sec-WebSocket-Key:"}}, 400, kKeyLine},
    {"a key of 15 bytes", {{kKeyLine, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA"}}, 400, kKeyLine},
    {"a key of 17 bytes",
     {{kKeyLine, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA="}},
     400,
     kKeyLine},
    {"a key of 18 bytes",
     {{kKeyLine, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAA"}},
     400,
     kKeyLine},
    {"a key with more padding than it needs",
     {{kKeyLine, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ===="}},
     400,
     kKeyLine},
    {"a key that is not base64",
     {{kKeyLine, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ_=="}},
     400,
     kKeyLine},
    {"two keys", {{"", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}}, 400, kKeyLine},
    {"a path that is not served", {{"GET", "GET /chat/ HTTP/1.1"}}, 404, "/chat, /feed"},
    {"a path that is served in another case", {{"GET", "GET /Chat HTTP/1.1"}}, 404, "/chat, /feed"},
    {"a path that is served percent-encoded",
     {{"GET", "GET /%63hat HTTP/1.1"}},
     404,
     "/chat, /feed"},
    {"POST", {{"GET", "POST /chat HTTP/1.1"}}, 405, "GET"},
    {"a method of one's own", {{"GET", "BREW /chat HTTP/1.1"}}, 405, "GET"},
    {"get, as methods know case", {{"GET", "get /chat HTTP/1.1"}}, 405, "GET"},
    {"a body", {{"", "Content-Length: 5"}}, 413, "body"},
    {"a chunked body", {{"", "Transfer-Encoding: chunked"}}, 413, "body"},
    {"a body in an encoding unknown", {{"", "Transfer-Encoding: gzip"}}, 413, "body"},
    {"a GET like a browser's", {{"Upgrade", ""}, {"Connection", ""}}, 426, "WebSocket"},
    {"an upgrade to something else", {{"Upgrade", "Upgrade: h2c"}}, 426, "WebSocket"},
    {"no version", {{kVersionLine, ""}}, 426, kVersionLine},
    {"an old version", {{kVersionLine, "Sec-WebSocket-Version: 8"}}, 426, kVersionLine},
    {"a version that is a list",
     {{kVersionLine, "Sec-WebSocket-Version: 13, 8"}},
     426,
     kVersionLine},
    {"two versions", {{"", "Sec-WebSocket-Version: 13"}}, 426, kVersionLine},
    {"HTTP/1.0", {{"GET", "GET /chat HTTP/1.0"}}, 505, "HTTP/1.1"},
    {"HTTP/2.0", {{"GET", "GET /chat HTTP/2.0"}}, 505, "HTTP/1.1"},
    {"a version that is none", {{"GET", "GET /chat HTTP/x"}}, 400, "malformed"},
};

struct Response {
  std::string_view status_line;
  std::vector<std::string_view> fields;
  std::string_view body;

  explicit Response(std::string_view text) {
    const std::size_t end = text.find("\r\n\r\n");
    body = text.substr(end + 4);
    text = text.substr(0, end);
    status_line = text.substr(0, text.find("\r\n"));
    while (text.find("\r\n") != text.npos) {
      text.remove_prefix(text.find("\r\n") + 2);
      fields.push_back(text.substr(0, text.find("\r\n")));
    }
  }

  [[nodiscard]] bool has(std::string_view field) const {
    return std::ranges::find(fields, field) != fields.end();
  }
};

std::string_view status_line(unsigned status) {
  switch (status) {
    case 400: return "HTTP/1.1 400 Bad Request";
    case 404: return "HTTP/1.1 404 Not Found";
    case 405: return "HTTP/1.1 405 Method Not Allowed";
    case 413: return "HTTP/1.1 413 Payload Too Large";
    case 414: return "HTTP/1.1 414 URI Too Long";
    case 426: return "HTTP/1.1 426 Upgrade Required";
    case 431: return "HTTP/1.1 431 Request Header Fields Too Large";
    case 505: return "HTTP/1.1 505 HTTP Version Not Supported";
    default: return "";
  }
}

/// What every refusal has to have, and what only some may have.
void expect_refusal(const Outcome& outcome, unsigned status, std::string_view in_body) {
  ASSERT_EQ(outcome.progress, Progress::answered);
  EXPECT_EQ(outcome.status, status);
  const Response response{outcome.response};
  EXPECT_EQ(response.status_line, status_line(status));
  EXPECT_TRUE(response.has("Content-Type: text/plain"));
  EXPECT_TRUE(response.has("Content-Length: " + std::to_string(response.body.size())));
  EXPECT_EQ(response.has("Connection: close"), status != 426);
  EXPECT_EQ(response.has("Connection: close, Upgrade"), status == 426);
  EXPECT_EQ(response.has("Upgrade: websocket"), status == 426);
  EXPECT_EQ(response.has("Sec-WebSocket-Version: 13"), status == 426);
  EXPECT_EQ(response.has("Allow: GET"), status == 405);
  EXPECT_EQ(std::ranges::count(response.body, '\n'), 1) << "one line";
  EXPECT_TRUE(response.body.ends_with('\n'));
  EXPECT_NE(response.body.find(in_body), std::string_view::npos) << response.body;
}

TEST(Upgrade, RefusesEachCaseHoweverItIsCut) {
  const UpgradeRules rules{.paths = {"/chat", "/feed"}};
  for (const RefusedRequestCase& c : kRefusedRequests) {
    SCOPED_TRACE(c.what);
    const std::string text = request(c.edits);
    const Outcome whole = feed(rules, text);
    expect_refusal(whole, c.status, c.in_body);
    for_each_cut(text.size(), [&](const Cut& cut) {
      ASSERT_EQ(feed(rules, text, cut).response, whole.response) << "first piece " << cut.front();
    });
  }
}

TEST(Upgrade, ServesThePathsOfTheRulesAndNoOthers) {
  const UpgradeRules rules{.paths = {"/chat", "/feed"}};
  EXPECT_EQ(feed(rules, request()).status, 101U);
  EXPECT_EQ(feed(rules, request({{"GET", "GET /feed?x HTTP/1.1"}})).status, 101U);
  EXPECT_EQ(feed(rules, request({{"GET", "GET / HTTP/1.1"}})).status, 404U);
}

TEST(Upgrade, AnswersHeadWithoutABody) {
  const Outcome outcome = feed({}, request({{"GET", "HEAD /chat HTTP/1.1"}}));
  EXPECT_EQ(outcome.status, 405U);
  EXPECT_EQ(Response{outcome.response}.body, "");
}

TEST(Upgrade, RefusesAnotherProtocolAtItsFirstByte) {
  for (const std::string_view first : {"\x16", "\r", " ", "\x80", "\x7f"}) {
    const Outcome outcome = feed({}, first);
    expect_refusal(outcome, 400, "not an HTTP request");
  }
}

/// A request whose head has `size` bytes.
std::string request_of(std::size_t size) {
  const std::size_t without = request({{"", "X: "}}).size();
  const std::string line = "X: " + std::string(size - without, 'x');
  return request({{"", line}});
}

TEST(Upgrade, HoldsTheHeadToItsLimit) {
  const UpgradeRules rules{.header_bytes_max = 512};
  for_each_cut(512, [&](const Cut& cut) {
    ASSERT_EQ(feed(rules, request_of(512), cut).status, 101U) << "exactly the limit";
  });
  for_each_cut(513, [&](const Cut& cut) {
    const Outcome outcome = feed(rules, request_of(513), cut);
    expect_refusal(outcome, 431, "512 bytes");
  });
}

TEST(Upgrade, TellsALongRequestLineFromManyHeaderLines) {
  const UpgradeRules rules{.header_bytes_max = 512};
  const std::string long_line = "GET /" + std::string(600, 'x');  // the head's limit comes first
  for_each_cut(long_line.size(), [&](const Cut& cut) {
    expect_refusal(feed(rules, long_line, cut), 414, "512 bytes");
  });
  std::string many = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 200; ++i) many += "a: b\r\n";
  expect_refusal(feed(rules, many), 431, "512 bytes");
}

TEST(Upgrade, RefusesAtTheLimitWithoutWaitingForMore) {
  const UpgradeRules rules{.header_bytes_max = 512};
  const std::string text = "GET /" + std::string(506, 'x');
  EXPECT_EQ(feed(rules, text).progress, Progress::need_more) << "511 bytes";
  EXPECT_EQ(feed(rules, text + "x").status, 414U) << "512, and no end among them";
}

/// A request whose first line has `size` bytes.
std::string request_with_line_of(std::size_t size) {
  const std::string line = "GET /" + std::string(size - 14, 'x') + " HTTP/1.1";
  return request({{"GET", line}});
}

TEST(Upgrade, HoldsTheRequestLineToItsOwnLimit) {
  const UpgradeRules rules{.request_line_bytes_max = 100};
  for_each_cut(request_with_line_of(100).size(), [&](const Cut& cut) {
    ASSERT_EQ(feed(rules, request_with_line_of(100), cut).status, 101U) << "exactly the limit";
  });
  const std::string over = request_with_line_of(101);
  for_each_cut(over.size(), [&](const Cut& cut) {
    expect_refusal(feed(rules, over, cut), 414, "the request line may have 100 bytes");
  });
}

TEST(Upgrade, RefusesALongRequestLineWithoutWaitingForItsEnd) {
  const UpgradeRules rules{.request_line_bytes_max = 100};
  const std::string text = "GET /" + std::string(95, 'x');
  EXPECT_EQ(feed(rules, text).progress, Progress::need_more) << "100 bytes";
  EXPECT_EQ(feed(rules, text + "\r").progress, Progress::need_more) << "and perhaps their end";
  EXPECT_EQ(feed(rules, text + "x").status, 414U);
  EXPECT_EQ(feed(rules, text + "\rx").status, 414U);
  EXPECT_EQ(feed(rules, text + "\r\n").progress, Progress::need_more);
}

TEST(Upgrade, RefusesAFieldThatBeastCannotHold) {
  const UpgradeRules rules{.header_bytes_max = 200'000};
  const std::string line = "X: " + std::string(70'000, 'x');
  expect_refusal(feed(rules, request({{"", line}})), 431, "bytes");
}

TEST(Upgrade, RefusesAValueFoldedPastWhatBeastUnfolds) {
  std::string line = "X: a";
  for (int i = 0; i < 100; ++i) line += "\r\n " + std::string(60, 'x');
  const Outcome outcome = feed({}, request({{"", line}}));
  expect_refusal(outcome, 431, "bytes");
}

}  // namespace
}  // namespace weir::wire
