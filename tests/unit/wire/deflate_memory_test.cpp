// What contexts take of memory: all of it at once, and no more than the header says.
#include <gtest/gtest.h>
#include <malloc.h>

#include <array>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "bytes.h"
#include "weir/wire/deflate.h"

namespace weir::wire {
namespace {

/// Of the heap and of blocks with a mapping of their own.
std::size_t bytes_allocated() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

struct Measured {
  std::size_t deflater = 0;
  std::size_t inflater = 0;
  std::size_t message = 0;
};

using MeasuredByBits = std::array<Measured, kWindowBitsMax + 1>;

void measure(MeasuredByBits& measured) {
  const Bytes text(100'000, std::byte{'x'});
  Bytes payload(200'000), room(200'000);
  // All are kept, so that none is made of what another gave back; nothing else allocates.
  std::vector<Deflater> deflaters;
  std::vector<Inflater> inflaters;
  deflaters.reserve(8);
  inflaters.reserve(8);
  for (std::uint8_t bits = kWindowBitsMin; bits <= kWindowBitsMax; ++bits) {
    std::size_t before = bytes_allocated();
    const auto since = [&] { return bytes_allocated() - std::exchange(before, bytes_allocated()); };
    deflaters.emplace_back(bits, true);
    measured[bits].deflater = since();
    inflaters.emplace_back(bits, true);
    measured[bits].inflater = since();
    std::span<const std::byte> in =
        std::span{payload}.first(deflaters.back().deflate(text, payload));
    (void)inflaters.back().inflate(in, true, std::span{room}.first(1'000));
    (void)inflaters.back().inflate(in, true, room);
    measured[bits].message = since();
  }
}

TEST(DeflateMemory, IsWhatTheWindowCallsFor) {
  if (bytes_allocated() == 0) GTEST_SKIP() << "a sanitizer's allocator, which does not count";
  MeasuredByBits measured;
  // A thread begins with a heap of its own: in the program's there is what others gave back, which
  // malloc counts as allocated all the time.
  std::thread{measure, std::ref(measured)}.join();
  for (std::uint8_t bits = kWindowBitsMin; bits <= kWindowBitsMax; ++bits) {
    SCOPED_TRACE(static_cast<unsigned>(bits));
    EXPECT_LE(measured[bits].deflater, deflater_bytes(bits));
    EXPECT_GT(measured[bits].deflater, deflater_bytes(bits) * 9 / 10);
    EXPECT_LE(measured[bits].inflater, inflater_bytes(bits));
    EXPECT_GT(measured[bits].inflater, inflater_bytes(bits) * 8 / 10);
    EXPECT_EQ(measured[bits].message, 0U) << "nothing is allocated for a message";
  }
}

}  // namespace
}  // namespace weir::wire
