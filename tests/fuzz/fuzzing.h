// What the fuzz targets share: choices taken from the front of the input, the rest cut into
// pieces, and checks that hold in every build (assert() does not).
//
// A target is one LLVMFuzzerTestOneInput(): libFuzzer's main() drives it in the fuzz preset, and
// replay.cpp over the corpus in all others. It keeps nothing from one input to the next.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace weir::fuzz {

/// A find: says what did not hold, and ends the process so that the input is kept.
inline void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "weir fuzz: it does not hold that %s\n", what);
  std::abort();
}

/// The first bytes of an input choose options; where they are missing, all choices are 0.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) noexcept : rest_{data, size} {}

  std::uint8_t byte() noexcept {
    if (rest_.empty()) return 0;
    const std::uint8_t first = rest_.front();
    rest_ = rest_.subspan(1);
    return first;
  }
  /// Two bytes, the low one first.
  std::size_t number() noexcept {
    const std::size_t low = byte();
    return low | static_cast<std::size_t>(byte()) << 8;
  }
  /// All that is left.
  [[nodiscard]] std::string_view rest() const noexcept {
    return {reinterpret_cast<const char*>(rest_.data()), rest_.size()};
  }

 private:
  std::span<const std::uint8_t> rest_;
};

/// The lengths of the pieces that an input is fed in, one after another.
using Cut = std::vector<std::size_t>;

inline Cut pieces_of(std::size_t piece, std::size_t size) {
  Cut cut(size / piece, piece);
  if (size % piece != 0) cut.push_back(size % piece);
  return cut;
}

/// Whole first, then byte by byte, in two, and in equal pieces, as `seed` (16 bits of the input)
/// says. A parser knows no more of a cut than what it kept before it: these find each kind.
inline std::vector<Cut> cuts_of(std::size_t size, std::size_t seed) {
  if (size < 2) return {{size}};
  const std::size_t at = 1 + seed % (size - 1);
  return {{size}, pieces_of(1, size), {at, size - at}, pieces_of(2 + seed % 61, size)};
}

/// A piece of the input in memory of its exact size, so that a byte read or written past either
/// end is seen.
class Piece {
 public:
  /// Takes `size` bytes off the front of `text`.
  Piece(std::string_view& text, std::size_t size) : bytes_(size) {
    std::copy_n(std::as_bytes(std::span{text}).begin(), size, bytes_.begin());
    text.remove_prefix(size);
  }
  [[nodiscard]] std::span<std::byte> all() noexcept { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

inline std::string to_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace weir::fuzz
