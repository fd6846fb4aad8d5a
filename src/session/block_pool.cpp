#include "weir/session/block_pool.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>

namespace weir::session {
namespace {

/// The free list that blocks of `capacity` belong to; nothing for those of malloc.
std::optional<std::size_t> class_of(std::size_t capacity, std::size_t smallest,
                                    std::size_t classes) noexcept {
  const auto index = static_cast<std::size_t>(std::countr_zero(capacity / smallest));
  if (index >= classes) return std::nullopt;
  return index;
}

}  // namespace

BlockPool::~BlockPool() {
  for (const auto& list : free_)
    for (std::byte* data : list) std::free(data);
}

std::span<std::byte> BlockPool::extend(Block& block, std::size_t bytes) {
  const std::size_t needed = block.size + bytes;
  assert(needed <= kBytesMax);
  if (needed > block.capacity) grow(block, needed);
  const std::span room{block.data + block.size, bytes};
  block.size = static_cast<std::uint32_t>(needed);
  return room;
}

void BlockPool::append(Block& block, std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  std::ranges::copy(bytes, extend(block, bytes.size()).begin());
}

void BlockPool::grow(Block& block, std::size_t needed) {
  // A power of two, but for the last doubling, which 32 bits cannot hold.
  const std::size_t capacity = std::min(std::bit_ceil(std::max(needed, kSmallest)), kBytesMax);
  Block bigger{
      .data = nullptr, .size = block.size, .capacity = static_cast<std::uint32_t>(capacity)};
  const auto list = class_of(capacity, kSmallest, kClasses);
  if (list && !free_[*list].empty()) {
    bigger.data = free_[*list].back();
    free_[*list].pop_back();
    if (capacity >= kLarge) kept_large_bytes_ -= capacity;
  } else {
    bigger.data = static_cast<std::byte*>(std::malloc(capacity));
    if (bigger.data == nullptr) throw std::bad_alloc{};
  }
  if (block.size > 0) std::memcpy(bigger.data, block.data, block.size);
  give_back(block);
  block = bigger;
}

void BlockPool::give_back(Block& block) noexcept {
  if (block.data != nullptr) {
    const auto list = class_of(block.capacity, kSmallest, kClasses);
    const bool large = block.capacity >= kLarge;
    const bool room = large ? kept_large_bytes_ + block.capacity <= kKeptLargeBytes
                            : list && free_[*list].size() < kKeptEach;
    if (list && room) {
      if (free_[*list].capacity() == 0) free_[*list].reserve(kKeptEach);
      free_[*list].push_back(block.data);
      if (large) kept_large_bytes_ += block.capacity;
    } else {
      std::free(block.data);
    }
  }
  block = Block{};
}

}  // namespace weir::session
