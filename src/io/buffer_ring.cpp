#include "weir/io/buffer_ring.h"

#include <sys/mman.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

namespace weir::io {

Result<BufferRing> BufferRing::create(Ring& ring, const BufferRingOptions& options) {
  assert((options.buffers & (options.buffers - 1)) == 0);
  BufferRing made;
  made.options_ = options;
  void* mapping = ::mmap(nullptr, made.mapped_bytes(), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED)
    return os_error("mapping receive buffers", errno, "raise the memory limit");
  made.ring_ = static_cast<io_uring_buf_ring*>(mapping);
  made.memory_ = static_cast<std::byte*>(mapping) + made.ring_bytes();
  made.populate();

  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(mapping);
  registration.ring_entries = options.buffers;
  registration.bgid = options.group;
  if (const int error = io_uring_register_buf_ring(&ring.raw(), &registration, 0); error < 0)
    return os_error("registering receive buffers", -error, "weir needs Linux 6.1 or later");

  io_uring_buf_ring_init(made.ring_);
  made.kept_.reserve(options.buffers);
  for (std::uint32_t i = options.buffers; i-- > 0;)  // lowest on top
    made.kept_.push_back(static_cast<std::uint16_t>(i));
  made.aim_at(std::min(options.lent_at_first, options.buffers));
  return made;
}

BufferRing::BufferRing(BufferRing&& other) noexcept
    : options_{other.options_},
      ring_{std::exchange(other.ring_, nullptr)},
      memory_{std::exchange(other.memory_, nullptr)},
      kept_{std::move(other.kept_)},
      lent_{other.lent_},
      target_{other.target_},
      least_lent_{other.least_lent_},
      turns_{other.turns_} {}

// The kernel's use of the memory ends with the ring, which outlives this only by a moment in
// which nothing is submitted; the pages stay pinned by the registration until then.
BufferRing::~BufferRing() {
  if (ring_ != nullptr) ::munmap(ring_, mapped_bytes());
}

/// Writes to the first and the last byte of what a small message takes of each buffer, so that
/// those pages are there.
void BufferRing::populate() const noexcept {
  const std::size_t small = std::min<std::size_t>(options_.buffer_bytes, kSmallBytes);
  for (std::uint32_t i = 0; i < options_.buffers; ++i) {
    const std::span buffer = bytes_of(static_cast<std::uint16_t>(i), small);
    buffer.front() = buffer.back() = std::byte{};
  }
}

void BufferRing::lend(std::uint16_t buffer) noexcept {
  io_uring_buf_ring_add(ring_, at(buffer), options_.buffer_bytes, buffer,
                        io_uring_buf_ring_mask(options_.buffers), 0);
  io_uring_buf_ring_advance(ring_, 1);
  ++lent_;
}

void BufferRing::give_back(std::uint16_t buffer) noexcept {
  if (lent_ < target_)
    lend(buffer);
  else
    kept_.push_back(buffer);  // within what was reserved
}

/// What is over the target stays with the kernel until it comes back by itself.
void BufferRing::aim_at(std::uint32_t target) noexcept {
  target_ = target;
  least_lent_ = target;
  turns_ = 0;
  while (lent_ < target_ && !kept_.empty()) {
    lend(kept_.back());
    kept_.pop_back();
  }
}

void BufferRing::end_batch() noexcept {
  least_lent_ = std::min(least_lent_, lent_);
  if (std::exchange(dry_, false) || lent_ < target_ / 4) {
    if (target_ < options_.buffers) aim_at(target_ * 2);
    return;
  }
  if (++turns_ < kWindowTurns) return;
  // Half of them would have left a half of these over: enough not to be doubled again at once.
  const std::uint32_t fewer = target_ / 2;
  const std::uint32_t used = target_ - least_lent_;
  aim_at(fewer >= options_.lent_at_first && used <= fewer / 2 ? fewer : target_);
}

}  // namespace weir::io
