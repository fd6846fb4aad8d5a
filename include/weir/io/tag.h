// Tag: what a completion says about itself. It rides in io_uring's user_data, so that a
// completion names its operation and its session without a look-up or a pointer that could dangle.
#pragma once

#include <bit>
#include <cstdint>

namespace weir::io {

/// `ignored`: nobody waits for it, and only its failure completes (a cancel that found nothing).
enum class Op : std::uint8_t {
  ignored,
  accept,
  arrival,
  receive,
  send,
  short_send,
  signal,
  tick,
  inbox,
  link
};

struct Tag {
  std::uint64_t op : 8;           // an Op
  std::uint64_t generation : 24;  // of the session slot; an older one means the slot was reused
  std::uint64_t slot : 32;        // session slot; the listener's index for accept and arrival; for
                                  // short_send the place in the list of what was sent

  [[nodiscard]] static constexpr Tag of(Op op, std::uint32_t slot = 0,
                                        std::uint32_t generation = 0) noexcept {
    return Tag{static_cast<std::uint64_t>(op), generation & 0xff'ffffU, slot};
  }
  [[nodiscard]] static constexpr Tag from_user_data(std::uint64_t data) noexcept {
    return std::bit_cast<Tag>(data);
  }
  [[nodiscard]] constexpr std::uint64_t user_data() const noexcept {
    return std::bit_cast<std::uint64_t>(*this);
  }
  [[nodiscard]] constexpr Op operation() const noexcept { return static_cast<Op>(op); }
};
static_assert(sizeof(Tag) == sizeof(std::uint64_t));

}  // namespace weir::io
