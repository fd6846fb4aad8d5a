#include "weir/wire/mask.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "bytes.h"

namespace weir::wire {
namespace {

constexpr MaskKey kMaskKey{std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kLengthMax = 1'024;
constexpr std::size_t kMargin = 64;  // as wide as the widest vector

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
  apply_mask_scalar(hello, kMaskKey, 0);
  EXPECT_EQ(to_text(hello), "Hello");
}

TEST(Mask, TheScalarDefinitionGoesOnAtThePhase) {
  Bytes hello = to_bytes("\x7f\x9f\x4d\x51\x58");
  apply_mask_scalar(std::span{hello}.first(3), kMaskKey, 0);
  apply_mask_scalar(std::span{hello}.subspan(3), kMaskKey, 3);
  EXPECT_EQ(to_text(hello), "Hello");
}

TEST(Mask, TheLastKernelIsPortableSoThatThereIsAlwaysOne) {
  ASSERT_FALSE(mask_kernels().empty());
  EXPECT_EQ(mask_kernels().back().name, "portable");
}

TEST_P(MaskKernels, AgreeWithTheScalarAndTouchNothingElse) {
  const Bytes original = pattern(kMargin + kAlignment + kLengthMax + kMargin);
  Bytes storage(original.size() + kAlignment);
  void* start = storage.data();
  std::size_t space = storage.size();
  ASSERT_NE(std::align(kAlignment, original.size(), start, space), nullptr);
  auto* const buffer = static_cast<std::byte*>(start);

  for (std::size_t phase = 0; phase < 4; ++phase) {
    for (std::size_t begin = kMargin; begin < kMargin + kAlignment; ++begin) {
      // By definition, for the longest run: the shorter ones are its beginnings.
      Bytes masked = original;
      apply_mask_scalar(std::span{masked}.subspan(begin, kLengthMax), kMaskKey, phase);
      for (std::size_t length = 0; length <= kLengthMax; ++length) {
        const std::size_t margin = begin - kMargin;
        const std::size_t end = begin + length;
        std::memcpy(buffer + margin, original.data() + margin, end + kMargin - margin);
        GetParam().apply({buffer + begin, length}, kMaskKey, phase);
        const bool agrees = std::memcmp(buffer + margin, original.data() + margin, kMargin) == 0 &&
                            std::memcmp(buffer + begin, masked.data() + begin, length) == 0 &&
                            std::memcmp(buffer + end, original.data() + end, kMargin) == 0;
        ASSERT_TRUE(agrees) << "align " << begin % kAlignment << ", length " << length << ", phase "
                            << phase;
      }
    }
  }
}

TEST_P(MaskKernels, TakePhasesPastFour) {
  Bytes expected = pattern(100);
  Bytes actual = expected;
  apply_mask_scalar(expected, kMaskKey, 7);
  GetParam().apply(actual, kMaskKey, (std::size_t{1} << 40) + 7);
  EXPECT_EQ(actual, expected);
}

TEST_P(MaskKernels, SayWhetherTheResultIsAscii) {
  for (std::size_t length = 0; length <= 1'100; length += length < 300 ? 1 : 100) {
    Bytes text(length, std::byte{0x7f});
    apply_mask_scalar(text, kMaskKey, 1);
    EXPECT_TRUE(GetParam().apply(text, kMaskKey, 1)) << length;
    for (std::size_t at = 0; at < length; ++at) {
      text[at] = std::byte{0x80};
      apply_mask_scalar(text, kMaskKey, 2);
      ASSERT_FALSE(GetParam().apply(text, kMaskKey, 2)) << at << " of " << length;
      text[at] = std::byte{0x7f};
    }
  }
}

std::vector<MaskKernel> kernels_and_apply_mask() {
  std::vector<MaskKernel> all{mask_kernels().begin(), mask_kernels().end()};
  all.push_back({"apply_mask", apply_mask});
  return all;
}

INSTANTIATE_TEST_SUITE_P(ThisCpu, MaskKernels, testing::ValuesIn(kernels_and_apply_mask()),
                         [](const auto& kernel) { return std::string{kernel.param.name}; });

}  // namespace
}  // namespace weir::wire
