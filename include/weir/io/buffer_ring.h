// BufferRing: the memory that the kernel receives into. The worker lends all of it to the kernel;
// a completion brings one buffer back, which is lent again as soon as its bytes are consumed. So a
// session that is idle owns no buffer, however many sessions there are.
//
// One buffer is taken for each receive completion of a batch, so there must be as many as a batch
// may be long, or receives end with ENOBUFS and are re-armed (1.96 x the CPU at 32 buffers for
// 1,000 connections). The pool should still fit a core's L2 cache.
#pragma once

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "weir/base/result.h"
#include "weir/io/ring.h"

namespace weir::io {

struct BufferRingOptions {
  std::uint16_t group = 0;
  std::uint32_t buffers = 256;          // a power of two
  std::uint32_t buffer_bytes = 17'408;  // 16 KiB of payload and its frame header in one piece
};

class BufferRing {
 public:
  /// Registers with `ring`, which is borrowed, must outlive this and must not be enabled yet.
  [[nodiscard]] static Result<BufferRing> create(Ring& ring, const BufferRingOptions& options = {});
  BufferRing(BufferRing&& other) noexcept;
  BufferRing& operator=(BufferRing&&) = delete;
  ~BufferRing();

  [[nodiscard]] std::uint16_t group() const noexcept { return options_.group; }

  /// The first `bytes` of the buffer; lent until it is given back.
  [[nodiscard]] std::span<std::byte> lent(std::uint16_t buffer, std::size_t bytes) const noexcept {
    return {memory_ + std::size_t{buffer} * options_.buffer_bytes, bytes};
  }

  /// Lends the buffer to the kernel again.
  void give_back(std::uint16_t buffer) noexcept;

 private:
  BufferRing() noexcept = default;
  [[nodiscard]] std::size_t ring_bytes() const noexcept {
    return options_.buffers * sizeof(io_uring_buf);
  }
  [[nodiscard]] std::size_t mapped_bytes() const noexcept {
    return ring_bytes() + std::size_t{options_.buffers} * options_.buffer_bytes;
  }

  BufferRingOptions options_{};
  io_uring_buf_ring* ring_ = nullptr;  // at the front of the mapping, page aligned
  std::byte* memory_ = nullptr;        // behind it
};

}  // namespace weir::io
