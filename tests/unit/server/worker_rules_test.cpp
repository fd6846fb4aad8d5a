// The letter that tells a worker its rules: byte for byte, whole through a round trip, and nothing
// taken of it where it is damaged.
#include "weir/server/worker_rules.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstring>
#include <functional>
#include <string>

namespace weir::server {
namespace {

using namespace std::string_literals;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

/// Each field a number of its own, so that no two can stand in for each other.
WorkerRules every_field() {
  WorkerRules rules;
  rules.made_at = Instant{nanoseconds{0x0102030405060708}};
  rules.hang_threshold = nanoseconds{0x11};
  rules.drain_timeout = nanoseconds{0x12};
  rules.busy_poll = nanoseconds{0x1f};
  rules.log_level = spdlog::level::err;
  session::SessionRules& sessions = rules.sessions;
  sessions.handshake_timeout = nanoseconds{0x13};
  sessions.idle_timeout = nanoseconds{0x14};
  sessions.ping_interval = nanoseconds{0x15};
  sessions.close_timeout = nanoseconds{0x16};
  sessions.upgrade.header_bytes_max = 0x17;
  sessions.upgrade.request_line_bytes_max = 0x18;
  sessions.message_bytes_max = 0x19;
  sessions.compress_from_bytes = 0x1a;
  sessions.backlog_bytes_max = 0x1b;
  sessions.high_water_bytes = 0x1c;
  sessions.message_rate = {.per_second = 0x1d, .burst = 0x1e};
  sessions.upgrade.compression = {.mode = wire::Compression::dedicated, .window_bits = 12};
  sessions.slow_consumer = session::SlowConsumer::drop;
  sessions.upgrade.health_path = "/ok";
  sessions.upgrade.hash_on = {.part = wire::HashOn::Part::header, .name = "X-R"};
  sessions.upgrade.paths = {"/a", "/bc"};
  sessions.upgrade.origins = {"null"};
  sessions.upgrade.subprotocols = {"x", "y", "z"};
  sessions.proxy_from = {*Cidr::parse("10.0.0.0/8")};
  return rules;
}

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Eight bytes, the least first.
std::string word(char low) {
  return std::string{low} + std::string(7, '\0');
}

TEST(WorkerRules, AreWrittenAsTheHeaderSays) {
  const std::string expected =
      "wrul"s + "\3\0\0\0"s + "\xe4\0\0\0\0\0\0\0"s + "\x08\x07\x06\x05\x04\x03\x02\x01" +
      word('\x11') + word('\x12') + word('\x13') + word('\x14') + word('\x15') + word('\x16') +
      word('\x1f') + word('\x17') + word('\x18') + word('\x19') + word('\x1a') + word('\x1b') +
      word('\x1c') + "\x1d\0\0\0\x1e\0\0\0"s + "\4\2\x0c\1"s +
      "\3\0\0\0\2\0\0\0\1\0\0\0\3\0\0\0\1\0\0\0"s + "\2\0\0\0\3\0\0\0"s +  //
      "/okX-R" + "\2\0\0\0/a\3\0\0\0/bc"s + "\4\0\0\0null"s + "\1\0\0\0x\1\0\0\0y\1\0\0\0z"s +
      "\n\0\0\00010.0.0.0/8"s;
  const std::string letter = text_of(pack(every_field()));
  EXPECT_EQ(letter.substr(0, letter.size() - 4), expected);
  const auto crc = static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(expected.data()), expected.size()));
  EXPECT_EQ(std::memcmp(letter.data() + expected.size(), &crc, 4), 0);
  EXPECT_EQ(letter.size(), 0xe4U);
}

TEST(WorkerRules, ComeBackWhole) {
  const auto read = unpack_rules(pack(every_field()));
  ASSERT_TRUE(read) << to_string(read.error());
  EXPECT_EQ(pack(*read), pack(every_field())) << "with the test above: every field is read";
  EXPECT_EQ(read->sessions.upgrade.paths, (std::vector<std::string>{"/a", "/bc"}));
  EXPECT_EQ(read->sessions.proxy_from.front().to_string(), "10.0.0.0/8");
  EXPECT_EQ(read->sessions.idle_timeout, nanoseconds{0x14});
  EXPECT_EQ(to_string(read->sessions.upgrade.hash_on), "header:X-R");
  EXPECT_EQ(read->log_level, spdlog::level::err);
}

TEST(WorkerRules, OfARunWithoutFlagsComeBackToo) {
  WorkerRules rules;
  rules.sessions.app = "echo";
  const auto read = unpack_rules(pack(rules));
  ASSERT_TRUE(read) << to_string(read.error());
  EXPECT_EQ(pack(*read), pack(rules));
  EXPECT_EQ(read->sessions.app, "") << "no part of the letter";
}

TEST(WorkerRules, LongListsNeedNoMoreThanTheirBytes) {
  WorkerRules rules;
  for (int i = 0; i < 20'000; ++i)
    rules.sessions.upgrade.origins.push_back("https://" + std::to_string(i) + ".example.com");
  const auto read = unpack_rules(pack(rules));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->sessions.upgrade.origins, rules.sessions.upgrade.origins);
}

TEST(WorkerRules, ADamagedBitAnywhereIsRefused) {
  const std::vector<std::byte> whole = pack(every_field());
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::vector<std::byte> damaged = whole;
    damaged[bit / 8] ^= std::byte{1} << (bit % 8);
    ASSERT_FALSE(unpack_rules(damaged)) << "bit " << bit;
  }
}

TEST(WorkerRules, APieceOfALetterIsRefusedAndSoIsMoreThanOne) {
  std::vector<std::byte> whole = pack(every_field());
  for (std::size_t size = 0; size < whole.size(); ++size)
    ASSERT_FALSE(unpack_rules(std::span{whole}.first(size))) << size;
  whole.push_back(std::byte{0});
  EXPECT_FALSE(unpack_rules(whole));
}

/// The letter with one change, and the checksum that makes it look meant.
std::string refusal_of(const std::function<void(std::vector<std::byte>&)>& change) {
  std::vector<std::byte> letter = pack(every_field());
  change(letter);
  const std::size_t body = letter.size() - 4;
  const auto crc =
      static_cast<std::uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(letter.data()), body));
  std::memcpy(letter.data() + body, &crc, 4);
  const auto read = unpack_rules(letter);
  return read ? "taken" : read.error().what;
}

TEST(WorkerRules, WhatNoFlagsComeToIsRefusedByName) {
  struct Case {
    std::size_t at;
    unsigned char byte;
    std::string_view said;
  };
  const Case cases[] = {
      {4, 2, "a letter with rules of version 2, where 3 is known"},
      {4, 4, "a letter with rules of version 4, where 3 is known"},
      {23, 0x80, "a letter with rules whose time made is out of range"},
      {31, 1, "a letter with rules whose time is out of range"},
      {63, 0x80, "a letter with rules whose time is out of range"},
      {40, 0, "a letter with rules whose time is out of range"},
      {79, 0x80, "a letter with rules whose time is out of range"},
      {80, 0, "a letter with rules whose request size is out of range"},
      {102, 1, "a letter with rules whose message size is out of range"},
      {132, 0, "a letter with rules whose message rate is out of range"},
      {136, 5, "a letter with rules whose log level is out of range"},
      {137, 3, "a letter with rules whose compression is out of range"},
      {138, 8, "a letter with rules whose window is out of range"},
      {138, 16, "a letter with rules whose window is out of range"},
      {139, 2, "a letter with rules whose slow consumer is out of range"},
      {140, 2, "a letter with rules whose lists do not fill it"},
      {143, 0xff, "a letter with rules whose lists do not fill it"},
      {147, 0xff, "a letter with rules whose lists do not fill it"},
      {160, 4, "a letter with rules whose hash is out of range"},
      {160, 0, "a letter with rules whose hash is out of range"},
      {164, 0, "a letter with rules whose hash is out of range"},
      {164, 2, "a letter with rules whose lists do not fill it"},
      {177, 0xff, "a letter with rules whose lists do not fill it"},
      {215, 'x', "a letter with rules whose networks are none"},
  };
  for (const Case& c : cases)
    EXPECT_EQ(refusal_of([&](auto& letter) { letter[c.at] = std::byte{c.byte}; }), c.said) << c.at;
  EXPECT_EQ(refusal_of([](auto&) {}), "taken");
}

}  // namespace
}  // namespace weir::server
