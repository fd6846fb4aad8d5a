#include "weir/session/block_pool.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <string>
#include <vector>

namespace weir::session {
namespace {

std::span<const std::byte> in_bytes(std::string_view text) {
  return std::as_bytes(std::span{text});
}

TEST(BlockPool, AppendingKeepsWhatWasThereThroughEveryGrowth) {
  BlockPool pool;
  Block block;
  std::string expected;
  for (int i = 0; i < 20'000; ++i) {
    const std::string piece = std::to_string(i) + ",";
    pool.append(block, in_bytes(piece));
    expected += piece;
  }
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(block.data), block.size), expected);
  pool.give_back(block);
  EXPECT_EQ(block.data, nullptr);
  EXPECT_EQ(block.size, 0U);
}

TEST(BlockPool, ABlockGivenBackIsTheNextOneTaken) {
  BlockPool pool;
  Block first;
  pool.append(first, in_bytes("x"));
  const std::byte* where = first.data;
  pool.give_back(first);
  Block second;
  pool.append(second, in_bytes("y"));
  EXPECT_EQ(second.data, where) << "warm, and no allocation";
  EXPECT_EQ(second.size, 1U);
  pool.give_back(second);
}

TEST(BlockPool, SizesAreMetExactlyAtTheirEdges) {
  BlockPool pool;
  for (const std::size_t size : {1U, 1'023U, 1'024U, 1'025U, 65'536U, 65'537U, 1U << 20}) {
    Block block;
    EXPECT_EQ(pool.extend(block, size).size(), size);
    EXPECT_GE(block.capacity, size);
    EXPECT_EQ(block.size, size);
    pool.give_back(block);
  }
}

TEST(BlockPool, LargeOnesAreKeptToo) {
  BlockPool pool;
  Block first;
  (void)pool.extend(first, 300'000);
  const std::byte* where = first.data;
  pool.give_back(first);
  Block second;
  (void)pool.extend(second, 400'000);
  EXPECT_EQ(second.data, where);
  pool.give_back(second);
}

TEST(BlockPool, WhatIsKeptOfThemIsBounded) {
  constexpr std::size_t kMiB = 1 << 20;
  const auto held = [] { return mallinfo2().hblkhd + mallinfo2().uordblks; };
  if (held() == 0) GTEST_SKIP() << "a sanitizer's allocator, which does not count";
  BlockPool pool;
  std::vector<Block> blocks(32);
  const std::size_t before = held();
  for (int round = 0; round < 3; ++round) {
    for (Block& block : blocks) (void)pool.extend(block, kMiB);
    EXPECT_GE(held() - before, 32 * kMiB);
    for (Block& block : blocks) pool.give_back(block);
    EXPECT_LE(held() - before, 9 * kMiB) << "eight, and the lists";
    EXPECT_GE(held() - before, 8 * kMiB);
  }
}

TEST(BlockPool, GivingBackNothingIsFine) {
  BlockPool pool;
  Block block;
  pool.give_back(block);
  pool.append(block, {});
  EXPECT_EQ(block.data, nullptr);
}

}  // namespace
}  // namespace weir::session
