// The validator's speeds: whole blocks of ASCII; simdjson's vectors from where a long piece is no
// longer ASCII; whole sequences in a short one; and step() for what a piece begins or ends inside
// of. simdjson is worth it from some 64 B on: 0.10 us for 1 KiB of German where sequences take
// 0.41, but 23 ns for 16 B where they take 10.
#include "weir/wire/utf8.h"

#include <simdjson.h>

#include <array>
#include <bit>
#include <cstring>

namespace weir::wire {
namespace {

/// What a first byte allows, after RFC 3629, section 4. Only the second byte's range depends on
/// the first: it is narrowed so that overlong forms (E0, F0), surrogates (ED) and what lies past
/// U+10FFFF (F4) fail right there.
struct Lead {
  std::uint8_t continuation_bytes;  // kBad: not a first byte
  std::uint8_t second_low;
  std::uint8_t second_high;
};
constexpr std::uint8_t kBad = 0xff;

constexpr Lead lead(std::uint8_t byte) noexcept {
  if (byte < 0x80) return {0, 0, 0};
  if (byte < 0xc2) return {kBad, 0, 0};  // continuation bytes, and C0, C1: overlong
  if (byte < 0xe0) return {1, 0x80, 0xbf};
  if (byte == 0xe0) return {2, 0xa0, 0xbf};
  if (byte == 0xed) return {2, 0x80, 0x9f};
  if (byte < 0xf0) return {2, 0x80, 0xbf};
  if (byte == 0xf0) return {3, 0x90, 0xbf};
  if (byte < 0xf4) return {3, 0x80, 0xbf};
  if (byte == 0xf4) return {3, 0x80, 0x8f};
  return {kBad, 0, 0};
}

template <class Word>
Word load(const std::uint8_t* at) noexcept {
  static_assert(std::endian::native == std::endian::little);
  Word word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

constexpr std::uint64_t kTopBits = 0x8080808080808080;
constexpr std::size_t kBlockBytes = 64;

/// Eight words ORed together, which compilers turn into vector operations of any width.
bool is_ascii_block(const std::uint8_t* at) noexcept {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < kBlockBytes; i += 8) bits |= load<std::uint64_t>(at + i);
  return (bits & kTopBits) == 0;
}

/// The first byte that is not ASCII, or `end`.
const std::uint8_t* skip_ascii(const std::uint8_t* at, const std::uint8_t* end) noexcept {
  while (static_cast<std::size_t>(end - at) >= kBlockBytes && is_ascii_block(at)) at += kBlockBytes;
  while (end - at >= 8) {
    const std::uint64_t tops = load<std::uint64_t>(at) & kTopBits;
    if (tops != 0) return at + std::countr_zero(tops) / 8;
    at += 8;
  }
  while (at < end && *at < 0x80) ++at;
  return at;
}

/// Past the valid sequences that `at` begins with: the path for text outside ASCII, with the odd
/// space between. Stops at four ASCII bytes in a row, which skip_ascii() does faster, at anything
/// bad, and within four bytes of `end`.
const std::uint8_t* skip_sequences(const std::uint8_t* at, const std::uint8_t* end) noexcept {
  while (end - at >= 4) {
    const auto word = load<std::uint32_t>(at);
    if ((word & 0x80) == 0) {
      if ((word & 0x80808080) == 0) return at;
      at += 1;
    } else if ((word & 0xc0e0) == 0x80c0) {
      if ((word & 0x1e) == 0) return at;  // C0 or C1: overlong
      at += 2;
    } else if ((word & 0xc0c0f0) == 0x8080e0) {
      const std::uint32_t top = (word & 0x0f) << 1 | (word >> 13 & 1);  // code point >> 11
      if (top == 0 || top == 0x1b) return at;  // overlong; U+D800 to U+DFFF
      at += 3;
    } else if ((word & 0xc0c0c0f8) == 0x808080f0) {
      const std::uint32_t plane = (word & 0x07) << 2 | (word >> 12 & 3);
      if (plane == 0 || plane > 16) return at;  // overlong; past U+10FFFF
      at += 4;
    } else {
      return at;
    }
  }
  return at;
}

/// Where the last sequence begins that `end` cuts short, if it does; else `end`. Of the bytes
/// before, whose sequences may be bad, none is open.
const std::uint8_t* last_cut(const std::uint8_t* begin, const std::uint8_t* end) noexcept {
  constexpr std::ptrdiff_t cut_bytes_max = 3;
  for (std::ptrdiff_t back = 1; back <= cut_bytes_max && back <= end - begin; ++back) {
    const std::uint8_t byte = *(end - back);
    if ((byte & 0xc0) == 0x80) continue;
    const std::uint8_t follow = lead(byte).continuation_bytes;
    return follow != kBad && follow >= back ? end - back : end;
  }
  return end;
}

constexpr std::ptrdiff_t kVectorFrom = 64;

}  // namespace

bool Utf8Validator::step(std::uint8_t byte) noexcept {
  if (pending_ == 0) {
    const Lead first = lead(byte);
    static_assert(kBad == kFailed);
    pending_ = first.continuation_bytes;
    low_ = first.second_low;
    high_ = first.second_high;
    return pending_ != kFailed;
  }
  if (byte < low_ || byte > high_) {
    pending_ = kFailed;
    return false;
  }
  --pending_;
  low_ = 0x80;
  high_ = 0xbf;
  return true;
}

bool Utf8Validator::feed(std::span<const std::byte> bytes) noexcept {
  if (pending_ == kFailed) return false;
  const auto* at = reinterpret_cast<const std::uint8_t*>(bytes.data());
  const std::uint8_t* const end = at + bytes.size();
  while (true) {
    while (pending_ != 0 && at < end) {
      if (!step(*at++)) return false;
    }
    at = skip_ascii(at, end);
    if (end - at >= kVectorFrom) {
      const std::uint8_t* const cut = last_cut(at, end);
      const auto bytes_before = static_cast<std::size_t>(cut - at);
      if (!simdjson::validate_utf8(reinterpret_cast<const char*>(at), bytes_before)) {
        pending_ = kFailed;
        return false;
      }
      at = cut;
    }
    at = skip_sequences(at, end);
    if (at == end) return true;
    // ASCII again, bad, or too near the end for skip_sequences().
    if (!step(*at++)) return false;
  }
}

Utf8Validator::State Utf8Validator::save() const noexcept {
  const bool inside = pending_ != 0 && pending_ != kFailed;
  if (!inside) return {.pending = pending_};
  return {.pending = pending_, .low = low_, .high = high_};
}

std::optional<Utf8Validator> Utf8Validator::restore(State state) noexcept {
  bool is_known = state == State{} || state == State{.pending = kFailed};
  // What a first byte leaves open. Past the second, a sequence stands as others do there: any of
  // 80 to bf is next.
  for (unsigned byte = 0xc2; byte <= 0xf4; ++byte) {
    const Lead first = lead(static_cast<std::uint8_t>(byte));
    is_known |= state == State{first.continuation_bytes, first.second_low, first.second_high};
  }
  if (!is_known) return {};
  Utf8Validator validator;
  validator.pending_ = state.pending;
  validator.low_ = state.low;
  validator.high_ = state.high;
  return validator;
}

bool is_utf8(std::span<const std::byte> bytes) noexcept {
  Utf8Validator text;
  return text.feed(bytes) && text.complete();
}

}  // namespace weir::wire
