// SipHash against the vectors of its authors (2-4) and against two other implementations (1-3).
#include "weir/steering/siphash.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string_view>

namespace weir::steering {
namespace {

/// Cuts 16 to 23 bytes into the words that weir_siphash takes.
std::uint64_t hash(std::string_view key, std::string_view message, int compress, int finish) {
  const auto word = [](std::string_view bytes) {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data(), std::min<std::size_t>(bytes.size(), sizeof value));
    return value;
  };
  return weir_siphash(word(key), word(key.substr(8)), word(message), word(message.substr(8)),
                      word(message.substr(16)), message.size(), compress, finish);
}

constexpr std::string_view kCounting{
    "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16",
    23};
constexpr std::string_view kKey = kCounting.substr(0, 16);

TEST(SipHash, GivesThePublishedVectors) {  // vectors_sip64 of the reference code, by length
  EXPECT_EQ(hash(kKey, kCounting.substr(0, 16), 2, 4), 0x3f2acc7f57c29bdbULL);
  EXPECT_EQ(hash(kKey, kCounting.substr(0, 17), 2, 4), 0x699ae9f52cbe4794ULL);
  EXPECT_EQ(hash(kKey, kCounting.substr(0, 18), 2, 4), 0x4bc1b3f0968dd39cULL);
  EXPECT_EQ(hash(kKey, kCounting.substr(0, 19), 2, 4), 0xbb6dc91da77961bdULL);
}

TEST(SipHash, WithOneAndThreeRoundsGivesWhatTheDefinitionGives) {
  EXPECT_EQ(hash(kKey, kCounting.substr(0, 16), 1, 3), 0xcc4fdd1a7d908b66ULL);
  EXPECT_EQ(hash(kKey, kCounting.substr(0, 18), 1, 3), 0x8ffc389cb473e63eULL);
  EXPECT_EQ(hash(kKey, kCounting.substr(0, 23), 1, 3), 0x525a0e7fdae6c123ULL);
}

TEST(SipHash, WithOneAndThreeRoundsGivesWhatCPythonGives) {  // 3.11, with PYTHONHASHSEED=0
  const std::string_view zero{"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16};
  EXPECT_EQ(hash(zero, "abcdefghijklmnop", 1, 3), 0x94f60d3d29e6a312ULL);
  EXPECT_EQ(hash(zero, "abcdefghijklmnopqr", 1, 3), 0xb26bb0c0ba2d6627ULL);
}

}  // namespace
}  // namespace weir::steering
