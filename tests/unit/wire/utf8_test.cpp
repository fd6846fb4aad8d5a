#include "weir/wire/utf8.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "bytes.h"

namespace weir::wire {
namespace {

using namespace std::string_view_literals;

/// The code point as UTF-8 would spell it, surrogates and what lies past U+10FFFF as well.
std::string spell(std::uint32_t code_point) {
  const auto tail = [code_point](int shift) {
    return static_cast<char>(0x80 | (code_point >> shift & 0x3f));
  };
  if (code_point < 0x80) return {static_cast<char>(code_point)};
  if (code_point < 0x800) return {static_cast<char>(0xc0 | code_point >> 6), tail(0)};
  if (code_point < 0x10000) return {static_cast<char>(0xe0 | code_point >> 12), tail(6), tail(0)};
  return {static_cast<char>(0xf0 | code_point >> 18), tail(12), tail(6), tail(0)};
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text});
}

constexpr std::size_t kNone = std::string_view::npos;

/// Where a byte-by-byte feed fails, or kNone.
std::size_t first_bad_byte(std::string_view text) {
  Utf8Validator validator;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!validator.feed(bytes_of(text.substr(i, 1)))) return i;
  }
  return kNone;
}

std::string between(std::string_view front, std::string_view text, std::string_view back) {
  std::string all{front};
  all += text;
  all += back;
  return all;
}

std::string repeated(std::string_view letter, std::size_t times) {
  std::string text;
  while (times-- > 0) text += letter;
  return text;
}

/// Feeds `text` whole and in two at every position, in front of and behind enough letters to reach
/// the paths that look at many bytes at once, and expects each feed to fail exactly when the
/// bytes up to its end hold the first bad one.
void expect_first_bad_byte(std::string_view text, std::size_t expected) {
  ASSERT_EQ(first_bad_byte(text), expected) << to_hex(text);
  struct Padding {
    std::string_view letter;
    std::size_t times;
  };
  constexpr Padding paddings[] = {{"a", 0},
                                  {"a", 1},
                                  {"a", 7},
                                  {"a", 8},
                                  {"a", 63},
                                  {"a", 64},
                                  {"a", 65},
                                  {"\xc3\xa9", 31},
                                  {"\xc3\xa9", 33},
                                  {"\xe6\x97\xa5", 43},
                                  {"\xf0\x9f\x8c\x8a", 17}};
  for (const auto [letter, times] : paddings) {
    const std::string front = repeated(letter, times);
    const std::string padded = between(front, text, front);
    const std::size_t bad = expected == kNone ? kNone : front.size() + expected;
    for (std::size_t cut = 0; cut <= padded.size(); ++cut) {
      Utf8Validator validator;
      ASSERT_EQ(validator.feed(bytes_of(padded).first(cut)), bad == kNone || cut <= bad)
          << to_hex(padded) << " cut at " << cut;
      ASSERT_EQ(validator.feed(bytes_of(padded).subspan(cut)), bad == kNone)
          << to_hex(padded) << " cut at " << cut;
    }
  }
}

/// More than is looked at one sequence at a time.
const std::string kLong = repeated("\xc3\xa9", 40);

TEST(Utf8, EveryCodePointIsValidButTheSurrogates) {
  for (std::uint32_t code_point = 0; code_point <= 0x10ffff; ++code_point) {
    const bool is_surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
    const std::string text = spell(code_point);
    ASSERT_EQ(is_utf8(bytes_of(text)), !is_surrogate) << to_hex(text);
    // Once more where enough bytes follow to look at four at a time.
    ASSERT_EQ(is_utf8(bytes_of(text + "abc")), !is_surrogate) << to_hex(text);
    // In a long text, and at its end.
    ASSERT_EQ(is_utf8(bytes_of(between(kLong, text, kLong))), !is_surrogate) << to_hex(text);
    ASSERT_EQ(is_utf8(bytes_of(kLong + text)), !is_surrogate) << to_hex(text);
    // And byte by byte; a surrogate is certain at its second byte.
    ASSERT_EQ(first_bad_byte(text), is_surrogate ? 1 : kNone) << to_hex(text);
  }
}

TEST(Utf8, NothingPastTheLastCodePointIsValid) {
  for (std::uint32_t code_point = 0x110000; code_point <= 0x1fffff; ++code_point) {
    const std::string text = spell(code_point);
    const std::size_t certain = code_point < 0x140000 ? 1 : 0;  // F4 90 to F4 BF; F5 to F7
    ASSERT_EQ(first_bad_byte(text), certain) << to_hex(text);
    ASSERT_FALSE(is_utf8(bytes_of(text + "abc"))) << to_hex(text);
    ASSERT_FALSE(is_utf8(bytes_of(kLong + text))) << to_hex(text);
  }
}

TEST(Utf8, NoOverlongFormIsValid) {
  for (std::uint32_t code_point = 0; code_point < 0x10000; ++code_point) {
    const auto tail = [code_point](int shift) {
      return static_cast<char>(0x80 | (code_point >> shift & 0x3f));
    };
    const std::string of_four{'\xf0', tail(12), tail(6), tail(0)};
    ASSERT_EQ(first_bad_byte(of_four), 1U) << to_hex(of_four);
    ASSERT_FALSE(is_utf8(bytes_of(of_four))) << to_hex(of_four);
    ASSERT_FALSE(is_utf8(bytes_of(kLong + of_four))) << to_hex(of_four);
    if (code_point >= 0x800) continue;
    const std::string of_three{'\xe0', tail(6), tail(0)};
    ASSERT_EQ(first_bad_byte(of_three), 1U) << to_hex(of_three);
    ASSERT_FALSE(is_utf8(bytes_of(of_three + "a"))) << to_hex(of_three);
    ASSERT_FALSE(is_utf8(bytes_of(between(kLong, of_three, kLong)))) << to_hex(of_three);
    if (code_point >= 0x80) continue;
    const std::string of_two{static_cast<char>(0xc0 | code_point >> 6), tail(0)};
    ASSERT_EQ(first_bad_byte(of_two), 0U) << to_hex(of_two);
    ASSERT_FALSE(is_utf8(bytes_of(of_two + "ab"))) << to_hex(of_two);
  }
}

/// What RFC 3629 says of two bytes; they may end inside a sequence.
std::size_t bad_byte_of_two(unsigned first, unsigned second) {
  const auto is_lead = [](unsigned byte) { return byte < 0x80 || (byte >= 0xc2 && byte <= 0xf4); };
  if (!is_lead(first)) return 0;
  if (first < 0x80) return is_lead(second) ? kNone : 1;
  const unsigned low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const unsigned high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  return second >= low && second <= high ? kNone : 1;
}

TEST(Utf8, EachPairOfBytesFailsWhereItMust) {
  for (unsigned first = 0; first < 256; ++first) {
    for (unsigned second = 0; second < 256; ++second) {
      const std::string text{static_cast<char>(first), static_cast<char>(second)};
      const std::size_t expected = bad_byte_of_two(first, second);
      ASSERT_EQ(first_bad_byte(text), expected) << to_hex(text);
      Utf8Validator validator;
      ASSERT_EQ(validator.feed(bytes_of(text)), expected == kNone) << to_hex(text);
    }
  }
}

struct Utf8Case {
  std::string_view what;
  std::string_view text;
  std::size_t first_bad;
};

constexpr Utf8Case kUtf8Cases[] = {
    {"ASCII", "Hello", kNone},
    {"NUL is a character", "a\0b"sv, kNone},
    {"two, three and four bytes", "\xce\xba\xe1\xbd\xb9\xf0\x9f\x8c\x8a", kNone},
    {"the last code point", "\xf4\x8f\xbf\xbf", kNone},
    {"a noncharacter is allowed", "\xef\xbf\xbf", kNone},
    {"Greek with spaces", "\xce\xb1 \xce\xb2 \xce\xb3 abc \xce\xb4", kNone},
    {"a stray continuation byte", "ab\x80", 2},
    {"a stray continuation byte after a sequence", "\xc3\xa9\xa9", 2},
    {"one past the last code point", "\xf4\x90\x80\x80", 1},
    {"F5 begins nothing", "a\xf5\x80\x80\x80", 1},
    {"FE and FF begin nothing", "abc\xfe\xff", 3},
    {"a high surrogate", "\xed\xa0\x80", 1},
    {"the last surrogate", "\xed\xbf\xbf", 1},
    {"/ in two bytes", "\xc0\xaf", 0},
    {"/ in three bytes", "\xe0\x80\xaf", 1},
    {"/ in four bytes", "\xf0\x80\x80\xaf", 1},
    {"two bytes cut short by ASCII", "\xc3z", 1},
    {"three bytes cut short by ASCII", "\xe2\x82z", 2},
    {"four bytes cut short by ASCII", "\xf0\x9f\x8cz", 3},
    {"four bytes cut short by a first byte", "\xf0\x9f\xc3\xa9", 2},
    {"five bytes, as once there were", "\xf8\x88\x80\x80\x80", 0},
};

TEST(Utf8, FailsAtTheFirstBadByteHoweverTheTextIsCut) {
  for (const Utf8Case& c : kUtf8Cases) {
    SCOPED_TRACE(c.what);
    expect_first_bad_byte(c.text, c.first_bad);
  }
}

TEST(Utf8, IsCompleteBetweenSequencesOnly) {
  Utf8Validator validator;
  EXPECT_TRUE(validator.complete()) << "an empty text is complete";
  const std::string_view text = "a\xf0\x9f\x8c\x8az";
  constexpr bool is_complete[] = {true, false, false, false, true, true};
  for (std::size_t i = 0; i < text.size(); ++i) {
    ASSERT_TRUE(validator.feed(bytes_of(text.substr(i, 1))));
    EXPECT_EQ(validator.complete(), is_complete[i]) << i;
  }
}

TEST(Utf8, StaysFailedUntilReset) {
  Utf8Validator validator;
  EXPECT_FALSE(validator.feed(bytes_of("\xff")));
  EXPECT_FALSE(validator.feed(bytes_of("fine")));
  EXPECT_FALSE(validator.feed({}));
  EXPECT_FALSE(validator.complete());
  validator.reset();
  EXPECT_TRUE(validator.feed(bytes_of("fine")));
  EXPECT_TRUE(validator.complete());
}

}  // namespace
}  // namespace weir::wire
