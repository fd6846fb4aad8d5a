// The compressing half of permessage-deflate. Messages that stand alone go through Intel ISA-L,
// which is faster than zlib at the same size; those that refer to earlier ones through zlib, whose
// memory follows the window and whose window can be read out. bench/README.md has the figures.
#include <isa-l.h>
#define ZLIB_CONST
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <limits>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "weir/wire/deflate.h"

namespace weir::wire {
namespace {

/// What a flush ends with, and what a sender removes (RFC 7692, 7.2.1).
constexpr std::array<std::byte, 4> kTail{std::byte{0x00}, std::byte{0x00}, std::byte{0xff},
                                         std::byte{0xff}};
/// The first byte of an empty stored block: all of an empty message (7.2.3.6).
constexpr std::byte kEmptyBlock{0x00};

constexpr std::size_t kStoredBytesMax = 0xffff;  // RFC 1951, 3.2.4
constexpr std::size_t kBoundFixed = 64;

constexpr std::size_t bound_for(std::size_t bytes) noexcept {
  return bytes + bytes / 64 + kBoundFixed;
}

/// Writes `message` as it is, which fits in bound_for() whatever it holds, and returns how many
/// bytes that took.
std::size_t store(std::span<const std::byte> message, std::span<std::byte> out) noexcept {
  std::byte* at = out.data();
  while (!message.empty()) {
    const std::span<const std::byte> block =
        message.first(std::min(message.size(), kStoredBytesMax));
    message = message.subspan(block.size());
    const auto size = static_cast<unsigned>(block.size());
    *at++ = std::byte{0};  // not the last block, stored, and padding
    for (const unsigned half : {size, ~size}) {
      *at++ = static_cast<std::byte>(half);
      *at++ = static_cast<std::byte>(half >> 8);
    }
    at = std::ranges::copy(block, at).out;
  }
  *at++ = kEmptyBlock;
  return static_cast<std::size_t>(at - out.data());
}

/// The size of `flushed`, which a compressor wrote, without its tail.
std::optional<std::size_t> without_tail(std::span<const std::byte> flushed) noexcept {
  if (flushed.size() <= kTail.size()) return {};
  if (!std::ranges::equal(flushed.last(kTail.size()), kTail)) return {};
  return flushed.size() - kTail.size();
}

/// ISA-L's stream has fields of 32 bits. The sizes it is given are message and output sizes,
/// bounded by configuration far below that; larger ones are stored.
constexpr bool fits_32_bits(std::size_t size) noexcept {
  return size <= std::numeric_limits<std::uint32_t>::max() / 2;
}

}  // namespace

struct Deflater::State {
  class Alone;
  class InContext;
  static std::unique_ptr<State> make(std::uint8_t window_bits, bool takeover);

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  virtual ~State() = default;
  /// Compresses `message`, which is not empty; nothing where it does not fit in `out`, and then
  /// what was compressed before is forgotten.
  virtual std::optional<std::size_t> compress(std::span<const std::byte> message,
                                              std::span<std::byte> out) noexcept = 0;
  /// What the next message may refer to.
  virtual std::size_t window(std::span<std::byte, kWindowBytesMax> out) noexcept = 0;
};

/// Each message by itself.
class Deflater::State::Alone final : public State {
 public:
  explicit Alone(std::uint8_t window_bits) {
    isal_deflate_init(&stream_);
    isal_deflate_set_hufftables(&stream_, nullptr, IGZIP_HUFFTABLE_STATIC);  // for level 0
    stream_.hist_bits = window_bits;
    stream_.flush = SYNC_FLUSH;
    stream_.level_buf = tokens_.data();
    stream_.level_buf_size = static_cast<std::uint32_t>(tokens_.size());
  }

  std::optional<std::size_t> compress(std::span<const std::byte> message,
                                      std::span<std::byte> out) noexcept override {
    if (!fits_32_bits(out.size())) return {};
    // Codes of the message's own are worth their making, and their place in it, in larger ones.
    stream_.level = message.size() <= kFixedCodesBytesMax ? 0 : 1;
    isal_deflate_reset(&stream_);
    // It reads `next_in` and no more.
    stream_.next_in = reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(message.data()));
    stream_.avail_in = static_cast<std::uint32_t>(message.size());
    stream_.next_out = reinterpret_cast<std::uint8_t*>(out.data());
    stream_.avail_out = static_cast<std::uint32_t>(out.size());
    // Room that is left means that everything was flushed.
    if (isal_deflate(&stream_) != COMP_OK || stream_.avail_in != 0 || stream_.avail_out == 0) {
      return {};
    }
    return without_tail(out.first(out.size() - stream_.avail_out));
  }

  std::size_t window(std::span<std::byte, kWindowBytesMax> /*out*/) noexcept override { return 0; }

 private:
  static constexpr std::size_t kFixedCodesBytesMax = 128;

  isal_zstream stream_{};
  std::vector<std::uint8_t> tokens_ = std::vector<std::uint8_t>(ISAL_DEF_LVL1_DEFAULT);
};

/// Each message with those before it as its dictionary.
class Deflater::State::InContext final : public State {
 public:
  explicit InContext(std::uint8_t window_bits, std::span<const std::byte> before = {}) {
    // zlib has no raw window of 8 bits. In one of 9 it refers back 250 bytes at most (512 less its
    // look-ahead of 262), which is within the 256 of 8.
    const int bits = std::max<int>(window_bits, 9);
    // As many hash buckets (memLevel + 7 bits) as the window has bytes.
    const int mem_level = std::min(bits - 7, 8);
    // Level 4: the first that looks one byte ahead, which pays most in small windows.
    if (deflateInit2(&stream_, 4, Z_DEFLATED, -bits, mem_level, Z_DEFAULT_STRATEGY) != Z_OK) {
      throw std::bad_alloc{};
    }
    if (before.empty()) return;
    // Allowed on a raw stream that has not begun (zlib.h). Of more than its window it takes the
    // end.
    [[maybe_unused]] const int result = deflateSetDictionary(
        &stream_, reinterpret_cast<const Bytef*>(before.data()), static_cast<uInt>(before.size()));
    assert(result == Z_OK);
  }
  ~InContext() override { deflateEnd(&stream_); }

  std::optional<std::size_t> compress(std::span<const std::byte> message,
                                      std::span<std::byte> out) noexcept override {
    if (!fits_32_bits(out.size())) return forget();
    stream_.next_in = reinterpret_cast<const Bytef*>(message.data());
    stream_.avail_in = static_cast<uInt>(message.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    const int result = ::deflate(&stream_, Z_SYNC_FLUSH);
    // Room that is left means that everything was flushed.
    if (result != Z_OK || stream_.avail_in != 0 || stream_.avail_out == 0) return forget();
    return without_tail(out.first(out.size() - stream_.avail_out));
  }

  /// The window is the whole of a stream's state here: each message ended with Z_SYNC_FLUSH and
  /// room to spare, so that all input is consumed, no block is open, and the output ends on a
  /// byte. Codes are each block's own. What else zlib keeps, it makes again from the window: hash
  /// chains.
  std::size_t window(std::span<std::byte, kWindowBytesMax> out) noexcept override {
    uInt size = 0;
    deflateGetDictionary(&stream_, reinterpret_cast<Bytef*>(out.data()), &size);
    return size;
  }

 private:
  /// Half a message lies in the window that the other side will not see: begins anew, which a
  /// compressor always may.
  std::nullopt_t forget() noexcept {
    deflateReset(&stream_);
    return std::nullopt;
  }

  z_stream stream_{};
};

std::unique_ptr<Deflater::State> Deflater::State::make(std::uint8_t window_bits, bool takeover) {
  assert(window_bits >= kWindowBitsMin && window_bits <= kWindowBitsMax);
  if (takeover) return std::make_unique<InContext>(window_bits);
  return std::make_unique<Alone>(window_bits);
}

Deflater::Deflater(std::uint8_t window_bits, bool takeover)
    : state_{State::make(window_bits, takeover)} {}
Deflater::Deflater(std::unique_ptr<State> state) noexcept : state_{std::move(state)} {}
Deflater::Deflater(Deflater&&) noexcept = default;
Deflater& Deflater::operator=(Deflater&&) noexcept = default;
Deflater::~Deflater() = default;

Deflater Deflater::restore(std::uint8_t window_bits, std::span<const std::byte> window) {
  return Deflater{std::make_unique<State::InContext>(window_bits, window)};
}

std::size_t Deflater::window(std::span<std::byte, kWindowBytesMax> out) const noexcept {
  return state_->window(out);
}

std::size_t Deflater::bound(std::size_t bytes) const noexcept {
  return bound_for(bytes);
}

std::size_t Deflater::deflate(std::span<const std::byte> message,
                              std::span<std::byte> out) noexcept {
  assert(out.size() >= bound(message.size()));
  if (message.empty()) {
    out.front() = kEmptyBlock;
    return 1;
  }
  // No more than the bound even where there is more room: past it, storing is the shorter.
  out = out.first(bound_for(message.size()));
  if (const auto size = state_->compress(message, out)) return *size;
  return store(message, out);
}

}  // namespace weir::wire
