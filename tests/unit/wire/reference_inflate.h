// A decoder of DEFLATE (RFC 1951) for tests alone: slow and plain, written from the RFC, and with
// what libraries do not offer: it knows how far back each match refers.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::wire {

class ReferenceInflate {
 public:
  /// Matches that refer further back than `window_bytes` make the data corrupt.
  explicit ReferenceInflate(std::size_t window_bytes) : window_bytes_{window_bytes} {}

  /// The message that `payload` is compressed from (RFC 7692, 7.2.2), or nothing where it is no
  /// DEFLATE data. Matches may refer to messages before it, until forget().
  std::optional<std::string> message(std::string_view payload) {
    const std::string data = std::string{payload} + std::string{"\0\0\xff\xff", 4};
    in_ = data;
    bit_ = 0;
    const std::size_t begin = text_.size();
    while (bit_ < in_.size() * 8) {
      if (!block()) return {};
    }
    return text_.substr(begin);
  }

  void forget() { text_.clear(); }
  /// The longest that any match referred back.
  [[nodiscard]] std::size_t farthest() const { return farthest_; }

 private:
  static constexpr unsigned kBad = ~0U;

  /// Codes by their lengths, symbols in the order of their codes (3.2.2).
  struct Codes {
    std::array<unsigned, 16> count{};
    std::vector<unsigned> symbols;
  };

  /// `count` bits, the least significant first; kBad past the end.
  unsigned bits(unsigned count) {
    if (bit_ + count > in_.size() * 8) return kBad;
    unsigned value = 0;
    for (unsigned i = 0; i < count; ++i, ++bit_) {
      const unsigned byte = static_cast<unsigned char>(in_[bit_ / 8]);
      value |= (byte >> (bit_ % 8) & 1U) << i;
    }
    return value;
  }

  static Codes codes_for(const std::vector<unsigned>& lengths) {
    Codes codes;
    for (unsigned length = 1; length < 16; ++length) {
      for (unsigned symbol = 0; symbol < lengths.size(); ++symbol) {
        if (lengths[symbol] != length) continue;
        ++codes.count[length];
        codes.symbols.push_back(symbol);
      }
    }
    return codes;
  }

  unsigned symbol(const Codes& codes) {
    unsigned code = 0, first = 0, index = 0;
    for (unsigned length = 1; length < 16; ++length) {
      const unsigned bit = bits(1);
      if (bit == kBad) return kBad;
      code |= bit;
      if (code - first < codes.count[length]) return codes.symbols[index + (code - first)];
      index += codes.count[length];
      first = (first + codes.count[length]) << 1;
      code <<= 1;
    }
    return kBad;
  }

  bool block() {
    const unsigned final_block = bits(1), type = bits(2);
    if (type == 3 || type == kBad) return false;
    const bool taken = type == 0 ? stored() : type == 1 ? coded(fixed()) : dynamic();
    // Whatever follows a final block begins with a byte (RFC 7692, 7.2.1).
    if (final_block == 1) bit_ = (bit_ + 7) / 8 * 8;
    return taken;
  }

  bool stored() {
    bit_ = (bit_ + 7) / 8 * 8;
    const unsigned size = bits(16), complement = bits(16);
    if (complement == kBad || size != (~complement & 0xffff)) return false;
    for (unsigned i = 0; i < size; ++i) {
      const unsigned byte = bits(8);
      if (byte == kBad) return false;
      text_ += static_cast<char>(byte);
    }
    return true;
  }

  struct Pair {
    Codes literals, distances;
  };

  static Pair fixed() {
    std::vector<unsigned> lengths(288, 8);
    std::fill(lengths.begin() + 144, lengths.begin() + 256, 9U);
    std::fill(lengths.begin() + 256, lengths.begin() + 280, 7U);
    return {codes_for(lengths), codes_for(std::vector<unsigned>(30, 5))};
  }

  bool dynamic() {
    constexpr std::array<std::size_t, 19> kOrder{16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                 11, 4,  12, 3, 13, 2, 14, 1, 15};
    const unsigned literals = bits(5) + 257, distances = bits(5) + 1, lengths_coded = bits(4) + 4;
    std::vector<unsigned> code_lengths(19);
    for (unsigned i = 0; i < std::min(lengths_coded, 19U); ++i) {
      code_lengths[kOrder[i]] = bits(3);
      if (code_lengths[kOrder[i]] == kBad) return false;
    }
    const Codes codes = codes_for(code_lengths);
    std::vector<unsigned> lengths;
    while (lengths.size() < literals + distances) {
      const unsigned found = symbol(codes);
      if (found == kBad) return false;
      if (found < 16) {
        lengths.push_back(found);
        continue;
      }
      if (found == 16 && lengths.empty()) return false;
      const unsigned repeated = found == 16 ? lengths.back() : 0;
      const unsigned extra = found == 16 ? bits(2) : found == 17 ? bits(3) : bits(7);
      if (extra == kBad) return false;
      lengths.insert(lengths.end(), extra + (found == 18 ? 11 : 3), repeated);
    }
    if (lengths.size() != literals + distances) return false;
    const auto middle = lengths.begin() + literals;
    return coded({codes_for({lengths.begin(), middle}), codes_for({middle, lengths.end()})});
  }

  bool coded(const Pair& codes) {
    while (true) {
      const unsigned found = symbol(codes.literals);
      if (found == 256) return true;
      if (found < 256) {
        text_ += static_cast<char>(found);
      } else if (found > 285 || !match(found - 257, codes.distances)) {
        return false;
      }
    }
  }

  bool match(unsigned length_code, const Codes& distances) {
    constexpr std::array<unsigned, 29> kLengths{3,  4,  5,  6,   7,   8,   9,   10,  11, 13,
                                                15, 17, 19, 23,  27,  31,  35,  43,  51, 59,
                                                67, 83, 99, 115, 131, 163, 195, 227, 258};
    const unsigned length_bits = length_code < 8 || length_code == 28 ? 0 : length_code / 4 - 1;
    const unsigned longer = bits(length_bits);
    const unsigned code = symbol(distances);
    if (longer == kBad || code > 29) return false;
    const unsigned length = kLengths[length_code] + longer;
    const unsigned distance_bits = code < 4 ? 0 : code / 2 - 1;
    const unsigned base = code < 4 ? code + 1 : ((2 + code % 2) << distance_bits) + 1;
    const unsigned extra = bits(distance_bits);
    if (extra == kBad) return false;
    const std::size_t distance = base + extra;
    if (distance > text_.size() || distance > window_bytes_) return false;
    farthest_ = std::max(farthest_, distance);
    for (unsigned i = 0; i < length; ++i) text_ += text_[text_.size() - distance];
    return true;
  }

  std::size_t window_bytes_;
  std::string text_;  // all messages since forget()
  std::string_view in_;
  std::size_t bit_ = 0;  // the next of in_
  std::size_t farthest_ = 0;
};

}  // namespace weir::wire
