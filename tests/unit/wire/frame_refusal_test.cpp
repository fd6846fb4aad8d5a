// What the decoder refuses, and exactly when.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "decoding.h"
#include "weir/wire/frame.h"

namespace weir::wire {
namespace {

using namespace std::string_view_literals;
using Events = std::vector<std::string>;

struct RefusedFrameCase {
  std::string_view what;
  Role role;
  FrameError error;
  std::string_view wire;
};

// Masked cases use the key 00 00 00 00, so that the payload reads as it is.
constexpr RefusedFrameCase kRefusedFrames[] = {
    {"clients must mask", kServer, FrameError::unmasked,
     "\x81\x01"
     "a"sv},
    {"clients must mask control frames too", kServer, FrameError::unmasked, "\x89\x00"sv},
    {"servers must not mask", kClient, FrameError::masked,
     "\x81\x81\0\0\0\0"
     "a"sv},
    {"0 may not be spelt in 16 bits", kServer, FrameError::length_not_minimal,
     "\x82\xfe\x00\x00\0\0\0\0"sv},
    {"5 may not be spelt in 16 bits", kServer, FrameError::length_not_minimal,
     "\x82\xfe\x00\x05\0\0\0\0Hello"sv},
    {"125 may not be spelt in 16 bits", kClient, FrameError::length_not_minimal,
     "\x82\x7e\x00\x7d"sv},
    {"0 may not be spelt in 64 bits", kClient, FrameError::length_not_minimal,
     "\x82\x7f\0\0\0\0\0\0\0\0"sv},
    {"65535 may not be spelt in 64 bits", kClient, FrameError::length_not_minimal,
     "\x82\x7f\0\0\0\0\0\0\xff\xff"sv},
    {"the top bit of a length is 0", kServer, FrameError::length_too_big,
     "\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0"sv},
    {"all bits of a length", kClient, FrameError::length_too_big,
     "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"sv},
    {"a ping has at most 125 bytes", kServer, FrameError::control_too_long,
     "\x89\xfe\x00\x7e\0\0\0\0"sv},
    {"nor may it spell fewer in 16 bits", kServer, FrameError::control_too_long,
     "\x89\xfe\x00\x05\0\0\0\0"sv},
    {"a pong of 64-bit length", kClient, FrameError::control_too_long,
     "\x8a\x7f\0\0\0\0\0\1\0\0"sv},
    {"a close has at most 125 bytes", kClient, FrameError::control_too_long, "\x88\x7e\x00\x7e"sv},
    {"a ping is not fragmented", kServer, FrameError::control_fragmented, "\x09\x80\0\0\0\0"sv},
    {"a pong is not fragmented", kClient, FrameError::control_fragmented, "\x0a\x00"sv},
    {"a close is not fragmented", kClient, FrameError::control_fragmented, "\x08\x00"sv},
    {"nothing to continue", kServer, FrameError::unexpected_continuation, "\x80\x81\0\0\0\0x"sv},
    {"nothing to continue with more to come", kClient, FrameError::unexpected_continuation,
     "\x00\x01x"sv},
    {"nothing to continue after a whole message", kClient, FrameError::unexpected_continuation,
     "\x81\x01x\x80\x01y"sv},
    {"nothing to continue after the last fragment", kClient, FrameError::unexpected_continuation,
     "\x01\x01x\x80\x01y\x80\x01z"sv},
    {"text inside text", kClient, FrameError::expected_continuation, "\x01\x01x\x81\x01y"sv},
    {"binary inside text after a ping", kServer, FrameError::expected_continuation,
     "\x01\x81\0\0\0\0x\x89\x80\0\0\0\0\x82\x80\0\0\0\0"sv},
    {"a new message after an empty fragment", kClient, FrameError::expected_continuation,
     "\x02\x00\x02\x00"sv},
    {"half a close code", kServer, FrameError::close_payload_of_one_byte, "\x88\x81\0\0\0\0\x03"sv},
    {"a close reason that is not UTF-8", kServer, FrameError::close_reason_invalid_utf8,
     "\x88\x84\0\0\0\0\x03\xe8\xc3\x28"sv},
    {"a close reason cut inside a character", kClient, FrameError::close_reason_invalid_utf8,
     "\x88\x03\x03\xe8\xc3"sv},
    {"text that is not UTF-8", kServer, FrameError::invalid_utf8, "\x81\x82\0\0\0\0\xc3\x28"sv},
    {"text cut inside a character", kClient, FrameError::invalid_utf8, "\x81\x01\xc3"sv},
    {"fragments cut inside a character", kClient, FrameError::invalid_utf8,
     "\x01\x01\xc3\x80\x00"sv},
    {"a character that a fragment breaks off", kClient, FrameError::invalid_utf8,
     "\x01\x01\xc3\x80\x01z"sv},
    {"a surrogate over two fragments", kClient, FrameError::invalid_utf8,
     "\x01\x01\xed\x00\x01\xa0"sv},
};

/// What the decoder says of `wire`, which must end in an error that is the same in every cut.
void expect_refused(Role role, std::uint64_t limit, std::string_view wire, FrameError error) {
  for_each_cut(wire.size(), [&](const Cut& cut) {
    FrameDecoder decoder{role, limit};
    Listener listener{decoder};
    listener.feed(wire, cut);
    ASSERT_EQ(listener.error(), error)
        << to_hex(wire) << ": " << to_string(listener.error()) << ", first piece " << cut.front();
    ASSERT_EQ(listener.events().back(), "error");
    EXPECT_TRUE(decoder.finished());
  });
}

TEST(FrameDecoder, RefusesEachCaseHoweverItIsCut) {
  for (const RefusedFrameCase& c : kRefusedFrames) {
    SCOPED_TRACE(c.what);
    expect_refused(c.role, kNoLimit, c.wire, c.error);
  }
}

TEST(FrameDecoder, RefusesEachReservedBit) {
  for (unsigned bits = 1; bits < 8; ++bits) {
    for (const unsigned opcode : {1U, 2U, 8U, 9U, 10U}) {
      const auto first = static_cast<char>(0x80 | bits << 4 | opcode);
      expect_refused(kClient, kNoLimit, std::string{first, '\0'}, FrameError::reserved_bits);
    }
    const std::string continued{'\x01', '\0', static_cast<char>(0x80 | bits << 4), '\0'};
    expect_refused(kClient, kNoLimit, continued, FrameError::reserved_bits);
  }
}

TEST(FrameDecoder, KnowsSixOpcodes) {
  for (unsigned opcode = 0; opcode < 16; ++opcode) {
    const bool is_known = opcode <= 2 || (opcode >= 8 && opcode <= 10);
    if (is_known) continue;  // taken in frame_decoder_test.cpp
    for (const unsigned fin : {0U, 0x80U}) {
      const std::string wire{static_cast<char>(fin | opcode), '\0'};
      expect_refused(kClient, kNoLimit, wire, FrameError::reserved_opcode);
    }
  }
}

TEST(FrameDecoder, ReportsEachCloseCodeOrRefusesIt) {
  for (unsigned code = 0; code <= 65'535; code = code == 5'000 ? 65'535 : code + 1) {
    const std::string wire{'\x88', '\x02', static_cast<char>(code >> 8), static_cast<char>(code)};
    FrameDecoder decoder{Role::client, kNoLimit};
    Listener listener{decoder};
    listener.feed(wire, {wire.size()});
    if (allowed_on_the_wire(static_cast<std::uint16_t>(code))) {
      ASSERT_EQ(listener.events(), Events{"close(" + std::to_string(code) + ")"});
    } else {
      ASSERT_EQ(listener.error(), FrameError::close_code_invalid) << code;
    }
  }
}

TEST(FrameDecoder, RefusesTextAtTheFirstBadByteOfAMessageThatGoesOn) {
  // 1 MiB is declared; the 4th byte cannot be, and nothing waits for the rest.
  const std::string_view wire = "\x81\x7f\0\0\0\0\0\x10\0\0abc\xff"sv;
  FrameDecoder decoder{Role::client, kNoLimit};
  Listener listener{decoder};
  listener.feed(wire.substr(0, wire.size() - 1), Cut(wire.size() - 1, 1));
  EXPECT_EQ(listener.events(), Events{"text[abc"});
  listener.feed(wire.substr(wire.size() - 1), {1});
  EXPECT_EQ(listener.error(), FrameError::invalid_utf8);
}

TEST(FrameDecoder, DeliversNothingOfAPieceWithABadByte) {
  FrameDecoder decoder{Role::client, kNoLimit};
  Listener listener{decoder};
  const std::string_view wire =
      "\x81\x04good\x81\x04"
      "bad\xff"sv;
  listener.feed(wire, {wire.size()});
  EXPECT_EQ(listener.events(), (Events{"text[good]", "error"}));
}

struct LimitCase {
  std::string_view what;
  std::uint64_t limit;
  std::string_view wire;
  Events before;  // what is reported before the refusal
  bool refused;
};

// Refused ones end with the header that goes over: its payload is not needed to know.
const LimitCase kLimits[] = {
    {"exactly the limit", 5, "\x82\x05Hello"sv, {"binary[Hello]"}, false},
    {"one past it", 4, "\x82\x05"sv, {}, true},
    {"exactly the limit in fragments", 5, "\x02\x03Hel\x80\x02lo"sv, {"binary[Hello]"}, false},
    {"one past it in fragments", 4, "\x02\x03Hel\x80\x02"sv, {"binary[Hel"}, true},
    {"an empty fragment at the limit", 3, "\x02\x03Hel\x80\x00"sv, {"binary[Hel]"}, false},
    {"each message has the limit to itself",
     3,
     "\x82\x03one\x82\x03two"sv,
     {"binary[one]", "binary[two]"},
     false},
    {"a limit of 0 allows the empty message", 0, "\x82\x00"sv, {"binary[]"}, false},
    {"a limit of 0 allows nothing else", 0, "\x82\x01"sv, {}, true},
    {"a ping does not count",
     3,
     "\x02\x03Hel\x89\x04ping\x80\x00"sv,
     {"binary[Hel", "ping(ping)", "]"},
     false},
    {"the longest length there is",
     1 << 20,
     "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"sv,
     {},
     true},
    {"no limit to speak of",
     UINT64_MAX - 1,
     "\x02\x01x\x00\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"sv,
     {"binary[x"},
     false},
};

TEST(FrameDecoder, HoldsAMessageToItsLimitByWhatIsDeclared) {
  for (const LimitCase& c : kLimits) {
    SCOPED_TRACE(c.what);
    for_each_cut(c.wire.size(), [&](const Cut& cut) {
      FrameDecoder decoder{Role::client, c.limit};
      Listener listener{decoder};
      listener.feed(c.wire, cut);
      Events expected = c.before;
      if (c.refused) expected.push_back("error");
      ASSERT_EQ(listener.events(), expected);
      ASSERT_EQ(listener.error(), c.refused ? FrameError::message_too_big : FrameError::none);
    });
  }
}

TEST(FrameError, HasACloseCodeAndWordsOfItsOwn) {
  std::vector<std::string_view> seen;
  for (auto i = static_cast<unsigned>(FrameError::unmasked);
       i <= static_cast<unsigned>(FrameError::inflate_failed); ++i) {
    const auto error = static_cast<FrameError>(i);
    const CloseCode expected = error == FrameError::message_too_big ? CloseCode::message_too_big
                               : error == FrameError::invalid_utf8 ||
                                       error == FrameError::close_reason_invalid_utf8 ||
                                       error == FrameError::inflate_failed
                                   ? CloseCode::invalid_payload
                                   : CloseCode::protocol_error;
    EXPECT_EQ(close_code_for(error), expected) << to_string(error);
    EXPECT_LE(to_string(error).size(), kCloseReasonBytesMax);
    EXPECT_EQ(std::ranges::count(seen, to_string(error)), 0) << to_string(error);
    seen.push_back(to_string(error));
  }
}

}  // namespace
}  // namespace weir::wire
