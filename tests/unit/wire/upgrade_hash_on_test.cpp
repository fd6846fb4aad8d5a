// What uri-hash goes by: how it is named, and which bytes of a request it is.
#include "weir/wire/hash_on.h"

#include "upgrading.h"

namespace weir::wire {
namespace {

using Value = std::optional<std::string_view>;
using Part = HashOn::Part;

TEST(HashOn, IsReadAsItIsWritten) {
  const std::pair<std::string_view, HashOn> cases[] = {
      {"path", {}},
      {"query:room", {.part = Part::query, .name = "room"}},
      {"query:a[0]", {.part = Part::query, .name = "a[0]"}},
      {"query:%72oom", {.part = Part::query, .name = "%72oom"}},
      {"header:X-Room", {.part = Part::header, .name = "X-Room"}},
      {"cookie:sid", {.part = Part::cookie, .name = "sid"}},
      {"cookie:query:a", {}},
  };
  for (const auto& [text, hash_on] : cases) {
    const auto read = parse_hash_on(text);
    if (text == "cookie:query:a") {
      EXPECT_FALSE(read) << "a colon is in no token";
      continue;
    }
    ASSERT_TRUE(read) << text;
    EXPECT_EQ(*read, hash_on) << text;
    EXPECT_EQ(to_string(*read), text);
  }
}

TEST(HashOn, WhatNamesNothingIsRefused) {
  for (const std::string_view text :
       {"", "Path", "path:", "path:x", "query", "query:", "query:a&b", "query:a=b", "query:a#b",
        "query:a b", "query:\xc3\xa4", "header:", "header:X Room", "header:X:Room",
        "cookie:", "cookie:a=b", "cookie:a;b", "uri", "room"})
    EXPECT_FALSE(parse_hash_on(text)) << text;
}

TEST(HashOn, AnArgumentIsTheFirstOfItsNameToTheByte) {
  struct Case {
    std::string_view target;
    Value value;
  };
  const Case cases[] = {
      {"/chat?room=1", "1"},
      {"/chat?room=1&room=2", "1"},
      {"/chat?a=b&room=x%20y", "x%20y"},
      {"/chat?room=%31", "%31"},
      {"/chat?room=a=b", "a=b"},
      {"/chat?room=", ""},
      {"/chat?room", ""},
      {"/chat?room&room=2", ""},
      {"/chat?&&room=3&", "3"},
      {"/chat?x?room=4&room=5", "5"},
      {"/chat?room=a?b", "a?b"},
      {"/chat?room=a;b", "a;b"},
      {"/chat?room=a+b", "a+b"},
      {"http://example.com?room=6", "6"},
      {"http://example.com/chat?room=7", "7"},
      {"/chat", std::nullopt},
      {"/chat?", std::nullopt},
      {"/room=1", std::nullopt},
      {"/chat?Room=1", std::nullopt},
      {"/chat?rooms=1", std::nullopt},
      {"/chat?%72oom=1", std::nullopt},
      {"/chat?=1", std::nullopt},
  };
  for (const Case& c : cases) EXPECT_EQ(query_argument(c.target, "room"), c.value) << c.target;
}

TEST(HashOn, ACookieIsTheFirstOfItsNameToTheByte) {
  struct Case {
    std::string_view header;
    Value value;
  };
  const Case cases[] = {
      {"sid=1", "1"},
      {"a=b; sid=2", "2"},
      {"a=b;sid=3;c=d", "3"},
      {"sid=1; sid=2", "1"},
      {"sid=\"quoted\"", "\"quoted\""},
      {"sid=a=b", "a=b"},
      {"sid=%31", "%31"},
      {"sid=", ""},
      {" \tsid = 5 ; x=y", "5"},
      {"sid; sid=6", "6"},
      {";;sid=7;", "7"},
      {"", std::nullopt},
      {"sid", std::nullopt},
      {"SID=1", std::nullopt},
      {"xsid=1", std::nullopt},
      {"a=sid=1", std::nullopt},
      {"=1", std::nullopt},
  };
  for (const Case& c : cases) EXPECT_EQ(cookie_value(c.header, "sid"), c.value) << c.header;
}

/// What a request is hashed on, read whole and in every two pieces.
std::optional<std::string> hashed_on(std::string_view hash_on, const std::vector<Edit>& edits) {
  const UpgradeRules rules{.hash_on = *parse_hash_on(hash_on)};
  const std::string text = request(edits);
  std::optional<std::optional<std::string>> found;
  for (std::size_t cut = 1; cut <= text.size(); ++cut) {
    UpgradeParser parser{rules};
    std::string first = text.substr(0, cut);
    std::string second = text.substr(cut);
    for (std::string* const piece : {&first, &second}) {
      std::span<std::byte> in = std::as_writable_bytes(std::span{*piece});
      (void)parser.feed(in);
    }
    EXPECT_EQ(parser.status(), 101U) << parser.response();
    EXPECT_EQ(parser.request().head, text);
    const auto& value = parser.request().hashed_on;
    const auto seen = value ? std::optional<std::string>{*value} : std::nullopt;
    if (found) {
      EXPECT_EQ(seen, *found) << "cut at " << cut;
    }
    found = seen;
  }
  return *found;
}

TEST(HashOn, IsTakenFromTheRequestThatIsAccepted) {
  struct Case {
    std::string_view hash_on;
    std::vector<Edit> edits;
    std::optional<std::string> value;
  };
  const Case cases[] = {
      {"path", {}, "/chat"},
      {"path", {{"GET", "GET /a%2Fb/../C?room=1 HTTP/1.1"}}, "/a%2Fb/../C"},
      {"path", {{"GET", "GET http://example.com HTTP/1.1"}}, "/"},
      {"path", {{"GET", "GET http://example.com/x?y HTTP/1.1"}}, "/x"},
      {"query:room", {{"GET", "GET /chat?x=y&room=%61 HTTP/1.1"}}, "%61"},
      {"query:room", {}, std::nullopt},
      {"header:x-room", {{"", "X-ROOM:  lobby\t"}}, "lobby"},
      {"header:X-Room", {{"", "x-room: 1\r\nX-Room: 2"}}, "1"},
      {"header:X-Room", {{"", "X-Room:"}}, ""},
      {"header:X-Room", {{"", "X-Room: a\r\n b"}}, "a b"},
      {"header:X-Room", {{"", "X-Rooms: 1"}}, std::nullopt},
      {"header:Host", {}, "server.example.com"},
      {"header:Cookie", {{"", "Cookie: sid=1; a=b"}}, "sid=1; a=b"},
      {"cookie:sid", {{"", "Cookie: a=b; sid=X"}}, "X"},
      {"cookie:sid", {{"", "Cookie: a=b\r\nCookie: sid=1\r\nCookie: sid=2"}}, "1"},
      {"cookie:sid", {{"", "Cookie: a=b;\r\n sid=3"}}, "3"},
      {"cookie:sid", {{"", "X-Cookie: sid=1"}}, std::nullopt},
  };
  for (const Case& c : cases)
    EXPECT_EQ(hashed_on(c.hash_on, c.edits), c.value)
        << c.hash_on << ", " << (c.edits.empty() ? "" : c.edits.front().lines);
}

}  // namespace
}  // namespace weir::wire
