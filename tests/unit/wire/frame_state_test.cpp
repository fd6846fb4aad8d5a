// A decoder that moves: what it says does not show where, and no state is taken that no bytes
// lead to.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "decoding.h"
#include "weir/wire/frame.h"

namespace weir::wire {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;
using Events = std::vector<std::string>;
using Stage = FrameDecoder::Stage;
using State = FrameDecoder::State;

/// `decoder` as it is once it has moved. Where it stands is the same, and so is how it is written.
FrameDecoder moved(const FrameDecoder& decoder, Role role, std::uint64_t bytes_max) {
  const State state = decoder.save();
  std::optional<FrameDecoder> restored = FrameDecoder::restore(state, role, bytes_max);
  EXPECT_TRUE(restored.has_value());
  if (!restored) return FrameDecoder{role, bytes_max};
  EXPECT_EQ(restored->save(), state);
  EXPECT_EQ(restored->finished(), decoder.finished());
  EXPECT_TRUE(decoder.finished() || restored->inside_message() == decoder.inside_message());
  return std::move(*restored);
}

struct Stream {
  std::string_view what;
  Role role;
  bool deflate;
  std::uint64_t bytes_max;
  std::string wire;
};

// Client frames are masked with kTestKey by wire_form(), others written out.
const Stream kStreams[] = {
    {"text, binary and empty messages", kServer, false, kNoLimit,
     wire_form(kServer, {{0x81, "Hello"}, {0x82, "\xff\x80"}, {0x81, ""}, {0x82, ""}})},
    {"fragments with control frames between", kServer, false, kNoLimit,
     wire_form(kServer,
               {{0x01, "Hel"}, {0x89, "ping"}, {0x00, "lo "}, {0x8a, "pong"}, {0x80, "w"}})},
    {"the same without masks", kClient, false, kNoLimit,
     wire_form(kClient,
               {{0x01, "Hel"}, {0x89, "ping"}, {0x00, "lo "}, {0x8a, "pong"}, {0x80, "w"}})},
    {"fragments that are empty", kServer, false, kNoLimit,
     wire_form(kServer, {{0x01, ""}, {0x89, ""}, {0x00, ""}, {0x00, "x"}, {0x80, ""}})},
    {"characters of two, three and four bytes, cut by frames", kServer, false, kNoLimit,
     wire_form(kServer, {{0x01, "\xc3"},
                         {0x00, "\xa9\xe0"},
                         {0x00, "\xa4"},
                         {0x89, "\xff"},
                         {0x00, "\x85\xf0\x9f"},
                         {0x00, "\x8c"},
                         {0x80, "\x8a\xed\x9f\xbf"}})},
    {"lengths of 16 and 64 bits", kServer, false, kNoLimit,
     wire_form(kServer, {{0x82, std::string(126, 'a')}, {0x82, std::string(300, 'b')}}) +
         "\x82\xff\0\0\0\0\0\1\0\0\1\2\3\4truncated"s},
    {"compressed messages and plain ones", kServer, true, kNoLimit,
     wire_form(kServer, {{0xc1, "\xf2\x48\xcd\xff"},
                         {0x81, "plain"},
                         {0x42, "\xff"},
                         {0x89, "p"},
                         {0x80, "\xfe"},
                         {0x01, "pla"},
                         {0x80, "in"}})},
    {"a ping of 125 bytes, then a close with a reason", kServer, false, kNoLimit,
     wire_form(kServer, {{0x89, std::string(125, 'p')}, {0x88, "\x0f\xa1 bye"}, {0x81, "late"}})},
    {"a close without a payload inside a message", kClient, false, kNoLimit,
     wire_form(kClient, {{0x01, "x"}, {0x88, ""}})},
    {"a message at its limit, and one past it", kServer, false, 5,
     wire_form(kServer, {{0x02, "Hel"}, {0x80, "lo"}, {0x02, "Hel"}, {0x80, "lo!"}})},
    {"a compressed message past its limit", kServer, true, 1,
     wire_form(kServer, {{0x42, std::string(1'000, 'z')}, {0x80, std::string(26, 'z')}})},
    {"bad UTF-8 in the second frame", kServer, false, kNoLimit,
     wire_form(kServer, {{0x01, "ab\xe0"}, {0x80, "\x9f\x80"}})},
    {"a text that ends inside a character", kClient, false, kNoLimit,
     wire_form(kClient, {{0x01, "ab\xf4\x8f"}, {0x80, ""}})},
    {"a continuation of nothing", kServer, false, kNoLimit, wire_form(kServer, {{0x80, "x"}})},
    {"a message inside a message", kServer, false, kNoLimit,
     wire_form(kServer, {{0x01, "x"}, {0x89, "p"}, {0x82, "y"}})},
    {"RSV1 on a continuation", kServer, true, kNoLimit,
     wire_form(kServer, {{0x41, "x"}, {0xc0, "y"}})},
    {"RSV1 without an agreement", kServer, false, kNoLimit,
     wire_form(kServer, {{0x81, "x"}, {0xc1, "y"}})},
    {"a frame without a mask", kServer, false, kNoLimit,
     wire_form(kServer, {{0x81, "x"}}) + "\x81\x05Hello"},
    {"a reserved opcode, header in pieces", kClient, false, kNoLimit, "\x01\x01x\x83\x00"s},
    {"a length in more bytes than it needs", kClient, false, kNoLimit,
     "\x81\x01x\x82\x7e\x00\x05"s},
    {"half a close code", kServer, false, kNoLimit, wire_form(kServer, {{0x88, "\x03"}})},
    {"a close code that may not be sent", kServer, false, kNoLimit,
     wire_form(kServer, {{0x88, "\x03\xed why"}})},
};

/// What is said of `stream`: in one piece, or cut after each of `cuts` with a move there.
Events said(const Stream& stream, const Cut& cuts, bool moves) {
  FrameDecoder decoder{stream.role, stream.bytes_max, stream.deflate};
  Listener listener{decoder};
  std::string_view rest = stream.wire;
  for (const std::size_t size : cuts) {
    listener.feed(rest.substr(0, size), {size});
    rest.remove_prefix(size);
    if (moves) decoder = moved(decoder, stream.role, stream.bytes_max);
  }
  Events events = listener.events();
  if (listener.error() != FrameError::none) events.emplace_back(to_string(listener.error()));
  return events;
}

TEST(FrameState, MovesWithinAnyStreamUnseen) {
  for (const Stream& stream : kStreams) {
    SCOPED_TRACE(stream.what);
    // Cut alike both times: how much of a bad text is delivered ahead of its error depends on that.
    for_each_cut(stream.wire.size(), [&](const Cut& cut) {
      ASSERT_EQ(said(stream, cut, true), said(stream, cut, false)) << "first piece " << cut.front();
    });
  }
}

TEST(FrameState, IsTakenBetweenTheEventsOfOnePieceToo) {
  const Stream stream{"", kServer, true, kNoLimit,
                      wire_form(kServer, {{0x01, "He"},
                                          {0x89, std::string(9, 'p')},
                                          {0x80, "llo"},
                                          {0xc2, "z"},
                                          {0x88, "\x03\xe8"}})};
  for (std::size_t at = 0; at < stream.wire.size(); ++at) {
    FrameDecoder decoder{stream.role, stream.bytes_max, stream.deflate};
    std::string all;  // the bytes of each event, those of a control frame in brackets
    for (Bytes piece : {to_bytes(stream.wire.substr(0, at)), to_bytes(stream.wire.substr(at))}) {
      std::span<std::byte> in{piece};
      for (Event event = decoder.next(in); event.kind != Event::Kind::need_more;
           event = decoder.next(in)) {
        const bool is_data = event.kind == Event::Kind::data;
        all += is_data ? to_text(event.bytes) : "(" + to_text(event.bytes) + ")";
        decoder = moved(decoder, stream.role, stream.bytes_max);  // what was lent ends here
      }
    }
    ASSERT_EQ(all, "He(ppppppppp)lloz()") << at;
  }
}

State after(Role role, bool deflate, std::string_view wire) {
  FrameDecoder decoder{role, kNoLimit, deflate};
  Listener listener{decoder};
  listener.feed(wire, {wire.size()});
  return decoder.save();
}

TEST(FrameState, OfAnIdleDecoderIsNothingWhateverWentBefore) {
  EXPECT_EQ(FrameDecoder(kServer, 5).save(), State{});
  EXPECT_EQ(
      after(kServer, false,
            wire_form(kServer, {{0x01, "H\xc3"}, {0x89, "ping"}, {0x80, "\xa9"}, {0x8a, "x"}})),
      State{});
  State agreed;
  agreed.deflate = true;
  EXPECT_EQ(after(kServer, true, wire_form(kServer, {{0xc2, "abc"}, {0x82, "def"}})), agreed);
}

TEST(FrameState, SaysWhereTheDecoderStands) {
  State state =
      after(kServer, false, wire_form(kServer, {{0x01, "abc"}, {0x80, "d\xe0zz"}}).substr(0, 17));
  EXPECT_EQ(state.stage, Stage::payload);
  EXPECT_EQ(state.message_opcode, Opcode::text);
  EXPECT_EQ(state.message_bytes, 7U);
  EXPECT_EQ(state.frame_bytes_left, 2U);
  EXPECT_EQ(state.bytes_delivered(), 5U);
  EXPECT_EQ(state.key, kTestKey);
  EXPECT_EQ(state.key_phase, 2U);
  EXPECT_TRUE(state.frame_fin);
  EXPECT_EQ(state.text, (Utf8Validator::State{2, 0xa0, 0xbf}));
  EXPECT_EQ(state.piece_bytes, 0U);

  state = after(kClient, false, "\x89\x05pi"sv);
  EXPECT_EQ(state.stage, Stage::control);
  EXPECT_EQ(state.control_opcode, Opcode::ping);
  EXPECT_EQ(state.frame_bytes_left, 3U);
  EXPECT_EQ(state.piece_bytes, 2U);
  EXPECT_EQ(to_text(std::span{state.piece}.first(2)), "pi");
}

TEST(FrameState, MovesToADecoderOfAnotherLimit) {
  const State state = after(kServer, false, wire_form(kServer, {{0x02, "Hello"}}));
  EXPECT_FALSE(FrameDecoder::restore(state, kServer, 4).has_value());
  std::optional<FrameDecoder> decoder = FrameDecoder::restore(state, kServer, 7);
  ASSERT_TRUE(decoder.has_value());
  Listener listener{*decoder};
  Bytes more = to_bytes(wire_form(kServer, {{0x80, "123"}}));
  std::span<std::byte> in{more};
  EXPECT_EQ(decoder->next(in).error, FrameError::message_too_big) << "5 of the 7 are used";
}

struct Impossible {
  std::string_view what;
  State from;
  void (*change)(State&);
  Role role = kServer;
};

const State kInHeader = after(kServer, false, "\x81\xfe\x01"sv);
const State kBetween = after(kServer, true, wire_form(kServer, {{0x01, "abc"}}));
const State kInPayload =
    after(kServer, true, wire_form(kServer, {{0x01, "abc"}, {0x80, "defghi"}}).substr(0, 17));
const State kInControl =
    after(kServer, true, wire_form(kServer, {{0x01, "abc"}, {0x89, "defghi"}}).substr(0, 17));
const State kInAClient = after(kClient, false, "\x81\x05He"sv);

const Impossible kImpossible[] = {
    {"an unknown stage", {}, [](State& s) { s.stage = Stage{5}; }},
    {"the stage in which an event's bytes are lent", {}, [](State& s) { s.stage = Stage::lent; }},
    {"an unknown message opcode", kBetween, [](State& s) { s.message_opcode = Opcode{3}; }},
    {"a message of pings", kBetween, [](State& s) { s.message_opcode = Opcode::ping; }},
    {"a compressed message where that was not agreed", after(kServer, true, "\xc1\xfe"sv),
     [](State& s) {
       s.deflate = false;
       s.message_opcode = Opcode::binary;
       s.message_compressed = true;
     }},
    {"no message that is compressed", kInHeader,
     [](State& s) { s.deflate = s.message_compressed = true; }},
    {"no message that has bytes", kInHeader, [](State& s) { s.message_bytes = 1; }},
    {"no message that is inside a character", kInHeader,
     [](State& s) {
       s.text = {1, 0x80, 0xbf};
     }},
    {"a binary message inside a character", kBetween,
     [](State& s) {
       s.message_opcode = Opcode::binary;
       s.text = {1, 0x80, 0xbf};
     }},
    {"a compressed message inside a character", kBetween,
     [](State& s) {
       s.message_compressed = true;
       s.text = {1, 0x80, 0xbf};
     }},
    {"a character without a byte", kBetween,
     [](State& s) {
       s.message_bytes = 0;
       s.text = {1, 0x80, 0xbf};
     }},
    {"a text that has failed and goes on", kBetween,
     [](State& s) {
       s.text = {0xff, 0, 0};
     }},
    {"a sequence of five bytes", kBetween,
     [](State& s) {
       s.text = {4, 0x80, 0xbf};
     }},
    {"bounds that are no first byte's", kBetween,
     [](State& s) {
       s.text = {2, 0x81, 0xbf};
     }},
    {"bounds of another first byte", kBetween,
     [](State& s) {
       s.text = {3, 0xa0, 0xbf};
     }},
    {"bounds that begin with a first byte", kBetween,
     [](State& s) {
       s.text = {1, 0x80, 0xff};
     }},
    {"bounds with nothing pending", kBetween,
     [](State& s) {
       s.text = {0, 0x80, 0xbf};
     }},
    {"more header than its second byte says", kInHeader, [](State& s) { s.piece_bytes = 8; }},
    {"more header than there can be", kInHeader, [](State& s) { s.piece_bytes = 14; }},
    {"a header that is whole",
     {},
     [](State& s) {
       s.piece_bytes = 2;
       s.piece[1] = std::byte{0x05};
     }},
    {"header bytes behind those that came", kInHeader, [](State& s) { s.piece[3] = std::byte{1}; }},
    {"a key between frames", kBetween, [](State& s) { s.key = kTestKey; }},
    {"a phase between frames", kBetween, [](State& s) { s.key_phase = 1; }},
    {"payload left between frames", kBetween, [](State& s) { s.frame_bytes_left = 1; }},
    {"a last frame between frames", kBetween, [](State& s) { s.frame_fin = true; }},
    {"a control opcode between frames", kBetween,
     [](State& s) { s.control_opcode = Opcode::ping; }},
    {"payload of no message", kInPayload,
     [](State& s) { s.message_opcode = Opcode::continuation; }},
    {"a frame with nothing left", kInPayload, [](State& s) { s.frame_bytes_left = 0; }},
    {"a frame with more left than the message", kInPayload,
     [](State& s) { s.frame_bytes_left = s.message_bytes + 1; }},
    {"a frame of 2^63 bytes", kInPayload,
     [](State& s) {
       s.message_bytes = UINT64_MAX;
       s.frame_bytes_left = std::uint64_t{1} << 63;
     }},
    {"a phase of 4", kInPayload, [](State& s) { s.key_phase = 4; }},
    {"a phase further on than the message", kInPayload,
     [](State& s) {
       s.frame_bytes_left = s.message_bytes - 1;
       s.key_phase = 2;
     }},
    {"a phase in a client", kInAClient, [](State& s) { s.key_phase = 2; }, kClient},
    {"a key in a client", kInAClient, [](State& s) { s.key = kTestKey; }, kClient},
    {"gathered bytes of a data frame", kInPayload, [](State& s) { s.piece_bytes = 1; }},
    {"a control frame that is none", kInControl, [](State& s) { s.control_opcode = Opcode::text; }},
    {"a control frame of a reserved opcode", kInControl,
     [](State& s) { s.control_opcode = Opcode{11}; }},
    {"a control frame with nothing left", kInControl, [](State& s) { s.frame_bytes_left = 0; }},
    {"a control frame of 126 bytes", kInControl,
     [](State& s) { s.frame_bytes_left = 126U - s.piece_bytes; }},
    {"a control frame with 126 bytes left", kInControl,
     [](State& s) {
       s.frame_bytes_left = 126;
       s.piece_bytes = 0;
       s.piece = {};
     }},
    {"more control payload than the array has", kInControl, [](State& s) { s.piece_bytes = 255; }},
    {"control bytes behind those that came", kInControl,
     [](State& s) { s.piece[124] = std::byte{1}; }},
    {"a phase in a control frame", kInControl, [](State& s) { s.key_phase = 1; }},
    {"a finished decoder inside a message", kBetween, [](State& s) { s.stage = Stage::finished; }},
    {"a finished decoder inside a header", kInHeader, [](State& s) { s.stage = Stage::finished; }},
};

TEST(FrameState, IsRefusedWhereNoBytesLeadToIt) {
  for (const Impossible& c : kImpossible) {
    SCOPED_TRACE(c.what);
    State state = c.from;
    ASSERT_TRUE(FrameDecoder::restore(state, c.role, kNoLimit).has_value());
    c.change(state);
    ASSERT_NE(state, c.from) << "the case changes something";
    EXPECT_FALSE(FrameDecoder::restore(state, c.role, kNoLimit).has_value());
  }
}

TEST(FrameState, IsRefusedOverTheLimitOfItsMessage) {
  State state = kBetween;
  state.message_bytes = 8'001;
  EXPECT_FALSE(FrameDecoder::restore(state, kServer, 8'000).has_value());
  state.message_compressed = true;  // 8,000 + 1,000 + 1,024
  EXPECT_TRUE(FrameDecoder::restore(state, kServer, 8'000).has_value());
  state.message_bytes = 10'025;
  EXPECT_FALSE(FrameDecoder::restore(state, kServer, 8'000).has_value());
}

TEST(Utf8State, IsTakenFromAnyTextAndFromNothingElse) {
  std::vector<Utf8Validator::State> reached;
  const auto note = [&](const Utf8Validator& text) {
    if (std::ranges::count(reached, text.save()) == 0) reached.push_back(text.save());
  };
  // Every state is one byte from another: walked until nothing new comes.
  note(Utf8Validator{});
  for (std::size_t i = 0; i < reached.size(); ++i) {
    for (unsigned byte = 0; byte < 256; ++byte) {
      std::optional<Utf8Validator> text = Utf8Validator::restore(reached[i]);
      ASSERT_TRUE(text.has_value());
      const std::byte one{static_cast<std::uint8_t>(byte)};
      (void)text->feed({&one, 1});
      note(*text);
    }
  }
  EXPECT_EQ(reached.size(), 9U) << "between, failed, and three, three and one inside a sequence";
  std::size_t taken = 0;
  for (unsigned i = 0; i < 1U << 24; ++i) {
    const Utf8Validator::State state{static_cast<std::uint8_t>(i >> 16),
                                     static_cast<std::uint8_t>(i >> 8),
                                     static_cast<std::uint8_t>(i)};
    if (state.pending > 4 && state.pending < 0xff) continue;
    if (Utf8Validator::restore(state)) ++taken;
  }
  EXPECT_EQ(taken, reached.size());
}

}  // namespace
}  // namespace weir::wire
