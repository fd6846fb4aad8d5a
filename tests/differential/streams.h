// Streams of client frames, at random: whole conversations, and such as are broken in one of the
// ways that FrameError knows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "weir/wire/frame.h"

namespace weir::differential {

/// Numbers that are the same on every machine: distributions of the standard library are not.
class Random {
 public:
  explicit Random(std::uint32_t seed) : engine_{seed} {}
  /// 0 to `end` - 1.
  std::size_t below(std::size_t end) { return engine_() % end; }
  bool one_in(std::size_t n) { return below(n) == 0; }

 private:
  std::mt19937 engine_;
};

constexpr std::uint64_t kMessageBytesMax = 70'000;

/// What of FrameError a client's frames can show to a server that has agreed to no extension.
constexpr wire::FrameError kDefects[] = {
    wire::FrameError::unmasked,
    wire::FrameError::reserved_bits,
    wire::FrameError::reserved_opcode,
    wire::FrameError::length_not_minimal,
    wire::FrameError::length_too_big,
    wire::FrameError::control_too_long,
    wire::FrameError::control_fragmented,
    wire::FrameError::unexpected_continuation,
    wire::FrameError::expected_continuation,
    wire::FrameError::message_too_big,
    wire::FrameError::invalid_utf8,
    wire::FrameError::close_payload_of_one_byte,
    wire::FrameError::close_code_invalid,
    wire::FrameError::close_reason_invalid_utf8,
};

/// Up to a dozen frames, then the defect, should it not be `none`, then some more frames. The
/// defect is the first. Messages of up to kMessageBytesMax bytes.
[[nodiscard]] std::string make_stream(Random& random, wire::FrameError defect);

/// Sizes of pieces that add up to `bytes`: whole, byte by byte, or anything between.
[[nodiscard]] std::vector<std::size_t> make_pieces(Random& random, std::size_t bytes);

/// UTF-8 of about `bytes` bytes, with characters from every length and from the edges of each.
[[nodiscard]] std::string make_text(Random& random, std::size_t bytes);
[[nodiscard]] std::string make_bytes(Random& random, std::size_t bytes);

}  // namespace weir::differential
