// Utf8Validator: is a text that arrives in pieces valid UTF-8 (RFC 3629)? Says no at the first
// byte after which no continuation could make it valid, not at the end of the text, as RFC 6455,
// section 8.1, has text messages fail.
//
// Nothing is decoded and nothing is stored but where in a sequence the text stands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace weir::wire {

class Utf8Validator {
 public:
  /// Takes the next piece of the text. False from the first byte on that makes the text invalid
  /// (overlong form, surrogate, past U+10FFFF, stray or missing continuation byte), and then for
  /// every later piece, even an empty one, until reset().
  [[nodiscard]] bool feed(std::span<const std::byte> bytes) noexcept;

  /// Whether the text so far is valid and does not end inside a sequence.
  [[nodiscard]] bool complete() const noexcept { return pending_ == 0; }

  /// Begins a new text.
  void reset() noexcept { pending_ = 0; }

  /// Where the text stands, for another validator to go on from; all 0 between sequences.
  struct State {
    std::uint8_t pending = 0;  // continuation bytes that the open sequence lacks; ff: it failed
    std::uint8_t low = 0;      // the next of them lies in low to high
    std::uint8_t high = 0;

    bool operator==(const State&) const = default;
  };
  [[nodiscard]] State save() const noexcept;
  /// Nothing where no text can lead to `state`.
  [[nodiscard]] static std::optional<Utf8Validator> restore(State state) noexcept;

 private:
  static constexpr std::uint8_t kFailed = 0xff;

  /// Takes one byte of a sequence that is open, or the first of one that `bytes` cuts short.
  bool step(std::uint8_t byte) noexcept;

  std::uint8_t pending_ = 0;  // continuation bytes the open sequence lacks, or kFailed
  std::uint8_t low_ = 0;      // the next of them lies in low_ to high_; set while pending_ > 0
  std::uint8_t high_ = 0;
};
static_assert(sizeof(Utf8Validator) <= 4, "one per session");

/// Whether `bytes` is a whole valid UTF-8 text.
[[nodiscard]] bool is_utf8(std::span<const std::byte> bytes) noexcept;

}  // namespace weir::wire
