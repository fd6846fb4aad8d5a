// BufferRing: the memory that the kernel receives into. The worker lends all of it to the kernel;
// a completion brings one buffer back, which is lent again as soon as its bytes are consumed. So a
// session that is idle owns no buffer, however many sessions there are.
//
// One buffer is taken for each receive completion of a batch, so there must be as many as a batch
// may be long, or receives end with ENOBUFS and are re-armed (1.96 x the CPU at 32 buffers for
// 1,000 connections). But the kernel takes them in turn, so that every one that is lent passes
// through the caches (0.67 x the CPU for messages of 16 KiB with 64 buffers rather than 256). Hence
// only as many are lent as the batches of late called for; the others are not even touched.
//
// A buffer holds a message of 16 KiB with its header: where entering the kernel is dear, receiving
// it here takes 0.84 x the CPU of a system call each to receive and to send it. Of each only the
// pages that a small message needs are there from the start, so that a burst of those has none to
// fault in; the rest comes with the first large messages.
#pragma once

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "weir/base/result.h"
#include "weir/io/ring.h"

namespace weir::io {

struct BufferRingOptions {
  std::uint16_t group = 0;
  std::uint32_t buffers = 256;       // a power of two
  std::uint32_t lent_at_first = 32;  // of these
  std::uint32_t buffer_bytes = 17'408;
};

class BufferRing {
 public:
  /// Registers with `ring`, which is borrowed, must outlive this and must not be enabled yet.
  [[nodiscard]] static Result<BufferRing> create(Ring& ring, const BufferRingOptions& options = {});
  BufferRing(BufferRing&& other) noexcept;
  BufferRing& operator=(BufferRing&&) = delete;
  ~BufferRing();

  [[nodiscard]] std::uint16_t group() const noexcept { return options_.group; }
  [[nodiscard]] std::uint32_t buffer_bytes() const noexcept { return options_.buffer_bytes; }

  /// To be called before a turn's completions are taken in, and before any buffer is given back:
  /// so many of them bring one.
  void begin_batch(std::uint32_t brought) noexcept { lent_ -= brought; }
  /// The first `bytes` of a buffer that a completion brought; the caller's until it gives the
  /// buffer back.
  [[nodiscard]] std::span<std::byte> bytes_of(std::uint16_t buffer,
                                              std::size_t bytes) const noexcept {
    return {at(buffer), bytes};
  }
  /// Lends the buffer to the kernel again, or keeps it where there are enough.
  void give_back(std::uint16_t buffer) noexcept;

  /// A receive ended with ENOBUFS.
  void ran_dry() noexcept { dry_ = true; }
  /// To be called once per turn of the loop, when its batch has been taken in: looks at what is
  /// left, and lends more, or after many turns fewer.
  void end_batch() noexcept;

  // For tests: how many are to be lent, and how many were taken and not given back.
  [[nodiscard]] std::uint32_t target() const noexcept { return target_; }
  [[nodiscard]] std::size_t in_use() const noexcept {
    return options_.buffers - lent_ - kept_.size();
  }

 private:
  static constexpr std::uint32_t kWindowTurns = 4'096;  // between two looks at whether fewer do
  static constexpr std::size_t kSmallBytes = 2'048;     // of a buffer, in memory from the start

  BufferRing() = default;
  [[nodiscard]] std::byte* at(std::uint16_t buffer) const noexcept {
    return memory_ + std::size_t{buffer} * options_.buffer_bytes;
  }
  void populate() const noexcept;
  void lend(std::uint16_t buffer) noexcept;
  void aim_at(std::uint32_t target) noexcept;
  [[nodiscard]] std::size_t ring_bytes() const noexcept {
    return options_.buffers * sizeof(io_uring_buf);
  }
  [[nodiscard]] std::size_t mapped_bytes() const noexcept {
    return ring_bytes() + std::size_t{options_.buffers} * options_.buffer_bytes;
  }

  BufferRingOptions options_{};
  io_uring_buf_ring* ring_ = nullptr;  // at the front of the mapping, page aligned
  std::byte* memory_ = nullptr;        // behind it
  std::vector<std::uint16_t> kept_;    // not lent; the last one given back on top
  std::uint32_t lent_ = 0;             // in the kernel's hands
  std::uint32_t target_ = 0;           // of lent_, before a batch
  std::uint32_t least_lent_ = 0;       // seen after a batch in this window
  std::uint32_t turns_ = 0;            // of this window
  bool dry_ = false;                   // in this turn
};

}  // namespace weir::io
