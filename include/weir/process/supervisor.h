// Supervisor: decides when a worker that exited is started again. Decides, and only decides: the
// master forks, and a test passes any time it likes.
#pragma once

#include <cstdint>
#include <vector>

#include "weir/base/clock.h"

namespace weir::process {

class Supervisor {
 public:
  /// A worker that lived this long had nothing wrong with its start: its slot's slate is clean. No
  /// longer than it takes to say that, so that one killed again and again is back at once each
  /// time.
  static constexpr Duration kSettled = std::chrono::seconds{1};
  static constexpr Duration kFirstPause = std::chrono::milliseconds{50};
  static constexpr Duration kLongestPause = std::chrono::seconds{5};

  explicit Supervisor(std::uint32_t slots) : slots_(slots) {}

  /// From now on there are so many slots.
  void resize(std::uint32_t slots) { slots_.resize(slots); }

  void started(std::uint32_t slot, Instant now) noexcept;

  /// How long to wait before the slot's next worker: nothing after the first crash, for every
  /// moment without it is one with a queue that no one accepts from; then 50 ms, doubled for
  /// each further crash of a worker that had not settled, up to 5 s. Never gives up: a cause
  /// outside (memory, a full disk) may go away. Also for a worker that could not be started.
  [[nodiscard]] Duration after_exit(std::uint32_t slot, Instant now) noexcept;

  /// Crashes in a row of workers that had not settled.
  [[nodiscard]] std::uint32_t crashes(std::uint32_t slot) const noexcept {
    return slots_[slot].crashes;
  }

 private:
  struct Slot {
    Instant started_at;
    std::uint32_t crashes = 0;
  };
  std::vector<Slot> slots_;
};

}  // namespace weir::process
