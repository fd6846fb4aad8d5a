// Acceptor: where a worker's connections come from: the accept queues of its own slot and, while a
// neighbour does not accept (weir/steering/attendance.h), that neighbour's. Knows no session.
//
// A queue is accepted from by a multishot accept in the worker's ring. Accepts wait exclusively:
// an arrival wakes one of them, and that of a worker which hangs is in the kernel still, first in
// line, and takes the wake-up with it. So a cover's accept finds what is queued when it is armed
// and may hear of nothing later; it is armed anew at each look at the neighbours, every third of
// the hang threshold. What waits for a hung worker is accepted within 4/3 of the threshold.
//
// When the owner wakes, both accept until the next look: each connection is accepted by one.
//
// The owner's own accept may be passed over likewise: for one of a killed worker's, whose ring the
// kernel takes apart in its own time, or of a cover that hangs by now. So its queues are watched by
// a poll as well, which is woken with whichever accept is, and at once where something waits. One
// that fires from look to look while nothing is accepted has the accept armed anew. At the first
// time it is not: the accept would be last in line then, after a cover's that is about to go.
//
// Slots come and go while it runs. The listeners of one that is gone are closed by the master for
// all processes at once, which ends whatever accept is in the kernel.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "weir/base/clock.h"
#include "weir/base/unique_fd.h"
#include "weir/io/ring.h"
#include "weir/steering/worker_slot.h"

namespace weir::server {

class Acceptor {
 public:
  struct Accepted {
    UniqueFd fd;
    std::size_t address;  // the listen address that it came to
  };

  /// `listeners` are those of every slot, each slot's by listen address, and owned from here on; -1
  /// where a slot is about to go. Ring and slot are borrowed. `hang_threshold` 0: no neighbour is
  /// looked after, and the own queues are looked into each kLookEvery.
  static constexpr Duration kLookEvery = std::chrono::milliseconds{100};

  Acceptor(io::Ring& ring, steering::WorkerSlot& slot, std::vector<std::vector<int>> listeners,
           Duration hang_threshold);

  /// Listeners of a slot that there was not before, from a listen address on; one that was gone,
  /// this worker's own perhaps, is accepted from again.
  void add(std::uint32_t slot, std::size_t address, std::vector<UniqueFd> listeners);
  /// That slot is gone, its listeners are closed: this worker's own may be the one.
  void drop(std::uint32_t slot);

  /// The connection that a completion of Op::accept brings, counted in. Nothing where it brought
  /// none, or was over the limit on connections, or came too late: those are gone already.
  [[nodiscard]] std::optional<Accepted> take(const io::Completion& completion, Instant now);

  /// A completion of Op::arrival: something waits in a queue of this worker's own.
  void on_arrival(const io::Completion& completion);

  /// Once a turn of the loop. `room`: a connection has ended since, so that a limit that accepts
  /// ran into may have room again.
  void look(Instant now, bool room);

  /// Another hang threshold from here on.
  void judge_by(Duration hang_threshold);

  /// When look() has something to do at the latest, beside looking at the neighbours.
  [[nodiscard]] std::optional<Instant> next() const noexcept { return resume_at_; }

  /// What becomes of a connection that is accepted after stop(), before the cancel takes hold.
  enum class Latecomers : std::uint8_t { served, dropped };

  /// Accepts nothing from here on. May be called again.
  void stop(Latecomers latecomers);
  [[nodiscard]] bool stopped() const noexcept { return stopped_; }
  /// Stopped, and the ring holds no listener any more.
  [[nodiscard]] bool ended() const noexcept { return stopped_ && in_ring_ == 0; }

 private:
  struct Queue {
    UniqueFd listener{};           // none: the slot is gone
    std::uint32_t generation = 0;  // of the accept armed last; an older one's end says nothing
    bool wanted = false;           // to be accepted from
    bool armed = false;            // an accept is in the kernel
    bool watched = false;          // and a poll, which has not fired
    unsigned missed = 0;           // times in a row that it has, and nothing was accepted
    bool accepted = false;         // something was, since the last look
  };

  void accept_from(std::uint32_t slot);
  void leave_alone(std::uint32_t slot);
  void arm(std::size_t index);
  void on_end(std::size_t index, int result, Instant now);
  void watch();
  void cover(std::vector<std::uint32_t> slots);

  io::Ring& ring_;
  steering::WorkerSlot& slot_;
  std::size_t addresses_;
  std::vector<Queue> queues_;  // by slot, then listen address
  bool judges_;                // looks after the neighbours
  Duration look_every_;
  Instant look_at_{};
  std::vector<std::uint32_t> covered_;  // slots
  std::vector<std::size_t> paused_;     // queues whose accept ran into a limit
  std::optional<Instant> resume_at_;
  std::optional<Instant> limit_logged_at_;
  std::uint32_t in_ring_ = 0;  // accepts and polls that have not had their last completion
  bool stopped_ = false;
  Latecomers latecomers_ = Latecomers::served;
};

}  // namespace weir::server
