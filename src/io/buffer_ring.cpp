#include "weir/io/buffer_ring.h"

#include <sys/mman.h>

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

  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(mapping);
  registration.ring_entries = options.buffers;
  registration.bgid = options.group;
  if (const int error = io_uring_register_buf_ring(&ring.raw(), &registration, 0); error < 0)
    return os_error("registering receive buffers", -error, "weir needs Linux 6.1 or later");

  io_uring_buf_ring_init(made.ring_);
  for (std::uint32_t i = 0; i < options.buffers; ++i) made.give_back(static_cast<std::uint16_t>(i));
  return made;
}

BufferRing::BufferRing(BufferRing&& other) noexcept
    : options_{other.options_},
      ring_{std::exchange(other.ring_, nullptr)},
      memory_{std::exchange(other.memory_, nullptr)} {}

// The kernel's use of the memory ends with the ring, which outlives this only by a moment in
// which nothing is submitted; the pages stay pinned by the registration until then.
BufferRing::~BufferRing() {
  if (ring_ != nullptr) ::munmap(ring_, mapped_bytes());
}

void BufferRing::give_back(std::uint16_t buffer) noexcept {
  io_uring_buf_ring_add(ring_, lent(buffer, 0).data(), options_.buffer_bytes, buffer,
                        io_uring_buf_ring_mask(options_.buffers), 0);
  io_uring_buf_ring_advance(ring_, 1);
}

}  // namespace weir::io
