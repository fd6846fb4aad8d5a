// The inflating half of permessage-deflate, on zlib: what it is fed is a stranger's, and zlib is
// C that sanitizers see through, as ISA-L's assembly is not. It is also the faster of the two
// below 1 KiB, though not above (bench/README.md).
#define ZLIB_CONST
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <limits>
#include <new>

#include "weir/wire/deflate.h"

namespace weir::wire {
namespace {

/// What the sender removed (RFC 7692, 7.2.2).
constexpr std::array<std::byte, 4> kTail{std::byte{0x00}, std::byte{0x00}, std::byte{0xff},
                                         std::byte{0xff}};

// What zlib says of its place in the stream, in data_type.
constexpr int kUnusedBits = 63;   // of the last byte taken
constexpr int kInLastBlock = 64;  // a block with BFINAL
constexpr int kAtBlockBoundary = 128;

/// As much of a span as zlib takes at once.
uInt to_size(std::size_t bytes) noexcept {
  return static_cast<uInt>(std::min<std::size_t>(bytes, std::numeric_limits<uInt>::max()));
}

/// Z_BUF_ERROR is none: nothing could be done for want of bytes or room.
bool is_error(int result) noexcept {
  return result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR;
}

/// Only after a run with Z_BLOCK.
bool at_block_boundary(const z_stream& stream) noexcept {
  return (stream.data_type & kAtBlockBoundary) != 0;
}
/// And of a block that is neither final nor ends inside a byte.
bool at_whole_byte_after_block(const z_stream& stream) noexcept {
  return (stream.data_type & (kAtBlockBoundary | kInLastBlock | kUnusedBits)) == kAtBlockBoundary;
}

}  // namespace

struct Inflater::State {
  State(std::uint8_t bits, bool keeps_context) : takeover{keeps_context}, window_bits{bits} {
    if (inflateInit2(&stream_, -static_cast<int>(bits)) != Z_OK) throw std::bad_alloc{};
    // zlib allocates its window when it first has something to keep. Better now than then.
    const Bytef any = 0;
    if (inflateSetDictionary(&stream_, &any, 1) != Z_OK) {
      inflateEnd(&stream_);
      throw std::bad_alloc{};
    }
    forget();
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { inflateEnd(&stream_); }

  /// Outcomes as Step::Kind, of everything but the tail: all of `in` is taken, or `out` is full.
  Step::Kind take(std::span<const std::byte>& in, std::span<std::byte>& out) noexcept;
  /// Takes the tail, and says whether the message is whole.
  Step::Kind take_tail(std::span<std::byte>& out) noexcept;
  /// The message is whole; the next may refer to it or not.
  void end_message() noexcept {
    if (!takeover) inflateReset(&stream_);
    between_runs_ = true;
    tail_ = kTail;
  }
  /// The next message refers to nothing.
  void forget() noexcept {
    inflateReset(&stream_);
    end_message();
  }

  /// Between messages the window is the whole of a stream's state: end_message() comes only after
  /// a block that ended on a byte, or a final one, after which a new run begins.
  std::size_t window(std::span<std::byte, kWindowBytesMax> out) noexcept {
    assert(between_runs_ && tail_.size() == kTail.size());
    uInt size = 0;
    inflateGetDictionary(&stream_, reinterpret_cast<Bytef*>(out.data()), &size);
    return size;
  }
  void refer_to(std::span<const std::byte> window) noexcept {
    // On a raw stream at any time (zlib.h). Of more than its window it takes the end.
    [[maybe_unused]] const int result = inflateSetDictionary(
        &stream_, reinterpret_cast<const Bytef*>(window.data()), static_cast<uInt>(window.size()));
    assert(result == Z_OK);  // the window was allocated by the constructor
  }

  bool takeover;
  std::uint8_t window_bits;
  bool failed = false;  // only with takeover: without, the next message knows nothing of it

 private:
  struct Run {
    int result;
    bool moved;  // bytes were read or written
  };
  Run run(std::span<const std::byte>& in, std::span<std::byte>& out, int flush) noexcept;

  z_stream stream_{};
  /// The message has not begun, or a final block ended with the last byte taken: what follows is
  /// a new run of the sender's compressor, or nothing.
  bool between_runs_ = true;
  std::span<const std::byte> tail_ = kTail;  // what is left of it to take
};

/// Lets zlib go as far as it can.
Inflater::State::Run Inflater::State::run(std::span<const std::byte>& in, std::span<std::byte>& out,
                                          int flush) noexcept {
  Bytef nowhere = 0;  // zlib takes no null pointer, not even to nothing
  const uInt in_size = to_size(in.size());
  const uInt out_size = to_size(out.size());
  stream_.next_in = in.empty() ? &nowhere : reinterpret_cast<const Bytef*>(in.data());
  stream_.avail_in = in_size;
  stream_.next_out = out.empty() ? &nowhere : reinterpret_cast<Bytef*>(out.data());
  stream_.avail_out = out_size;
  const int result = ::inflate(&stream_, flush);
  in = in.subspan(in_size - stream_.avail_in);
  out = out.subspan(out_size - stream_.avail_out);

  if (stream_.avail_in < in_size) between_runs_ = false;
  if (result == Z_STREAM_END) {
    // A final block: the next run begins with the next byte (7.2.1), and may refer back past it.
    // Hence not inflateReset(), which forgets the window.
    inflateResetKeep(&stream_);
    between_runs_ = true;
  }
  return {result, stream_.avail_in < in_size || stream_.avail_out < out_size};
}

Inflater::Step::Kind Inflater::State::take(std::span<const std::byte>& in,
                                           std::span<std::byte>& out) noexcept {
  while (!in.empty()) {
    const auto [result, moved] = run(in, out, Z_SYNC_FLUSH);
    if (is_error(result)) return Step::Kind::corrupt;
    if (moved || result == Z_STREAM_END) continue;
    return out.empty() ? Step::Kind::more_room : Step::Kind::corrupt;
  }
  return Step::Kind::done;
}

Inflater::Step::Kind Inflater::State::take_tail(std::span<std::byte>& out) noexcept {
  while (true) {
    // Neither an empty payload nor one that ends with a final block is what 7.2.1 makes of any
    // message, and with a tail neither is DEFLATE data. Both are sent all the same, and whole.
    if (between_runs_ && tail_.size() == kTail.size()) return Step::Kind::done;
    // Z_BLOCK returns after each block, which is the only time that zlib tells of a boundary.
    const auto [result, moved] = run(tail_, out, Z_BLOCK);
    if (is_error(result)) return Step::Kind::corrupt;
    if (tail_.empty() && (between_runs_ || at_whole_byte_after_block(stream_))) {
      return Step::Kind::done;
    }
    if (moved || result == Z_STREAM_END || at_block_boundary(stream_)) continue;
    return out.empty() ? Step::Kind::more_room : Step::Kind::corrupt;  // corrupt: it is cut short
  }
}

Inflater::Inflater(std::uint8_t window_bits, bool takeover)
    : state_{std::make_unique<State>(window_bits, takeover)} {
  assert(window_bits >= kWindowBitsMin && window_bits <= kWindowBitsMax);
}
Inflater::Inflater(Inflater&&) noexcept = default;
Inflater& Inflater::operator=(Inflater&&) noexcept = default;
Inflater::~Inflater() = default;

Inflater::Step Inflater::inflate(std::span<const std::byte>& in, bool last,
                                 std::span<std::byte> out) noexcept {
  if (state_->failed) return {Step::Kind::corrupt, 0};
  const std::size_t size = out.size();
  Step::Kind kind = state_->take(in, out);
  if (kind == Step::Kind::done && last) {
    kind = state_->take_tail(out);
    if (kind == Step::Kind::done) state_->end_message();
  }
  if (kind == Step::Kind::corrupt) {
    state_->failed = state_->takeover;
    state_->forget();
  }
  return {kind, size - out.size()};
}

Inflater Inflater::restore(std::uint8_t window_bits, std::span<const std::byte> window) {
  Inflater inflater{window_bits, true};
  if (!window.empty()) inflater.state_->refer_to(window);
  return inflater;
}

std::size_t Inflater::window(std::span<std::byte, kWindowBytesMax> out) const noexcept {
  assert(state_->takeover && !state_->failed);
  return state_->window(out);
}

std::uint8_t Inflater::window_bits() const noexcept {
  return state_->window_bits;
}

void Inflater::reset() noexcept {
  assert(!state_->takeover);
  state_->forget();
}

}  // namespace weir::wire
