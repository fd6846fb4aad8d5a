// The second byte of a frame's header (RFC 6455, 5.2), which says how long the header is.
#pragma once

#include <cstddef>

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

}  // namespace weir::wire
