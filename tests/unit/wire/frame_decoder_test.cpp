// What the decoder takes: every case in both roles, and in every cut.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "decoding.h"
#include "weir/wire/frame.h"

namespace weir::wire {
namespace {

using namespace std::string_literals;
using Events = std::vector<std::string>;

constexpr unsigned kText = 0x81, kBinary = 0x82, kClose = 0x88, kPing = 0x89, kPong = 0x8a;
constexpr unsigned kTextBegin = 0x01, kBinaryBegin = 0x02, kMiddle = 0x00, kEnd = 0x80;

struct TakenFrameCase {
  std::string what;
  std::vector<RawFrame> frames;
  Events expected;
};

const TakenFrameCase kTaken[] = {
    {"a text message", {{kText, "Hello"}}, {"text[Hello]"}},
    {"a binary message of any bytes", {{kBinary, "\xff\0\x80"s}}, {"binary[\xff\0\x80]"s}},
    {"an empty text message", {{kText, ""}}, {"text[]"}},
    {"an empty binary message", {{kBinary, ""}}, {"binary[]"}},
    {"two messages", {{kText, "one"}, {kBinary, "two"}}, {"text[one]", "binary[two]"}},
    {"two fragments", {{kTextBegin, "Hel"}, {kEnd, "lo"}}, {"text[Hello]"}},
    {"three binary fragments", {{kBinaryBegin, "a"}, {kMiddle, "b"}, {kEnd, "c"}}, {"binary[abc]"}},
    {"empty fragments around one", {{kTextBegin, ""}, {kMiddle, "x"}, {kEnd, ""}}, {"text[x]"}},
    {"fragments that are all empty",
     {{kTextBegin, ""}, {kMiddle, ""}, {kMiddle, ""}, {kEnd, ""}},
     {"text[]"}},
    {"a fragmented message and a whole one",
     {{kTextBegin, "a"}, {kEnd, "b"}, {kText, "c"}},
     {"text[ab]", "text[c]"}},
    {"a ping", {{kPing, "Hello"}}, {"ping(Hello)"}},
    {"an empty ping", {{kPing, ""}}, {"ping()"}},
    {"a pong nobody asked for", {{kPong, "Hello"}}, {"pong(Hello)"}},
    {"a ping of 125 bytes",
     {{kPing, std::string(125, 'p')}},
     {"ping(" + std::string(125, 'p') + ")"}},
    {"two pings in a row", {{kPing, "one"}, {kPing, "two"}}, {"ping(one)", "ping(two)"}},
    {"a ping between fragments",
     {{kTextBegin, "Hel"}, {kPing, "x"}, {kEnd, "lo"}},
     {"text[Hel", "ping(x)", "lo]"}},
    {"a pong before an empty last fragment",
     {{kTextBegin, "Hel"}, {kPong, ""}, {kEnd, ""}},
     {"text[Hel", "pong()", "]"}},
    {"a ping inside a sequence of bytes that makes one character",
     {{kTextBegin, "\xf0\x9f"}, {kPing, "\xff"}, {kEnd, "\x8c\x8a"}},
     {"text[\xf0\x9f", "ping(\xff)", "\x8c\x8a]"}},
    {"a character over four fragments",
     {{kTextBegin, "\xf0"}, {kMiddle, "\x9f"}, {kMiddle, "\x8c"}, {kEnd, "\x8a"}},
     {"text[\xf0\x9f\x8c\x8a]"}},
    {"a close without a payload", {{kClose, ""}}, {"close(1005)"}},
    {"a close with a code", {{kClose, "\x03\xe8"}}, {"close(1000)"}},
    {"a close with a reason", {{kClose, "\x0f\xa1 bye \xc3\xa9"}}, {"close(4001  bye \xc3\xa9)"}},
    {"a close with a reason as long as it may be",
     {{kClose, "\x03\xe9" + std::string(123, 'r')}},
     {"close(1001 " + std::string(123, 'r') + ")"}},
    {"a close inside a message",
     {{kTextBegin, "Hel"}, {kClose, "\x03\xe8"}},
     {"text[Hel", "close(1000)"}},
    {"nothing after a close",
     {{kClose, ""}, {kText, "late"}, {kPing, ""}, {0xff, "rubbish"}},
     {"close(1005)"}},
};

TEST(FrameDecoder, TakesEachCaseInBothRolesHoweverItIsCut) {
  for (const TakenFrameCase& c : kTaken) {
    for (const Role role : {Role::server, Role::client}) {
      SCOPED_TRACE(c.what + (role == Role::server ? ", as a server" : ", as a client"));
      const std::string wire = wire_form(role, c.frames);
      for_each_cut(wire.size(), [&](const Cut& cut) {
        FrameDecoder decoder{role, kNoLimit};
        Listener listener{decoder};
        listener.feed(wire, cut);
        ASSERT_EQ(listener.events(), c.expected) << "first piece: " << cut.front();
        EXPECT_EQ(decoder.finished(),
                  c.frames.front().first == kClose || c.frames.back().first == kClose);
      });
    }
  }
}

struct RfcExample {
  std::string what;
  Role role;
  std::string wire;
  Events expected;
};

const RfcExample kRfcExamples[] = {
    // RFC 6455, section 5.7
    {"unmasked text", Role::client, "\x81\x05\x48\x65\x6c\x6c\x6f", {"text[Hello]"}},
    {"masked text", Role::server, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", {"text[Hello]"}},
    {"fragmented text", Role::client, "\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f", {"text[Hello]"}},
    {"unmasked ping", Role::client, "\x89\x05\x48\x65\x6c\x6c\x6f", {"ping(Hello)"}},
    {"masked pong", Role::server, "\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", {"pong(Hello)"}},
    {"256 bytes",
     Role::client,
     "\x82\x7e\x01\x00"s + std::string(256, 'b'),
     {"binary[" + std::string(256, 'b') + "]"}},
    {"65536 bytes",
     Role::client,
     "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"s + std::string(65'536, 'b'),
     {"binary[" + std::string(65'536, 'b') + "]"}},
};

TEST(FrameDecoder, TakesTheExamplesOfTheRfc) {
  for (const RfcExample& example : kRfcExamples) {
    FrameDecoder decoder{example.role, kNoLimit};
    Listener listener{decoder};
    listener.feed(example.wire, {example.wire.size()});
    EXPECT_EQ(listener.events(), example.expected) << example.what;
  }
}

TEST(FrameDecoder, TakesLengthsOnBothSidesOfEachSpelling) {
  for (const std::size_t size : {0U, 1U, 125U, 126U, 127U, 255U, 256U, 65'535U, 65'536U, 70'000U}) {
    for (const Role role : {Role::server, Role::client}) {
      std::string payload(size, '\0');
      for (std::size_t i = 0; i < size; ++i) payload[i] = static_cast<char>(i * 7);
      const std::string wire = wire_form(role, {kBinary, payload});
      // Cuts in and around the header, and near the end: the ones in between are all alike.
      for (std::size_t at = 1; at < wire.size();
           at = at == 20 ? std::max(at + 1, wire.size() - 5) : at + 1) {
        FrameDecoder decoder{role, kNoLimit};
        Listener listener{decoder};
        listener.feed(wire, {at, wire.size() - at});
        ASSERT_EQ(listener.events(), Events{"binary[" + payload + "]"}) << size << " cut at " << at;
      }
    }
  }
}

TEST(FrameDecoder, ReportsAMessageThatLiesWholeAsOneEventInTheCallersBuffer) {
  Bytes wire = to_bytes(wire_form(Role::server, {kText, "Hello"}));
  FrameDecoder decoder{Role::server, kNoLimit};
  std::span<std::byte> in{wire};
  const Event event = decoder.next(in);
  EXPECT_EQ(event.kind, Event::Kind::data);
  EXPECT_TRUE(event.first && event.last);
  EXPECT_EQ(event.bytes.data(), wire.data() + 6) << "after the header: nothing is copied";
  EXPECT_EQ(event.bytes.size(), 5U);
  EXPECT_TRUE(in.empty());
}

TEST(FrameDecoder, HandsOnPayloadAsItArrives) {
  const std::string wire = wire_form(Role::server, {kText, "Hello"});
  FrameDecoder decoder{Role::server, kNoLimit};
  Listener listener{decoder};
  listener.feed(wire.substr(0, 6), {6});
  EXPECT_EQ(listener.events(), Events{}) << "a header alone says nothing";
  EXPECT_TRUE(decoder.inside_message());
  listener.feed(wire.substr(6, 2), {2});
  EXPECT_EQ(listener.events(), Events{"text[He"});
  listener.feed(wire.substr(8), {3});
  EXPECT_EQ(listener.events(), Events{"text[Hello]"});
  EXPECT_FALSE(decoder.inside_message());
}

TEST(FrameDecoder, TakesAWholeMessageByItself) {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{5}, std::size_t{125}, std::size_t{126}, std::size_t{65'535}}) {
    const std::string payload(size, 'x');
    Bytes wire = to_bytes(wire_form(kServer, {{kText, payload}, {kBinary, "\xff"}}));
    FrameDecoder decoder{kServer, size};
    std::byte* const end = wire.data() + wire.size();
    const WholeMessage text = decoder.next_whole(wire.data(), end);
    ASSERT_NE(text.begin, nullptr) << size;
    EXPECT_EQ(text.opcode, Opcode::text);
    EXPECT_EQ(to_text({text.begin, text.size}), payload);
    if (size == 0) continue;  // the limit
    const WholeMessage binary = decoder.next_whole(text.begin + text.size, end);
    ASSERT_NE(binary.begin, nullptr) << size;
    EXPECT_EQ(binary.opcode, Opcode::binary);
    EXPECT_EQ(to_text({binary.begin, binary.size}), "\xff");
    EXPECT_EQ(binary.begin + binary.size, end);
  }
}

/// Whatever is not one is left to next(), as it came: which then says what it would have said.
TEST(FrameDecoder, LeavesAllButAWholeMessageAsItIs) {
  struct Case {
    const char* what;
    Role role;
    std::string before;  // next() has taken this
    std::string wire;
    Event::Kind next;
  };
  const std::string text = wire_form(kServer, {kText, "Hello"});
  const Case cases[] = {
      {"nothing", kServer, "", "", Event::Kind::need_more},
      {"a part of a header", kServer, "", text.substr(0, 5), Event::Kind::need_more},
      {"all but the last byte", kServer, "", text.substr(0, 10), Event::Kind::data},
      {"the rest of a header", kServer, text.substr(0, 1), text.substr(1), Event::Kind::data},
      {"the rest of a payload", kServer, text.substr(0, 8), text.substr(8), Event::Kind::data},
      {"a first fragment", kServer, "", wire_form(kServer, {kTextBegin, "Hello"}),
       Event::Kind::data},
      {"a new message within one", kServer, wire_form(kServer, {kTextBegin, "Hel"}), text,
       Event::Kind::error},
      {"a ping", kServer, "", wire_form(kServer, {kPing, "Hello"}), Event::Kind::ping},
      {"a close", kServer, "", wire_form(kServer, {kClose, ""}), Event::Kind::close},
      {"a reserved bit", kServer, "", wire_form(kServer, {0xc1, "Hello"}), Event::Kind::error},
      {"no mask", kServer, "", wire_form(kClient, {kText, "Hello"}), Event::Kind::error},
      {"a server's", kClient, "", wire_form(kClient, {kText, "Hello"}), Event::Kind::data},
      {"a message over the limit", kServer, "", wire_form(kServer, {kText, "Hello!"}),
       Event::Kind::error},
      {"no UTF-8", kServer, "", wire_form(kServer, {kText, "\xc3("}), Event::Kind::error},
      {"a length spelt in too many bytes", kServer, "", "\x81\xfe\0\x01\0\0\0\0x"s,
       Event::Kind::error},
      {"a length of eight bytes", kServer, "", "\x81\xff\0\0\0\0\0\x01\0\0\0\0\0\0"s,
       Event::Kind::error},
      {"what follows a close", kServer, wire_form(kServer, {kClose, ""}), text,
       Event::Kind::need_more},
  };
  for (const Case& c : cases) {
    FrameDecoder decoder{c.role, 5};
    Bytes before = to_bytes(c.before);
    std::span<std::byte> in{before};
    while (!in.empty()) (void)decoder.next(in);
    Bytes wire = to_bytes(c.wire);
    EXPECT_EQ(decoder.next_whole(wire.data(), wire.data() + wire.size()).begin, nullptr) << c.what;
    EXPECT_EQ(to_text(wire), c.wire) << c.what;
    in = wire;
    EXPECT_EQ(decoder.next(in).kind, c.next) << c.what;
  }
}

TEST(FrameDecoder, KeepsAControlPayloadThatCameInPiecesUntilTheNextCall) {
  const std::string wire = wire_form(Role::server, {{kPing, "Hello"}, {kPing, "x"}});
  FrameDecoder decoder{Role::server, kNoLimit};
  Bytes one = to_bytes(wire.substr(0, 8));
  std::span<std::byte> in{one};
  ASSERT_EQ(decoder.next(in).kind, Event::Kind::need_more);
  Bytes two = to_bytes(wire.substr(8));
  in = two;
  const Event ping = decoder.next(in);
  ASSERT_EQ(ping.kind, Event::Kind::ping);
  one.assign(one.size(), std::byte{0});  // the pieces may go: the event does not point there
  EXPECT_EQ(to_text(ping.bytes), "Hello");

  const Event whole = decoder.next(in);
  ASSERT_EQ(whole.kind, Event::Kind::ping);
  EXPECT_EQ(to_text(whole.bytes), "x");
  EXPECT_EQ(whole.bytes.data(), &two.back()) << "where it lies: the gathered payload is gone";
}

TEST(FrameDecoder, CanBeMovedInTheMiddleOfAnything) {
  const std::string wire = wire_form(
      Role::server, {{kTextBegin, "Hel"}, {kPing, "ping"}, {kEnd, "lo"}, {kClose, "\x03\xe8 bye"}});
  for (std::size_t at = 1; at < wire.size(); ++at) {
    FrameDecoder before{Role::server, kNoLimit};
    Listener first{before};
    first.feed(wire.substr(0, at), {at});
    FrameDecoder after = std::move(before);
    Bytes rest = to_bytes(wire.substr(at));
    std::span<std::byte> in{rest};
    Event last;
    for (Event event = after.next(in); event.kind != Event::Kind::need_more;
         event = after.next(in)) {
      last = event;
    }
    ASSERT_EQ(last.kind, Event::Kind::close) << at;
    EXPECT_EQ(last.code, CloseCode::normal);
  }
}

TEST(FrameDecoder, DropsEverythingOnceFinished) {
  FrameDecoder decoder{Role::server, kNoLimit};
  Bytes close = to_bytes(wire_form(Role::server, {kClose, ""}));
  std::span<std::byte> in{close};
  ASSERT_EQ(decoder.next(in).kind, Event::Kind::close);
  ASSERT_TRUE(decoder.finished());
  for (int i = 0; i < 3; ++i) {
    Bytes more = to_bytes(wire_form(Role::server, {kText, "late"}));
    in = more;
    EXPECT_EQ(decoder.next(in).kind, Event::Kind::need_more);
    EXPECT_TRUE(in.empty());
  }
}

TEST(FrameDecoder, AnEmptyFeedChangesNothing) {
  FrameDecoder decoder{Role::server, kNoLimit};
  const std::string wire = wire_form(Role::server, {{kTextBegin, "a"}, {kPing, "b"}, {kEnd, "c"}});
  Listener listener{decoder};
  for (std::size_t i = 0; i < wire.size(); ++i) listener.feed(wire.substr(i, 1), {0, 1, 0});
  EXPECT_EQ(listener.events(), (Events{"text[a", "ping(b)", "c]"}));
}

}  // namespace
}  // namespace weir::wire
