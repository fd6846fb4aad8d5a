// HangWatch: decides when a worker that does not wake any more is ended. Decides, and only decides:
// the master kills, and a test passes any time it likes.
//
// What counts is time in which the master itself ran: if the two were stopped together (a debugger,
// a frozen control group, a host that stood still), the worker has had no chance to wake either.
#pragma once

#include <cstdint>
#include <vector>

#include "weir/base/clock.h"

namespace weir::process {

class HangWatch {
 public:
  /// Two looks further apart than this count as this far apart: the master was stopped as well.
  static constexpr Duration kApartAtMost = std::chrono::milliseconds{250};

  /// `limit`: how long a worker may not wake; 0: for ever.
  HangWatch(std::uint32_t slots, Duration limit) : limit_{limit}, slots_(slots) {}

  /// Another limit from here on; nobody's sleep so far counts against it.
  void set_limit(Duration limit) noexcept;

  /// From now on there are so many slots.
  void resize(std::uint32_t slots) { slots_.resize(slots); }

  /// A new worker has the slot.
  void started(std::uint32_t slot, Instant now) noexcept;

  /// A look at the worker of `slot`, which last woke at `awake_at_ns`; call every tick. True once
  /// it is to be ended; then again only after another `limit`.
  [[nodiscard]] bool is_over(std::uint32_t slot, std::uint64_t awake_at_ns, Instant now) noexcept;

 private:
  struct Slot {
    std::uint64_t awake_at_ns = 0;
    Instant looked_at;
    Duration asleep{};
  };
  Duration limit_;
  std::vector<Slot> slots_;
};

}  // namespace weir::process
