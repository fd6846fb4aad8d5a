// Bytes as these tests write and cut them.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir::wire {

using Bytes = std::vector<std::byte>;

inline Bytes to_bytes(std::string_view text) {
  const auto bytes = std::as_bytes(std::span{text});
  return {bytes.begin(), bytes.end()};
}

inline std::string to_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// "81 05 48": for messages of failing tests.
inline std::string to_hex(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (!hex.empty()) hex += ' ';
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

/// The lengths of the pieces that a test feeds, one after another.
using Cut = std::vector<std::size_t>;

/// Calls `feed` with each way to cut `size` bytes that these tests try: whole, in two at every
/// position, and byte by byte.
inline void for_each_cut(std::size_t size, const std::function<void(const Cut&)>& feed) {
  feed({size});
  for (std::size_t at = 1; at < size; ++at) feed({at, size - at});
  if (size > 2) feed(Cut(size, 1));
}

}  // namespace weir::wire
