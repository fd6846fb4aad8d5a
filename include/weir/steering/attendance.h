// Attendance: who accepts for whom. Every worker holds every listener, so that the accept queue of
// one that hangs is not lost for as long as it hangs: the next slot in the ring of slots whose
// worker is well covers it. Each worker decides that for itself from the load table, so that no
// other process, the master included, need run for it; and all decide alike, so that a queue has
// one cover. Two that look at different instants may both cover it for a moment, which is harmless:
// each connection is accepted once.
//
// Decides, and only decides: WorkerSlot reads the table, the server's acceptor accepts.
#pragma once

#include <cstdint>
#include <vector>

namespace weir::steering {

enum class Attendance : std::uint8_t {
  unborn,   // no worker has had the slot yet
  serving,  // its worker wakes in time
  leaving,  // it does, but the slot is out of service: it starts or drains
  absent,   // its worker has not woken for the hang threshold: hung, stopped or dead
};

/// The slots whose queues the worker of `self` covers now: those absent ones of which it is the
/// next in the ring to be serving. While nobody serves, as when the whole service drains, the next
/// one leaving covers them, so that who knocks is told to go away rather than not answered.
/// `attendance_of(slot)` is asked about `self` and then backwards only as far as it matters: about
/// one neighbour where all is well. Takes no memory then.
template <class AttendanceOf>
[[nodiscard]] std::vector<std::uint32_t> slots_to_cover(std::uint32_t self, std::uint32_t slots,
                                                        AttendanceOf attendance_of) {
  std::vector<std::uint32_t> covered;
  const bool serves = attendance_of(self) == Attendance::serving;
  bool next_in_line = true;  // no other leaving slot is between `self` and the one looked at
  for (std::uint32_t back = 1; back < slots; ++back) {
    const std::uint32_t slot = (self + slots - back) % slots;
    switch (attendance_of(slot)) {
      case Attendance::serving:
        if (!serves) covered.clear();  // it goes before one that is leaving
        return covered;
      case Attendance::leaving:
        if (!serves) next_in_line = false;
        break;
      case Attendance::absent:
        if (next_in_line) covered.push_back(slot);
        break;
      case Attendance::unborn: break;
    }
  }
  return covered;
}

}  // namespace weir::steering
