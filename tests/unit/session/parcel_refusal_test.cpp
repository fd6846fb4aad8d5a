// What is no parcel, or none of a session that there can be: each refused by its name.
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstring>
#include <string>
#include <vector>

#include "parcels.h"
#include "weir/session/parcel.h"

namespace weir::session {
namespace {

using namespace std::string_literals;
using Kind = ParcelError::Kind;

constexpr ParcelLimits kLimits{.message_bytes_max = 100'000,
                               .output_bytes_max = 1'000,
                               .request_bytes_max = 2'000,
                               .app_state_bytes_max = 3'000,
                               .doors = 3};

/// With the size and the checksum that go with it.
std::string sealed(std::string bytes) {
  const std::uint64_t size = bytes.size();
  std::memcpy(bytes.data() + 8, &size, sizeof size);
  const auto crc = static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size() - 4));
  std::memcpy(bytes.data() + bytes.size() - 4, &crc, sizeof crc);
  return bytes;
}

ParcelError refused(std::string_view bytes, const ParcelLimits& limits = kLimits) {
  // In memory of its exact size.
  const std::vector<std::byte> exact{bytes_of(bytes).begin(), bytes_of(bytes).end()};
  const auto parcel = unpack(exact, limits);
  return parcel ? ParcelError{.kind = Kind::field, .field = "(none: taken)"} : parcel.error();
}

std::string of(const Parcel& parcel) {
  return text_of(pack(parcel));
}

TEST(UnpackParcel, RefusesWhatIsCutShort) {
  for (const Parcel& parcel : {idle(), busy(), closing(), handshaking()}) {
    const std::string whole = of(parcel);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      ASSERT_EQ(refused(whole.substr(0, size)),
                (ParcelError{.kind = Kind::truncated, .value = size}));
    }
  }
}

TEST(UnpackParcel, RefusesWhatIsNoParcel) {
  EXPECT_EQ(refused("GET / HTTP/1.1\r\n\r\n"), ParcelError{.kind = Kind::not_a_parcel});
  EXPECT_EQ(refused("weil"s + of(idle()).substr(4)), ParcelError{.kind = Kind::not_a_parcel});
}

TEST(UnpackParcel, RefusesAVersionThatItDoesNotKnowWhateverItSays) {
  for (const Parcel& parcel : {idle(), handshaking()}) {
    for (const unsigned version : {0U, 2U, 255U}) {
      std::string bytes = of(parcel);
      bytes[4] = static_cast<char>(version);
      const ParcelError expected{.kind = Kind::version_unknown, .value = version};
      EXPECT_EQ(refused(bytes), expected) << "the checksum is not looked at: it may be elsewhere";
      EXPECT_EQ(refused(bytes.substr(0, 16)), expected);
    }
  }
}

TEST(UnpackParcel, RefusesAnyFlippedBit) {
  const std::string whole = of(busy());
  for (std::size_t bit = 8 * 6; bit < whole.size() * 8; ++bit) {
    std::string bytes = whole;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
    const ParcelError error = refused(bytes);
    const bool in_the_size = bit / 8 >= 8 && bit / 8 < 16;
    if (in_the_size)
      ASSERT_TRUE(error.kind == Kind::truncated || error.field == "size") << bit;
    else
      ASSERT_EQ(error, ParcelError{.kind = Kind::checksum}) << bit;
  }
}

struct Change {
  std::string_view what;
  std::string_view field;
  Parcel from;
  std::size_t offset;
  std::string_view bytes;
};

const Change kChanges[] = {
    {"no state", "state", idle(), 6, "\0"sv},
    {"state 4", "state", idle(), 6, "\x04"sv},
    {"an unknown flag", "flags", idle(), 7, "\x04"sv},
    {"a time past 2^62", "time in its state", idle(), 16, "\x01\0\0\0\0\0\0\x40"sv},
    {"the greatest number", "time of the last bytes", idle(), 24,
     "\xff\xff\xff\xff\xff\xff\xff\xff"sv},
    {"a time before the boot", "time of the last ping", idle(), 32,
     "\xff\xff\xff\xff\xff\xff\xff\xff"sv},
    {"a time past 2^62", "time that messages are paid up to", idle(), 40, "\0\0\0\0\0\0\0\x80"sv},
    {"the fourth of three doors", "door", idle(), 48, "\x03\0"sv},
    {"a close code of an open session", "close code", idle(), 50, "\xe8\x03"sv},
    {"a closing session without", "close code", closing(), 50, "\0\0"sv},
    {"1006 was sent", "close code", closing(), 50, "\xee\x03"sv},
    {"5000 was sent", "close code", closing(), 50, "\x88\x13"sv},
    {"a window of 7 bits", "window bits", busy(), 52, "\x07"sv},
    {"a window of 255 bits", "window bits", busy(), 52, "\xff"sv},
    {"compression in a handshake", "window bits", handshaking(), 52, "\x0f"sv},
    {"a context where none was agreed", "context of what is sent", idle(), 7, "\x02"sv},
    {"a context in a closing session", "context of what is sent", closing(), 7, "\x02"sv},
    {"a window of 16 bits in", "context of what is received", busy(), 53, "\x10"sv},
    {"a context in where none was agreed", "context of what is received", idle(), 53, "\x0f"sv},
    {"a context in of a closing session", "context of what is received", closing(), 53, "\x0f"sv},
    {"more window than 10 bits", "window of what is sent", busy(), 116, "\x01\x04\0\0"sv},
    {"a window out without a context", "window of what is sent", busy(), 7, "\x01"sv},
    {"more window than 12 bits", "window of what is received", busy(), 120, "\x01\x10\0\0"sv},
    {"a window in without a context", "window of what is received", busy(), 53, "\0"sv},
    {"a family of 5", "client", closing(), 56, "\x05"sv},
    {"an IPv4 address of 16 bytes", "client", busy(), 56, "\x04"sv},
    {"a port of nobody", "client", idle(), 54, "\x01"sv},
    {"an address of nobody", "client", idle(), 103, "\x01"sv},
    {"a request of 2,001 bytes", "request", handshaking(), 104, "\xd1\x07\0\0"sv},
    {"a request of an open session", "request", idle(), 104, "\x01\0\0\0"sv},
    {"output of 1,001 bytes", "output", busy(), 112, "\xe9\x03\0\0"sv},
    {"output in a handshake", "output", handshaking(), 112, "\x01\0\0\0"sv},
    {"a name of 65 bytes", "app", busy(), 66, "\x41\0"sv},
    {"an app in a closing session", "app", closing(), 66, "\x01\0"sv},
    {"state of 3,001 bytes", "app's state", busy(), 124, "\xb9\x0b\0\0"sv},
    {"app's state in a handshake", "app's state", handshaking(), 124, "\x01\0\0\0"sv},
    {"a run that is longer than the parcel", "size", busy(), 108, "\xff\xff\xff\xff"sv},
    {"a run that is one shorter", "size", busy(), 108, "\x06\0\0\0"sv},
    {"a stage that is none at rest", "decoder", idle(), 57, "\x03"sv},
    {"a finished decoder", "decoder", idle(), 57, "\x04"sv},
    {"an unknown decoder flag", "decoder", busy(), 60, "\x06"sv},
    {"pieces of 126 bytes", "decoder", closing(), 65, "\x7e"sv},
    {"an unknown message opcode", "decoder", busy(), 58, "\x03"sv},
    {"an unknown control opcode", "decoder", closing(), 59, "\x0b"sv},
    {"a phase of 4", "decoder", busy(), 61, "\x04"sv},
    {"bounds of no first byte", "decoder", busy(), 62, "\x02\x81\xbf"sv},
    {"more left than declared", "decoder", busy(), 80, "\x0b\0\0\0\0\0\0\0"sv},
    {"more declared than the limit", "decoder", busy(), 72, "\xa1\x86\x01\0\0\0\0\0"sv},
    {"a compressed message that was not agreed", "decoder", idle(), 58, "\x02\0\x01"sv},
    {"a decoder in a handshake", "decoder", handshaking(), 58, "\x01"sv},
    {"a key of nothing", "decoder", idle(), 68, "\x01\0\0\0"sv},
    {"less gathered than was delivered", "gathered", busy(), 72, "\x0b\0\0\0\0\0\0\0"sv},
    {"more gathered than was delivered", "gathered", busy(), 72, "\x09\0\0\0\0\0\0\0"sv},
};

TEST(UnpackParcel, RefusesWhatNoSessionHasByItsName) {
  for (const Change& c : kChanges) {
    SCOPED_TRACE(c.what);
    std::string bytes = of(c.from);
    bytes.replace(c.offset, c.bytes.size(), c.bytes);
    EXPECT_EQ(refused(sealed(bytes)), (ParcelError{.kind = Kind::field, .field = c.field}));
  }
}

TEST(UnpackParcel, RefusesGatheredBytesOfAClosingSession) {
  Parcel parcel = closing();
  const std::string gathered(0x1234, 'z');
  parcel.gathered = bytes_of(gathered);
  EXPECT_EQ(refused(of(parcel)), (ParcelError{.kind = Kind::field, .field = "gathered"}));
}

TEST(UnpackParcel, RefusesBytesBehindAParcel) {
  std::string bytes = of(idle()) + "x";
  EXPECT_EQ(refused(bytes), (ParcelError{.kind = Kind::field, .field = "size"}));
  EXPECT_EQ(refused(sealed(bytes)), (ParcelError{.kind = Kind::field, .field = "size"}));
  bytes = "weir\x01\0\x02\0\x10\0\0\0\0\0\0\0"s;
  EXPECT_EQ(refused(bytes), (ParcelError{.kind = Kind::field, .field = "size"}))
      << "no room for it";
}

TEST(UnpackParcel, TakesWhatIsAtEachLimit) {
  const std::string request(2'000, 'r'), output(1'000, 'o'), state(3'000, 's'), window(1'024, 'w'),
      name(64, 'n');
  Parcel parcel = handshaking();
  parcel.request = bytes_of(request);
  EXPECT_EQ(refused(of(parcel)).field, "(none: taken)");
  parcel = busy();
  parcel.output = {bytes_of(output), {}};
  parcel.app_state = bytes_of(state);
  parcel.out = bytes_of(window);
  parcel.app = name;
  parcel.since = kParcelInstantMax;
  EXPECT_EQ(refused(of(parcel)).field, "(none: taken)");
  parcel = closing();
  parcel.close_code = wire::CloseCode::no_status;
  EXPECT_EQ(refused(of(parcel)).field, "(none: taken)");
}

TEST(ParcelError, SaysWhatIsWrong) {
  EXPECT_EQ(to_string({.kind = Kind::truncated, .value = 7}), "a parcel cut short after 7 bytes");
  EXPECT_EQ(to_string({.kind = Kind::not_a_parcel}),
            "not a parcel: it does not begin with \"weir\"");
  EXPECT_EQ(to_string({.kind = Kind::version_unknown, .value = 9}),
            "a parcel of version 9; taken are 1 to 1");
  EXPECT_EQ(to_string({.kind = Kind::checksum}),
            "a parcel whose checksum is not that of its bytes");
  EXPECT_EQ(to_string({.kind = Kind::field, .field = "close code"}),
            "a parcel with a bad value: close code");
}

}  // namespace
}  // namespace weir::session
