#include "weir/wire/mask.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "bytes.h"

namespace weir::wire {
namespace {

constexpr MaskKey kKey{std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};

class MaskKernels : public testing::TestWithParam<MaskKernel> {};

/// No byte equals a byte of the key or its neighbour by chance for long.
Bytes pattern(std::size_t size) {
  Bytes bytes(size);
  std::uint32_t state = 1;
  for (std::byte& byte : bytes) {
    state = state * 1'664'525 + 1'013'904'223;
    byte = static_cast<std::byte>(state >> 24);
  }
  return bytes;
}

TEST(Mask, TheScalarDefinitionIsThatOfTheRfc) {
  Bytes hello = to_bytes("\x7f\x9f\x4d\x51\x58");  // RFC 6455, section 5.7
  apply_mask_scalar(hello, kKey, 0);
  EXPECT_EQ(to_text(hello), "Hello");
}

TEST(Mask, TheScalarDefinitionGoesOnAtThePhase) {
  Bytes hello = to_bytes("\x7f\x9f\x4d\x51\x58");
  apply_mask_scalar(std::span{hello}.first(3), kKey, 0);
  apply_mask_scalar(std::span{hello}.subspan(3), kKey, 3);
  EXPECT_EQ(to_text(hello), "Hello");
}

TEST(Mask, TheLastKernelIsPortableSoThatThereIsAlwaysOne) {
  ASSERT_FALSE(mask_kernels().empty());
  EXPECT_EQ(mask_kernels().back().name, "portable");
}

TEST(Mask, ApplyMaskIsTheFirstKernel) {
  const Bytes original = pattern(1'000);
  Bytes expected = original;
  mask_kernels().front().apply(expected, kKey, 1);
  Bytes actual = original;
  apply_mask(actual, kKey, 1);
  EXPECT_EQ(actual, expected);
}

TEST_P(MaskKernels, AgreeWithTheScalarAndTouchNothingElse) {
  constexpr std::size_t kAlignment = 64;
  constexpr std::size_t kLengthMax = 1'024;
  constexpr std::size_t kMargin = 64;  // as wide as the widest vector
  const Bytes original = pattern(kMargin + kAlignment + kLengthMax + kMargin);
  Bytes storage(original.size() + kAlignment);
  void* start = storage.data();
  std::size_t space = storage.size();
  ASSERT_NE(std::align(kAlignment, original.size(), start, space), nullptr);
  const std::span<std::byte> buffer{static_cast<std::byte*>(start), original.size()};

  for (std::size_t phase = 0; phase < 4; ++phase) {
    // Masked once by definition for the longest run: the shorter ones are its beginnings.
    for (std::size_t align = 0; align < kAlignment; ++align) {
      const std::size_t begin = kMargin + align;
      Bytes masked = original;
      apply_mask_scalar(std::span{masked}.subspan(begin, kLengthMax), kKey, phase);
      for (std::size_t length = 0; length <= kLengthMax; ++length) {
        std::ranges::copy(original, buffer.begin());
        GetParam().apply(buffer.subspan(begin, length), kKey, phase);
        const auto at = [](auto& bytes, std::size_t index) {
          return bytes.begin() + static_cast<std::ptrdiff_t>(index);
        };
        const bool agrees =
            std::equal(at(buffer, 0), at(buffer, begin), original.begin()) &&
            std::equal(at(buffer, begin), at(buffer, begin + length), at(masked, begin)) &&
            std::equal(at(buffer, begin + length), buffer.end(), at(original, begin + length));
        ASSERT_TRUE(agrees) << "align " << align << ", length " << length << ", phase " << phase;
      }
    }
  }
}

TEST_P(MaskKernels, TakePhasesPastFour) {
  Bytes expected = pattern(100);
  Bytes actual = expected;
  apply_mask_scalar(expected, kKey, 7);
  GetParam().apply(actual, kKey, (std::size_t{1} << 40) + 7);
  EXPECT_EQ(actual, expected);
}

INSTANTIATE_TEST_SUITE_P(ThisCpu, MaskKernels,
                         testing::ValuesIn(mask_kernels().begin(), mask_kernels().end()),
                         [](const auto& kernel) { return std::string{kernel.param.name}; });

}  // namespace
}  // namespace weir::wire
