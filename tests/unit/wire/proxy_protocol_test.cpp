// PROXY protocol headers at byte level: whose connection they name, where they end, and the byte
// at which each wrong one is refused.
#include "weir/wire/proxy_protocol.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <array>
#include <cstring>
#include <random>
#include <string>
#include <string_view>

#include "bytes.h"

namespace weir::wire {
namespace {

using namespace std::string_literals;
using Progress = ProxyParser::Progress;

struct Outcome {
  Progress progress = Progress::need_more;
  ProxyError error = ProxyError::none;
  std::string source;     // "none" without one
  std::string left;       // in the input
  std::size_t taken = 0;  // in the pieces before the one that decided, and of that

  bool operator==(const Outcome&) const = default;
};

Outcome feed(std::string_view text, const Cut& cut) {
  ProxyParser parser;
  Outcome outcome;
  for (const std::size_t size : cut) {
    Bytes piece = to_bytes(text.substr(0, size));
    text.remove_prefix(size);
    std::span<std::byte> in{piece};
    outcome.progress = parser.feed(in);
    outcome.taken += size - in.size();
    if (outcome.progress != Progress::need_more) {
      outcome.left = to_text(in) + std::string{text};
      break;
    }
    EXPECT_TRUE(in.empty()) << "need_more means that all input is taken";
  }
  outcome.error = parser.error();
  outcome.source = parser.source() ? parser.source()->to_string() : "none";
  return outcome;
}

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;

/// A block of version 2, its length right.
std::string block(std::string_view version_command_family, std::string_view rest) {
  std::string text = kSignature;
  text += version_command_family;
  text += static_cast<char>(rest.size() >> 8);
  text += static_cast<char>(rest.size() & 0xff);
  return text.append(rest);
}

const std::string kIpv4 = "\xcb\x00\x71\x09\x0a\x00\x00\x01\xdc\x04\x01\xbb"s;  // 203.0.113.9:56324
const std::string kIpv6 =
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09"
    "\xfd\x00\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"
    "\xdc\x04\x01\xbb"s;
const std::string kTlvs = "\x03\x00\x04\xde\xad\xbe\xef\x02\x00\x03www"s;  // a checksum, a name

struct DoneCase {
  std::string_view what;
  std::string header;
  std::string source;
};

const DoneCase kDone[] = {
    {"TCP over IPv4", "PROXY TCP4 203.0.113.9 10.0.0.1 56324 443\r\n", "203.0.113.9:56324"},
    {"the longest IPv4 line", "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
     "255.255.255.255:65535"},
    {"the shortest IPv4 line", "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0"},
    {"TCP over IPv6", "PROXY TCP6 2001:db8::9 fd00::1 56324 443\r\n", "[2001:db8::9]:56324"},
    {"the longest IPv6 line",
     "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
    {"unspecified IPv6 addresses", "PROXY TCP6 :: :: 1 2\r\n", "[::]:1"},
    {"capital hex digits and leading zeros", "PROXY TCP6 2001:0DB8::00Ff ::1 1 2\r\n",
     "[2001:db8::ff]:1"},
    {"two colons for one group", "PROXY TCP6 1:2:3:4:5:6:7:: ::2:3:4:5:6:7:8 1 2\r\n",
     "[1:2:3:4:5:6:7:0]:1"},
    {"an IPv4 address within IPv6", "PROXY TCP6 ::ffff:203.0.113.9 ::10.0.0.1 1 2\r\n",
     "[::ffff:203.0.113.9]:1"},
    {"UNKNOWN alone", "PROXY UNKNOWN\r\n", "none"},
    {"UNKNOWN with addresses that do not count", "PROXY UNKNOWN 203.0.113.9 10.0.0.1 56324 443\r\n",
     "none"},
    {"UNKNOWN with anything, a CR and a LF too", "PROXY UNKNOWN \r a\nb \r\r\n", "none"},
    {"UNKNOWN of 107 bytes", "PROXY UNKNOWN " + std::string(91, 'x') + "\r\n", "none"},

    {"a block for TCP over IPv4", block("\x21\x11", kIpv4), "203.0.113.9:56324"},
    {"a block for TCP over IPv6", block("\x21\x21", kIpv6), "[2001:db8::9]:56324"},
    {"TLVs behind IPv4 addresses", block("\x21\x11", kIpv4 + kTlvs), "203.0.113.9:56324"},
    {"TLVs behind IPv6 addresses", block("\x21\x21", kIpv6 + kTlvs), "[2001:db8::9]:56324"},
    {"LOCAL with nothing", block({"\x20\x00", 2}, ""), "none"},
    {"LOCAL with addresses that do not count", block("\x20\x11", kIpv4), "none"},
    {"LOCAL with a block too short for its family", block("\x20\x11", "abc"), "none"},
    {"a family that is unspecified", block({"\x21\x00", 2}, kTlvs), "none"},
    {"UDP over IPv4", block("\x21\x12", kIpv4), "none"},
    {"UDP over IPv6", block("\x21\x22", kIpv6), "none"},
    {"a UNIX stream", block("\x21\x31", std::string(216, 'u')), "none"},
    {"UNIX datagrams", block("\x21\x32", std::string(216, 'u')), "none"},
    {"a family that nobody has defined", block("\x21\x41", "abc"), "none"},
    {"a transport that nobody has defined", block("\x21\x13", "abc"), "none"},
    {"a transport that is unspecified", block("\x21\x10", kIpv4), "none"},
};

TEST(ProxyProtocol, TellsWhoseConnectionItIsHoweverItIsCut) {
  for (const DoneCase& c : kDone) {
    SCOPED_TRACE(c.what);
    const std::string next = "GET / HTTP/1.1\r\n";
    const std::string text = c.header + next;
    for_each_cut(text.size(), [&](const Cut& cut) {
      const Outcome expected{Progress::done, ProxyError::none, c.source, next, c.header.size()};
      ASSERT_EQ(feed(text, cut), expected) << "first piece " << cut.front();
    });
  }
}

TEST(ProxyProtocol, TakesABlockOfTheLongestLengthAndNoneLonger) {
  const std::string tlvs(ProxyParser::kBytesMax - 16 - kIpv4.size(), 't');
  const std::string longest = block("\x21\x11", kIpv4 + tlvs);
  ASSERT_EQ(longest.size(), 4096U);
  const Outcome expected{Progress::done, ProxyError::none, "203.0.113.9:56324", "next", 4096};
  EXPECT_EQ(feed(longest + "next", {4100}), expected);
  EXPECT_EQ(feed(longest + "next", Cut(4100, 1)), expected);
  EXPECT_EQ(feed(longest + "next", {20, 3000, 1080}), expected);
}

TEST(ProxyProtocol, TakesNothingOnceItHasAnswered) {
  ProxyParser parser;
  Bytes bytes = to_bytes("PROXY UNKNOWN\r\n\r\n\r\n");
  std::span<std::byte> in{bytes};
  ASSERT_EQ(parser.feed(in), Progress::done);
  EXPECT_EQ(in.size(), 4U);
  EXPECT_EQ(parser.feed(in), Progress::done);
  EXPECT_EQ(in.size(), 4U);
}

struct RefusedHeaderCase {
  std::string_view what;
  std::string right;  // so far it could be right
  std::string wrong;  // its first byte cannot be
  ProxyError error;
};

const RefusedHeaderCase kRefusedHeaders[] = {
    {"a request that came directly", "", "GET / HTTP/1.1", ProxyError::no_signature},
    {"a TLS hello that came directly", "", "\x16\x03\x01", ProxyError::no_signature},
    {"a method that begins as PROXY does", "P", "OST / HTTP/1.1", ProxyError::no_signature},
    {"PROXY without a blank", "PROXY", "\r\n", ProxyError::no_signature},
    {"another word", "PROXY ", "HTTP", ProxyError::line_malformed},
    {"small letters", "PROXY ", "tcp4", ProxyError::line_malformed},
    {"another TCP", "PROXY TCP", "5 ", ProxyError::line_malformed},
    {"UDP", "PROXY U", "DP4 ", ProxyError::line_malformed},
    {"two blanks", "PROXY TCP4 ", " 1.2.3.4", ProxyError::line_malformed},
    {"a tab", "PROXY TCP4", "\t1.2.3.4", ProxyError::line_malformed},
    {"an octet past 255", "PROXY TCP4 1.2.3.25", "6 ", ProxyError::line_malformed},
    {"an octet of four digits", "PROXY TCP4 1.2.3.255", "5 ", ProxyError::line_malformed},
    {"an octet with a leading zero", "PROXY TCP4 1.2.3.0", "4 ", ProxyError::line_malformed},
    {"an empty octet", "PROXY TCP4 1.", ".3.4 ", ProxyError::line_malformed},
    {"three octets", "PROXY TCP4 1.2.3", " 1.2.3.4", ProxyError::line_malformed},
    {"five octets", "PROXY TCP4 1.2.3.4", ".5", ProxyError::line_malformed},
    {"an IPv6 address under TCP4", "PROXY TCP4 ", "::1", ProxyError::line_malformed},
    {"an IPv4 address under TCP6", "PROXY TCP6 1", ".2.3.4", ProxyError::line_malformed},
    {"a group of five digits", "PROXY TCP6 1234", "5:", ProxyError::line_malformed},
    {"a letter that is no hex digit", "PROXY TCP6 fe", "g0::", ProxyError::line_malformed},
    {"seven groups", "PROXY TCP6 1:2:3:4:5:6:7", " ", ProxyError::line_malformed},
    {"nine groups", "PROXY TCP6 1:2:3:4:5:6:7:8", ":9", ProxyError::line_malformed},
    {"two colons for no group", "PROXY TCP6 1::3:4:5:6:7:8", ":9", ProxyError::line_malformed},
    {"eight groups and two colons", "PROXY TCP6 1:2:3:4:5:6:7::", "8 ", ProxyError::line_malformed},
    {"two colons twice", "PROXY TCP6 1::2:", ":3", ProxyError::line_malformed},
    {"three colons", "PROXY TCP6 ::", ":1", ProxyError::line_malformed},
    {"one colon in front", "PROXY TCP6 :", "1::", ProxyError::line_malformed},
    {"one colon at the end", "PROXY TCP6 1::2:", " ", ProxyError::line_malformed},
    {"a zone", "PROXY TCP6 fe80::1", "%eth0", ProxyError::line_malformed},
    {"a dotted end where no proxy writes one", "PROXY TCP6 64:ff9b::1", ".2.3.4",
     ProxyError::line_malformed},
    {"a dotted end that does not end", "PROXY TCP6 ::ffff:1.2.3", " ", ProxyError::line_malformed},
    {"no second address", "PROXY TCP4 1.2.3.4 ", "\r\n", ProxyError::line_malformed},
    {"a wrong second address", "PROXY TCP4 1.2.3.4 1.2.3", "\r\n", ProxyError::line_malformed},
    {"a port past 65535", "PROXY TCP4 1.2.3.4 1.2.3.4 6553", "6 1", ProxyError::line_malformed},
    {"a port with a leading zero", "PROXY TCP4 1.2.3.4 1.2.3.4 0", "1 1",
     ProxyError::line_malformed},
    {"a port with a sign", "PROXY TCP4 1.2.3.4 1.2.3.4 ", "+1 1", ProxyError::line_malformed},
    {"no port", "PROXY TCP4 1.2.3.4 1.2.3.4 ", " 1", ProxyError::line_malformed},
    {"one port", "PROXY TCP4 1.2.3.4 1.2.3.4 1", "\r\n", ProxyError::line_malformed},
    {"a wrong second port", "PROXY TCP4 1.2.3.4 1.2.3.4 1 6553", "6\r\n",
     ProxyError::line_malformed},
    {"a blank at the end", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2", " \r\n", ProxyError::line_malformed},
    {"a LF alone", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2", "\n", ProxyError::line_malformed},
    {"a CR alone", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r", "G", ProxyError::line_malformed},
    {"UNKNOWN with more letters", "PROXY UNKNOWN", "S\r\n", ProxyError::line_malformed},
    {"UNKNOWN and a CR alone", "PROXY UNKNOWN\r", "\r\n", ProxyError::line_malformed},
    {"UNKNOWN whose CR comes too late", "PROXY UNKNOWN " + std::string(91, 'x'), "x\r\n",
     ProxyError::line_too_long},
    {"UNKNOWN whose LF comes too late", "PROXY UNKNOWN " + std::string(91, 'x') + "\r", "\r\n",
     ProxyError::line_too_long},

    {"a signature that breaks off", "\r\n\r\n", "\r\n", ProxyError::no_signature},
    {"a signature but for its last byte", kSignature.substr(0, 11), "\r", ProxyError::no_signature},
    {"version 1 in a block", kSignature, "\x11\x11", ProxyError::version_unknown},
    {"version 3", kSignature, "\x31\x11", ProxyError::version_unknown},
    {"a command of 2", kSignature, "\x22\x11", ProxyError::command_unknown},
    {"a command of 15", kSignature, "\x2f\x11", ProxyError::command_unknown},
    {"4,097 bytes in all", kSignature + "\x21\x11\x0f", "\xf1", ProxyError::too_long},
    {"more than 4,096 bytes, seen in the length's first byte", kSignature + "\x21\x11", "\x10",
     ProxyError::too_long},
    {"the longest length there is", kSignature + "\x20\x11", "\xff\xff", ProxyError::too_long},
    {"11 bytes for IPv4 addresses", kSignature + "\x21\x11\0"s, "\x0b",
     ProxyError::addresses_too_short},
    {"35 bytes for IPv6 addresses", kSignature + "\x21\x21\0"s, "\x23",
     ProxyError::addresses_too_short},
    {"11 bytes for UDP's", kSignature + "\x21\x12\0"s, "\x0b", ProxyError::addresses_too_short},
    {"35 bytes for UDP's over IPv6", kSignature + "\x21\x22\0"s, "\x23",
     ProxyError::addresses_too_short},
    {"215 bytes for paths", kSignature + "\x21\x31\0"s, "\xd7", ProxyError::addresses_too_short},
    {"no bytes for paths of datagrams", kSignature + "\x21\x32\0"s, "\0"s,
     ProxyError::addresses_too_short},
};

TEST(ProxyProtocol, RefusesEachCaseAtItsFirstWrongByte) {
  for (const RefusedHeaderCase& c : kRefusedHeaders) {
    SCOPED_TRACE(c.what);
    if (!c.right.empty()) {
      EXPECT_EQ(feed(c.right, {c.right.size()}).progress, Progress::need_more);
    }
    const std::string refused = c.right + c.wrong.substr(0, 1);
    EXPECT_EQ(feed(refused, Cut(refused.size(), 1)).progress, Progress::refused);

    const std::string text = c.right + c.wrong;
    for_each_cut(text.size(), [&](const Cut& cut) {
      const Outcome outcome = feed(text, cut);
      ASSERT_EQ(outcome.progress, Progress::refused) << "first piece " << cut.front();
      ASSERT_EQ(outcome.error, c.error) << to_string(outcome.error);
      ASSERT_EQ(outcome.source, "none");
    });
  }
}

/// What the address reader makes of `text` in a line.
Outcome line_with(std::string_view text) {
  const std::string line = "PROXY TCP6 " + std::string{text} + " :: 1 2\r\n";
  return feed(line, {line.size()});
}

TEST(ProxyProtocol, ReadsIpv6AsTheLibraryDoes) {
  std::mt19937 random{7};
  constexpr std::string_view kPieces[] = {":", ":", ":", "::", "0", "1", "fF", "abcd", "00012"};
  int right = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string text;
    for (std::size_t pieces = 1 + random() % 17; pieces > 0; --pieces) {
      // Mostly as addresses go: digits and colons in turn.
      text += pieces % 2 == 0 && random() % 12 != 0 ? ":" : kPieces[random() % std::size(kPieces)];
    }
    in6_addr address{};
    const bool expected = inet_pton(AF_INET6, text.c_str(), &address) == 1;
    const Outcome outcome = line_with(text);
    ASSERT_EQ(outcome.progress == Progress::done, expected) << text;
    right += expected ? 1 : 0;
  }
  EXPECT_GT(right, 1'000);
}

TEST(ProxyProtocol, ReadsEveryIpv6AddressThatTheLibraryWrites) {
  std::mt19937 random{7};
  for (int i = 0; i < 20'000; ++i) {
    std::array<std::uint16_t, 8> groups{};  // about half of them zero
    for (auto& group : groups) group = random() % 2 == 0 ? 0 : static_cast<std::uint16_t>(random());
    in6_addr address{};
    std::memcpy(&address, groups.data(), sizeof address);
    std::array<char, INET6_ADDRSTRLEN> text{};
    inet_ntop(AF_INET6, &address, text.data(), text.size());
    ASSERT_EQ(line_with(text.data()).source, "[" + std::string{text.data()} + "]:1");
  }
}

TEST(ProxyProtocol, NamesEachError) {
  EXPECT_EQ(to_string(ProxyError::no_signature), "no PROXY protocol header");
  EXPECT_EQ(to_string(ProxyError::too_long), "PROXY header of more than 4096 bytes");
}

}  // namespace
}  // namespace weir::wire
