#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "bytes.h"
#include "weir/wire/frame.h"

namespace weir::wire {
namespace {

using namespace std::string_view_literals;

struct HeaderCase {
  std::string_view what;
  Opcode opcode;
  bool fin;
  bool masked;
  std::uint64_t payload_bytes;
  std::string_view expected;
};

constexpr MaskKey kKey{std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};

constexpr HeaderCase kHeaders[] = {
    {"the RFC's unmasked text", Opcode::text, true, false, 5, "\x81\x05"sv},
    {"the RFC's masked text", Opcode::text, true, true, 5, "\x81\x85\x37\xfa\x21\x3d"sv},
    {"the RFC's first fragment", Opcode::text, false, false, 3, "\x01\x03"sv},
    {"the RFC's last fragment", Opcode::continuation, true, false, 2, "\x80\x02"sv},
    {"the RFC's ping", Opcode::ping, true, false, 5, "\x89\x05"sv},
    {"a pong", Opcode::pong, true, false, 0, "\x8a\x00"sv},
    {"a close", Opcode::close, true, false, 2, "\x88\x02"sv},
    {"an empty message", Opcode::binary, true, false, 0, "\x82\x00"sv},
    {"one byte", Opcode::binary, true, false, 1, "\x82\x01"sv},
    {"the longest in 7 bits", Opcode::binary, true, false, 125, "\x82\x7d"sv},
    {"the shortest in 16", Opcode::binary, true, false, 126, "\x82\x7e\x00\x7e"sv},
    {"127", Opcode::binary, true, false, 127, "\x82\x7e\x00\x7f"sv},
    {"the RFC's 256", Opcode::binary, true, false, 256, "\x82\x7e\x01\x00"sv},
    {"the longest in 16", Opcode::binary, true, false, 65'535, "\x82\x7e\xff\xff"sv},
    {"the shortest in 64", Opcode::binary, true, false, 65'536, "\x82\x7f\0\0\0\0\0\1\0\0"sv},
    {"each byte of 64 bits", Opcode::binary, true, false, 0x0102030405060708,
     "\x82\x7f\1\2\3\4\5\6\7\x08"sv},
    {"the longest", Opcode::binary, true, true, 0x7fffffffffffffff,
     "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x37\xfa\x21\x3d"sv},
    {"masked in 16 bits", Opcode::binary, false, true, 300, "\x02\xfe\x01\x2c\x37\xfa\x21\x3d"sv},
};

TEST(EncodeHeader, WritesTheseBytesAndNoOthers) {
  for (const HeaderCase& c : kHeaders) {
    std::array<std::byte, kHeaderBytesMax> out;
    out.fill(std::byte{0xee});
    const std::size_t size = encode_header(out, c.opcode, c.fin, c.payload_bytes, false,
                                           c.masked ? std::optional{kKey} : std::nullopt);
    EXPECT_EQ(to_hex(to_text(std::span{out}.first(size))), to_hex(c.expected)) << c.what;
    EXPECT_LE(size, c.masked ? kHeaderBytesMax : kServerHeaderBytesMax) << c.what;
    for (std::size_t i = size; i < out.size(); ++i) EXPECT_EQ(out[i], std::byte{0xee}) << c.what;
  }
}

std::string close_payload(CloseCode code, std::string_view reason) {
  std::array<std::byte, kControlPayloadBytesMax> out;
  return to_text(std::span{out}.first(encode_close_payload(out, code, reason)));
}

TEST(EncodeClosePayload, IsTheCodeAndTheReason) {
  EXPECT_EQ(close_payload(CloseCode::normal, ""), "\x03\xe8");
  EXPECT_EQ(close_payload(CloseCode::message_too_big, "too big"), "\x03\xf1too big");
  EXPECT_EQ(close_payload(CloseCode{4999}, "x"), "\x13\x87x");
}

TEST(EncodeClosePayload, IsEmptyWithoutAStatus) {
  EXPECT_EQ(close_payload(CloseCode::no_status, "unsaid"), "");
}

struct HeaderCut {
  std::size_t ascii_before;
  std::string_view character;  // and more behind it, past the room there is
  std::size_t kept;
};
constexpr HeaderCut kCuts[] = {
    {123, "x", 123},
    {121, "\xc3\xa9", 123},  // just fits
    {122, "\xc3\xa9", 122},
    {120, "\xe2\x82\xac", 123},  // just fits
    {121, "\xe2\x82\xac", 121},
    {122, "\xe2\x82\xac", 122},
    {119, "\xf0\x9f\x8c\x8a", 123},  // just fits
    {120, "\xf0\x9f\x8c\x8a", 120},
    {121, "\xf0\x9f\x8c\x8a", 121},
    {122, "\xf0\x9f\x8c\x8a", 122},
};

TEST(EncodeClosePayload, CutsTheReasonBetweenCharacters) {
  for (const HeaderCut& cut : kCuts) {
    const std::string reason = std::string(cut.ascii_before, 'r') + std::string{cut.character};
    EXPECT_EQ(close_payload(CloseCode::normal, reason + "more"),
              "\x03\xe8" + reason.substr(0, cut.kept))
        << cut.ascii_before << " and " << to_hex(cut.character);
  }
}

}  // namespace
}  // namespace weir::wire
