// What a frame's header (RFC 6455, 5.2) says of lengths: its second byte of its own, and the bytes
// behind that of the payload's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "weir/wire/mask.h"

namespace weir::wire {

constexpr unsigned kMasked = 0x80;
constexpr unsigned kLength = 0x7f;
constexpr unsigned kLength16 = 126;  // the length is in the next two bytes
constexpr unsigned kLength64 = 127;  // in the next eight

inline unsigned to_unsigned(std::byte byte) noexcept {
  return std::to_integer<unsigned>(byte);
}

/// Of the whole header, told by its second byte.
inline std::size_t header_size(std::byte second) noexcept {
  const unsigned length = to_unsigned(second) & kLength;
  const std::size_t mask = to_unsigned(second) & kMasked ? sizeof(MaskKey) : 0;
  return 2 + mask + (length == kLength16 ? 2 : length == kLength64 ? 8 : 0);
}

/// `size` bytes in network byte order.
inline std::uint64_t read_big_endian(const std::byte* at, std::size_t size) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value = value << 8 | to_unsigned(at[i]);
  return value;
}

}  // namespace weir::wire
