// RSV1 where permessage-deflate was agreed (RFC 7692, 6), and where it was not.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "decoding.h"
#include "weir/wire/frame.h"

namespace weir::wire {
namespace {

using namespace std::string_view_literals;

/// A message as it comes: its payload's bytes, and whether each piece is marked compressed.
struct Heard {
  std::string text;
  bool all_compressed = true;
  bool none_compressed = true;
  FrameError error = FrameError::none;
};

/// Of all messages of `wire`, a client's role, cut as `cut` has it.
std::vector<Heard> heard(std::string_view wire, const Cut& cut, std::uint64_t bytes_max,
                         bool deflate) {
  FrameDecoder decoder{Role::client, bytes_max, deflate};
  std::vector<Heard> messages;
  for (const std::size_t size : cut) {
    Bytes piece = to_bytes(wire.substr(0, size));
    wire.remove_prefix(size);
    std::span<std::byte> in{piece};
    for (Event event = decoder.next(in); event.kind != Event::Kind::need_more;
         event = decoder.next(in)) {
      if (event.kind == Event::Kind::error || (event.kind == Event::Kind::data && event.first)) {
        messages.emplace_back();
      }
      if (event.kind == Event::Kind::error) messages.back().error = event.error;
      if (event.kind != Event::Kind::data) {
        EXPECT_FALSE(event.compressed);
        continue;
      }
      messages.back().text += to_text(event.bytes);
      (event.compressed ? messages.back().none_compressed : messages.back().all_compressed) = false;
    }
  }
  return messages;
}

TEST(CompressedFrames, AreMarkedByTheFirstFrameOfTheirMessage) {
  const std::string_view wire =
      "\x42\x02on\x89\x01p\x80\x01w"  // compressed, in two fragments with a ping between
      "\x81\x02\xc3\xa9"              // plain
      "\xc1\x03\xff\xc3\x28"          // compressed, a text whose payload is no UTF-8
      "\x41\x00\x80\x01\xfe"          // begun by an empty fragment
      "\x01\x01x\x80\x01y"sv;         // plain, in two fragments
  for_each_cut(wire.size(), [&](const Cut& cut) {
    const std::vector<Heard> messages = heard(wire, cut, kNoLimit, true);
    ASSERT_EQ(messages.size(), 5U);
    const std::string_view texts[]{"onw", "\xc3\xa9", "\xff\xc3\x28", "\xfe", "xy"};
    for (std::size_t i = 0; i < 5; ++i) {
      const bool compressed = i == 0 || i == 2 || i == 3;
      EXPECT_EQ(messages[i].text, texts[i]);
      EXPECT_EQ(messages[i].all_compressed, compressed) << i;
      EXPECT_EQ(messages[i].none_compressed, !compressed) << i;
      EXPECT_EQ(messages[i].error, FrameError::none);
    }
  });
}

struct RefusedCase {
  std::string_view what;
  std::string_view wire;
  bool deflate;
  FrameError error;
};

constexpr RefusedCase kRefused[] = {
    {"RSV1 without an agreement", "\xc1\x00"sv, false, FrameError::reserved_bits},
    {"RSV1 on a continuation", "\x41\x01x\xc0\x01y"sv, true, FrameError::reserved_bits},
    {"RSV1 on the continuation of a plain message", "\x01\x01x\xc0\x01y"sv, true,
     FrameError::reserved_bits},
    {"RSV1 on a close", "\xc8\x00"sv, true, FrameError::reserved_bits},
    {"RSV1 on a ping", "\xc9\x00"sv, true, FrameError::reserved_bits},
    {"RSV1 on a pong inside a compressed message", "\x41\x01x\xca\x00"sv, true,
     FrameError::reserved_bits},
    {"RSV2", "\xa1\x00"sv, true, FrameError::reserved_bits},
    {"RSV3", "\x92\x00"sv, true, FrameError::reserved_bits},
    {"RSV1 with RSV2", "\xe1\x00"sv, true, FrameError::reserved_bits},
    {"RSV1 with RSV3", "\xd2\x00"sv, true, FrameError::reserved_bits},
    {"RSV1 on a reserved opcode", "\xc3\x00"sv, true, FrameError::reserved_opcode},
    {"a compressed message inside a compressed one", "\x41\x01x\xc1\x01y"sv, true,
     FrameError::expected_continuation},
    {"a plain text that is no UTF-8 behind a compressed one", "\xc1\x01\xff\x81\x01\xff"sv, true,
     FrameError::invalid_utf8},
};

TEST(CompressedFrames, LeaveEverythingElseRefused) {
  for (const RefusedCase& c : kRefused) {
    SCOPED_TRACE(c.what);
    for_each_cut(c.wire.size(), [&](const Cut& cut) {
      const std::vector<Heard> messages = heard(c.wire, cut, kNoLimit, c.deflate);
      ASSERT_FALSE(messages.empty());
      EXPECT_EQ(messages.back().error, c.error) << to_string(messages.back().error);
    });
  }
}

TEST(CompressedFrames, MayDeclareAnEighthAndAKibibyteMore) {
  // Of 8,000: 8,000 + 1,000 + 1,024 = 10,024, which is 2728 in hexadecimal; 8,000 is 1f40.
  const auto error_of = [](std::string_view wire, std::uint64_t bytes_max) {
    const std::vector<Heard> messages = heard(wire, {wire.size()}, bytes_max, true);
    return messages.empty() ? FrameError::none : messages.back().error;
  };
  EXPECT_EQ(error_of("\xc2\x7e\x27\x28", 8'000), FrameError::none);
  EXPECT_EQ(error_of("\xc2\x7e\x27\x29", 8'000), FrameError::message_too_big);
  EXPECT_EQ(error_of("\x42\x01x\x80\x7e\x27\x27", 8'000), FrameError::none);
  EXPECT_EQ(error_of("\x42\x01x\x80\x7e\x27\x28", 8'000), FrameError::message_too_big);
  EXPECT_EQ(error_of("\x82\x7e\x1f\x40", 8'000), FrameError::none);
  EXPECT_EQ(error_of("\x82\x7e\x1f\x41", 8'000), FrameError::message_too_big) << "plain";
  EXPECT_EQ(error_of("\xc2\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", kNoLimit), FrameError::none);
  static_assert(compressed_bytes_max(0) == 1'024);
  static_assert(compressed_bytes_max(UINT64_MAX - 5) == UINT64_MAX, "does not wrap");
}

TEST(CompressedFrames, AreMaskedLikeOthers) {
  const std::string wire = wire_form(Role::server, RawFrame{0xc1, "\xf2\x48\xcd"});
  FrameDecoder decoder{Role::server, kNoLimit, true};
  Bytes bytes = to_bytes(wire);
  std::span<std::byte> in{bytes};
  const Event event = decoder.next(in);
  EXPECT_TRUE(event.compressed && event.first && event.last);
  EXPECT_EQ(event.opcode, Opcode::text);
  EXPECT_EQ(to_text(event.bytes), "\xf2\x48\xcd");
}

TEST(CompressedFrames, HaveRsv1SetByTheEncoder) {
  std::array<std::byte, kHeaderBytesMax> out;
  const auto header = [&](Opcode opcode, bool fin, bool compressed) {
    return to_hex(to_text(std::span{out}.first(encode_header(out, opcode, fin, 7, compressed))));
  };
  EXPECT_EQ(header(Opcode::text, true, true), "c1 07") << "RFC 7692, 7.2.3.1";
  EXPECT_EQ(header(Opcode::text, false, true), "41 07");
  EXPECT_EQ(header(Opcode::binary, true, true), "c2 07");
  EXPECT_EQ(header(Opcode::continuation, true, false), "80 07");
  EXPECT_EQ(header(Opcode::text, true, false), "81 07");
}

}  // namespace
}  // namespace weir::wire
