// BlockPool: the byte buffers of one worker's sessions. A block belongs to whoever took it; an
// idle session holds none. Blocks up to 4 MiB come from free lists and cost no allocation once
// warm, nor the page faults of memory that malloc has just mapped, which took two thirds of the
// time of a message of 256 KiB. What is kept is bounded, the large ones by their bytes together,
// so that a burst of large messages does not stay in memory for ever.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "weir/base/units.h"

namespace weir::session {

/// A growing run of bytes. A plain value, for it sits in every session twice: who holds it gives
/// it back to the pool it came from.
struct Block {
  std::byte* data = nullptr;
  std::uint32_t size = 0;  // bytes in use
  std::uint32_t capacity = 0;

  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {data, size}; }
};

class BlockPool {
 public:
  /// What a block can hold at the most. Whoever appends sees to it that this is never passed.
  static constexpr std::size_t kBytesMax = std::numeric_limits<std::uint32_t>::max();

  BlockPool() = default;
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;
  ~BlockPool();

  /// `bytes` more at the end of `block`, to be written by the caller. Grows it by doubling where
  /// needed, which moves it. Ends the process when there is no memory.
  [[nodiscard]] std::span<std::byte> extend(Block& block, std::size_t bytes);
  /// Room for at least `bytes` in all.
  void reserve(Block& block, std::size_t bytes) {
    if (bytes > block.capacity) grow(block, bytes);
  }
  void append(Block& block, std::span<const std::byte> bytes);

  /// Takes the block back; `block` is empty afterwards. An empty one is fine.
  void give_back(Block& block) noexcept;

 private:
  static constexpr std::size_t kSmallest = 256;
  static constexpr std::size_t kClasses = 15;  // 256 B, 512 B ... 4 MiB
  static constexpr std::size_t kLarge = 128_KiB;
  static constexpr std::size_t kKeptEach = 128;  // free blocks kept a class below that: 16 MiB
  static constexpr std::size_t kKeptLargeBytes = 8 << 20;  // and from there on together

  void grow(Block& block, std::size_t capacity);

  std::array<std::vector<std::byte*>, kClasses> free_;
  std::size_t kept_large_bytes_ = 0;
};

}  // namespace weir::session
