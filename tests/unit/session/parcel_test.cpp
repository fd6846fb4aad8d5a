// Parcels there and back, byte for byte: the format is what another version of weir reads.
#include "weir/session/parcel.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "../wire/bytes.h"
#include "parcels.h"

namespace weir::session {
namespace {

using wire::to_hex;

constexpr ParcelLimits kThreeDoors{.doors = 3};

void expect_equal(const Parcel& one, const Parcel& other) {
  EXPECT_EQ(one.state, other.state);
  EXPECT_EQ(one.admitted, other.admitted);
  EXPECT_EQ(one.door, other.door);
  EXPECT_EQ(one.close_code, other.close_code);
  ASSERT_EQ(one.client.has_value(), other.client.has_value());
  if (one.client) {
    EXPECT_EQ(one.client->to_string(), other.client->to_string());
  }
  EXPECT_EQ(one.since, other.since);
  EXPECT_EQ(one.heard_at, other.heard_at);
  EXPECT_EQ(one.pinged_at, other.pinged_at);
  EXPECT_EQ(one.messages_paid, other.messages_paid);
  EXPECT_EQ(text_of(one.request), text_of(other.request));
  EXPECT_EQ(one.decoder, other.decoder);
  EXPECT_EQ(text_of(one.gathered), text_of(other.gathered));
  EXPECT_EQ(text_of(one.output[0]) + text_of(one.output[1]),
            text_of(other.output[0]) + text_of(other.output[1]));
  EXPECT_EQ(one.window_bits, other.window_bits);
  ASSERT_EQ(one.out.has_value(), other.out.has_value());
  if (one.out) {
    EXPECT_EQ(text_of(*one.out), text_of(*other.out));
  }
  ASSERT_EQ(one.in.has_value(), other.in.has_value());
  if (one.in) {
    EXPECT_EQ(one.in->window_bits, other.in->window_bits);
    EXPECT_EQ(text_of(one.in->window), text_of(other.in->window));
  }
  EXPECT_EQ(one.app, other.app);
  EXPECT_EQ(text_of(one.app_state), text_of(other.app_state));
}

struct Case {
  std::string_view what;
  Parcel parcel;
  std::string_view bytes;  // empty: not written out
};

/// A context that has just begun has a window, of no bytes.
Parcel with_new_contexts() {
  Parcel parcel = idle();
  parcel.decoder.deflate = true;
  parcel.window_bits = 8;
  parcel.out = Parcel::Bytes{};
  parcel.in = {.window_bits = 8, .window = {}};
  return parcel;
}

const Case kCases[] = {{"idle", idle(), kIdleBytes},
                       {"busy", busy(), kBusyBytes},
                       {"closing", closing(), kClosingBytes},
                       {"handshaking", handshaking(), kHandshakingBytes},
                       {"contexts that have just begun", with_new_contexts(), {}}};

TEST(Parcel, IsWrittenAsItsTableSays) {
  for (const Case& c : kCases) {
    if (c.bytes.empty()) continue;
    EXPECT_EQ(to_hex(text_of(pack(c.parcel))), to_hex(c.bytes)) << c.what;
  }
}

TEST(Parcel, IsReadAsItWasWritten) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.what);
    const std::vector<std::byte> bytes = pack(c.parcel);
    ASSERT_EQ(bytes.size(), packed_size(c.parcel));
    const auto parcel = unpack(bytes, kThreeDoors);
    ASSERT_TRUE(parcel.has_value()) << to_string(parcel.error());
    expect_equal(*parcel, c.parcel);
    EXPECT_TRUE(parcel->output[1].empty()) << "one run";
    EXPECT_EQ(pack(*parcel), bytes);
  }
}

TEST(Parcel, GivesViewsIntoItsBytes) {
  const std::vector<std::byte> bytes = pack(busy());
  const auto parcel = unpack(bytes, kThreeDoors);
  ASSERT_TRUE(parcel.has_value());
  EXPECT_EQ(parcel->gathered.data(), bytes.data() + 128);
  EXPECT_EQ(parcel->app_state.data() + 2 + 4, bytes.data() + bytes.size());
}

TEST(Parcel, OfAnIdleSessionIsSmall) {
  Parcel parcel = idle();
  EXPECT_EQ(packed_size(parcel), 132U + 4U) << "with the app's name";
  parcel.client = SocketAddress::parse("[2001:db8::1]:443");
  EXPECT_EQ(packed_size(parcel), 132U + 4U);
}

TEST(Parcel, CarriesADecoderThatGoesOn) {
  const std::vector<std::byte> bytes = pack(busy());
  const auto parcel = unpack(bytes, kThreeDoors);
  ASSERT_TRUE(parcel.has_value());
  auto decoder = wire::FrameDecoder::restore(parcel->decoder, wire::Role::server, 1'000);
  ASSERT_TRUE(decoder.has_value());
  std::vector<std::byte> rest{std::byte{0xa9 ^ 4}, std::byte{'!' ^ 1}, std::byte{'?' ^ 2}};
  std::span<std::byte> in{rest};
  const wire::Event event = decoder->next(in);
  EXPECT_EQ(event.kind, wire::Event::Kind::data);
  EXPECT_TRUE(!event.first && event.last);
  EXPECT_EQ(text_of(event.bytes), "\xa9!?");
}

TEST(Parcel, IsPackedIntoABufferOfItsSize) {
  const Parcel parcel = busy();
  std::vector<std::byte> room(packed_size(parcel) + 1, std::byte{0x5a});
  pack(parcel, std::span{room}.first(room.size() - 1));
  EXPECT_EQ(room.back(), std::byte{0x5a});
  room.pop_back();
  EXPECT_EQ(room, pack(parcel));
}

}  // namespace
}  // namespace weir::session
