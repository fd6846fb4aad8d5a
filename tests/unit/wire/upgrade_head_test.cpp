// How the lines of a request's head are read: repeated, folded, spelt and spaced in every way, many
// of them, wherever they are cut; and where what was read lies afterwards.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "upgrading.h"

namespace weir::wire {
namespace {

UpgradeRules with_all() {
  return {.origins = {"https://example.com"},
          .subprotocols = {"chat"},
          .compression = {.mode = Compression::shared}};
}

constexpr std::string_view kOriginLine = "Origin: https://example.com";
constexpr std::string_view kSwitched =
    "HTTP/1.1 101 Switching Protocols\r\n"
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    "Sec-WebSocket-Protocol: chat\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
    "client_no_context_takeover\r\n\r\n";

struct SingleCase {
  std::string_view line;  // whole, and right
  std::string_view name;
  unsigned status;  // when it is there twice
};

constexpr SingleCase kSingles[] = {
    {"Host: server.example.com", "Host", 400},
    {"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Key", 400},
    {"Sec-WebSocket-Version: 13", "Sec-WebSocket-Version", 426},
    {kOriginLine, "Origin", 400},
};

TEST(UpgradeHead, HasEachSingleFieldOnceWhateverTheSecondLineSays) {
  const UpgradeRules rules = with_all();
  for (const SingleCase& c : kSingles) {
    for (const std::string_view second :
         {c.line.substr(c.name.size()), std::string_view{":"}, std::string_view{": other"}}) {
      SCOPED_TRACE(std::string{c.name} + std::string{second});
      const std::string once = request({{c.name, ""}, {"", c.line}});
      ASSERT_EQ(feed(rules, once).status, 101U);
      const std::string line{c.line};
      const std::string more = std::string{c.name} + std::string{second};
      for (const std::string& lines :
           {line + "\r\n" + more, more + "\r\n" + line, line + "\r\nX: between\r\n" + more}) {
        const std::string text = request({{c.name, ""}, {"", lines}});
        for_each_cut(text.size(), [&](const Cut& cut) {
          ASSERT_EQ(feed(rules, text, cut).status, c.status) << lines;
        });
      }
    }
  }
}

struct FoldedCase {
  std::string_view what;
  std::vector<Edit> edits;
  unsigned status = 101;
  std::string_view host = "server.example.com";
  std::string_view origin = "";
  std::string_view subprotocol = "";
};

const FoldedCase kFolded[] = {
    {"a host behind the fold", {{"Host", "Host:\r\n server.example.com"}}},
    {"a host before the fold", {{"Host", "Host: server.example.com\r\n\t \r\n "}}},
    {"a host on both sides",
     {{"Host", "Host: server\r\n \t .example.com \r\n of.ours"}},
     101,
     "server .example.com of.ours"},
    {"two Hosts, both folded", {{"Host", "Host: a\r\n b\r\nHost: a\r\n b"}}, 400},
    {"an origin", {{"", "Origin: null\r\n null"}}, 101, "server.example.com", "null null"},
    {"a host and an origin",
     {{"Host", "Host: a\r\n b"}, {"", "Origin: c\r\n d"}},
     101,
     "a b",
     "c d"},
    {"a key behind the fold",
     {{"Sec-WebSocket-Key", "Sec-WebSocket-Key:\r\n dGhlIHNhbXBsZSBub25jZQ=="}}},
    {"a key on both sides",
     {{"Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSB\r\n ub25jZQ=="}},
     400},
    {"a version on both sides", {{"Sec-WebSocket-Version", "Sec-WebSocket-Version: 1\r\n 3"}}, 426},
    {"lists",
     {{"Connection", "Connection: keep-alive,\r\n Upgrade"},
      {"Upgrade", "Upgrade: h2c,\r\n\twebsocket"},
      {"", "Sec-WebSocket-Protocol: soap,\r\n chat"}},
     101,
     "server.example.com",
     "",
     "chat"},
    {"a subprotocol on both sides", {{"", "Sec-WebSocket-Protocol: ch\r\n at"}}, 400},
    {"lists folded and repeated",
     {{"", "Sec-WebSocket-Protocol: soap,\r\n wamp\r\nSec-WebSocket-Protocol: mqtt,\r\n chat"}},
     101,
     "server.example.com",
     "",
     "chat"},
    {"what nobody looks at", {{"", "Cookie: a=b;\r\n c=d"}}},
    {"a body's length", {{"", "Content-Length: 0,\r\n 0"}}},
};

TEST(UpgradeHead, ReadsFoldedValuesInOneLine) {
  const UpgradeRules rules{.subprotocols = {"chat"}};
  for (const FoldedCase& c : kFolded) {
    SCOPED_TRACE(c.what);
    const std::string text = request(c.edits);
    for_each_cut(text.size(), [&](const Cut& cut) {
      const Outcome outcome = feed(rules, text, cut);
      ASSERT_EQ(outcome.status, c.status) << outcome.response;
      if (c.status != 101) return;
      ASSERT_EQ(outcome.request.host, c.host);
      ASSERT_EQ(outcome.request.origin, c.origin);
      ASSERT_EQ(outcome.request.subprotocol, c.subprotocol);
      ASSERT_EQ(outcome.request.key, "dGhlIHNhbXBsZSBub25jZQ==");
    });
  }
}

/// Every field that is looked at, each name changed by `spell` and each value put in blanks.
template <class Spell>
std::string request_in(Spell spell, std::string_view before, std::string_view behind) {
  std::string text = "GET /chat HTTP/1.1\r\n";
  for (const auto& [name, value] :
       {std::pair{"Host", "server.example.com"}, std::pair{"Upgrade", "websocket"},
        std::pair{"Connection", "Upgrade"}, std::pair{"Origin", "https://example.com"},
        std::pair{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
        std::pair{"Sec-WebSocket-Version", "13"}, std::pair{"Sec-WebSocket-Protocol", "chat"},
        std::pair{"Sec-WebSocket-Extensions", "permessage-deflate"},
        std::pair{"Content-Length", "0"}}) {
    for (std::size_t i = 0; name[i] != 0; ++i) text += spell(name[i], i);
    text.append(":").append(before).append(value).append(behind).append("\r\n");
  }
  return text + "\r\n";
}

char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}
char to_upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c & ~0x20) : c;
}

TEST(UpgradeHead, KnowsNamesInAnyCaseAndValuesInAnyBlanks) {
  const auto as_is = [](char c, std::size_t) { return c; };
  const auto lower = [](char c, std::size_t) { return to_lower(c); };
  const auto upper = [](char c, std::size_t) { return to_upper(c); };
  const auto mixed = [](char c, std::size_t i) { return i % 2 == 0 ? to_lower(c) : to_upper(c); };
  for (const std::string& text :
       {request_in(as_is, "", ""), request_in(lower, " ", ""), request_in(upper, " ", ""),
        request_in(mixed, " ", ""), request_in(lower, "\t", " "),
        request_in(as_is, "  \t ", "\t \t")}) {
    for_each_cut(text.size(), [&](const Cut& cut) {
      const Outcome outcome = feed(with_all(), text, cut);
      ASSERT_EQ(outcome.response, kSwitched) << text;
      ASSERT_EQ(outcome.request.host, "server.example.com");
      ASSERT_EQ(outcome.request.origin, "https://example.com");
    });
  }
}

struct SpelledCase {
  std::string_view what;
  std::vector<Edit> edits;
  unsigned status;
};

const SpelledCase kMisspelt[] = {
    {"another name than Connection", {{"Connection", "Proxy-Connection: Upgrade"}}, 400},
    {"a name with one more letter", {{"Upgrade", "Upgrades: websocket"}}, 426},
    {"a name with one less", {{"Host", "Hos: server.example.com"}}, 400},
    {"a blank in front of a name", {{"Upgrade", " Upgrade: websocket"}}, 426},
    {"a vertical tab in front of a value", {{"Host", "Host: \vserver.example.com"}}, 400},
};

TEST(UpgradeHead, TakesNoNameForAnother) {
  for (const SpelledCase& c : kMisspelt) {
    const std::string text = request(c.edits);
    for_each_cut(text.size(), [&](const Cut& cut) {
      ASSERT_EQ(feed({}, text, cut).status, c.status) << c.what;
    });
  }
}

std::string times(std::size_t count, std::string_view line) {
  std::string lines;
  for (std::size_t i = 0; i < count; ++i) lines.append(line);
  return lines.substr(0, lines.size() - 2);
}

TEST(UpgradeHead, MayBeOfVeryManyLines) {
  const UpgradeRules rules = with_all();
  std::string protocols;
  for (int i = 0; i < 100; ++i) {
    protocols += "Sec-WebSocket-Protocol: p" + std::to_string(i) + ", q" + std::to_string(i);
    protocols += "\r\n";
  }
  const std::string last = "Sec-WebSocket-Protocol: chat";
  const std::string offers = times(100, "Sec-WebSocket-Extensions: x-other; a=1\r\n");
  const std::string offer = "\r\nSec-WebSocket-Extensions: permessage-deflate";
  for (const std::string& lines :
       {protocols + last + "\r\n" + std::string{offer.substr(2)}, last + "\r\n" + offers + offer,
        last + offer + "\r\n" + times(1'500, "a:\r\n"),
        last + offer + "\r\n" + times(300, "Upgrade: foo\r\n"),
        last + offer + "\r\n" + times(300, "Connection: close\r\n"),
        last + offer + "\r\n" + times(300, "Content-Length: 0\r\n")}) {
    const std::string text = request({{"", lines}});
    for (const Cut& cut :
         {Cut{text.size()}, Cut{1'000, text.size() - 1'000}, Cut(text.size(), 1)}) {
      const Outcome outcome = feed(rules, text, cut);
      ASSERT_EQ(outcome.response, kSwitched) << lines.substr(0, 100);
      ASSERT_EQ(outcome.request.subprotocol, "chat");
    }
  }
  const std::string twice = protocols + "Sec-WebSocket-Protocol: p50";
  EXPECT_EQ(feed(rules, request({{"", twice}})).status, 400U) << "the 51st and the last";
}

TEST(UpgradeHead, NamesASubprotocolOfAnyLength) {
  for (const std::size_t size : {1U, 64U, 228U, 229U, 230U, 7'000U}) {
    const std::string name(size, 'p');
    const std::string line = "Sec-WebSocket-Protocol: " + name;
    const Outcome outcome = feed({.subprotocols = {name}}, request({{"", line}}));
    std::string expected{kSwitching.substr(0, kSwitching.size() - 2)};
    ASSERT_EQ(outcome.response, expected.append(line).append("\r\n\r\n"));
  }
}

bool is_within(std::string_view part, std::span<const std::byte> all) {
  const auto* const begin = reinterpret_cast<const char*>(all.data());
  return part.data() >= begin && part.data() + part.size() <= begin + all.size();
}

TEST(UpgradeHead, IsReadWhereItLiesWhenItComesWhole) {
  const UpgradeRules rules = with_all();
  Bytes text = to_bytes(request({{"", kOriginLine}, {"", "Sec-WebSocket-Protocol: chat"}}));
  UpgradeParser parser{rules};
  std::span<std::byte> in{text};
  ASSERT_EQ(parser.feed(in), Progress::accepted);
  const UpgradeRequest& asked = parser.request();
  for (const std::string_view part :
       {asked.target, asked.path, asked.host, asked.origin, asked.key, asked.subprotocol}) {
    EXPECT_TRUE(is_within(part, text)) << part;
  }
}

// What the parser was fed, and where it stood before, is gone by then.
TEST(UpgradeHead, GoesWithAParserThatIsMoved) {
  const UpgradeRules rules{.subprotocols = {"chat"}};
  const std::string text =
      request({{"Host", "Host: a\r\n b"}, {"", "Sec-WebSocket-Protocol: chat"}}) + "early";
  for (std::size_t at = 1; at < text.size() - 6; ++at) {
    std::optional<UpgradeParser> first{std::in_place, rules};
    {
      Bytes piece = to_bytes(text.substr(0, at));
      std::span<std::byte> in{piece};
      ASSERT_EQ(first->feed(in), Progress::need_more);
    }
    std::optional<UpgradeParser> second{std::move(*first)};
    first.reset();
    {
      Bytes piece = to_bytes(text.substr(at));
      std::span<std::byte> in{piece};
      ASSERT_EQ(second->feed(in), Progress::accepted);
      ASSERT_EQ(to_text(in), "early");
    }
    const UpgradeParser third{std::move(*second)};
    second.reset();
    ASSERT_EQ(third.status(), 101U);
    ASSERT_EQ(third.request().path, "/chat");
    ASSERT_EQ(third.request().host, "a b");
    ASSERT_EQ(third.request().subprotocol, "chat");
    ASSERT_TRUE(third.response().ends_with("\r\nSec-WebSocket-Protocol: chat\r\n\r\n"));
  }
}

}  // namespace
}  // namespace weir::wire
