// Ring: one io_uring, owned and driven by one thread. Operations are queued by the functions
// below and submitted together by submit_and_wait(), which is the loop's one io_uring_enter.
//
// Set up with SINGLE_ISSUER, DEFER_TASKRUN and COOP_TASKRUN (kernel 6.1): completions are posted
// only while this thread is inside io_uring_enter, so nothing interrupts the loop and a batch is
// whole. Between enters the kernel raises a flag where there are some to post (TASKRUN_FLAG), for
// who looks before it sleeps. Plain descriptors, not direct ones: direct ones measured no faster
// and cannot be sent to another process.
//
// Who waits in io_uring_enter counts as waiting for a disk: a host of idle workers would show as
// 100 % "iowait". Since Linux 6.15 it may say that it does not, and so shows as idle.
//
// The ring starts disabled and restricted: before its first use it is told which operations it
// may ever carry, so that a worker taken over by a hostile peer cannot open files or connect out
// through it.
#pragma once

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "weir/base/clock.h"
#include "weir/base/result.h"
#include "weir/io/tag.h"

namespace weir::io {

/// Queue entries, powers of two. A turn of the loop queues about one send and one receive for each
/// receive buffer (256): there is room to spare, and the 144 KiB that the queues take may count
/// against the user's locked memory, of which 8 MiB is usual.
struct RingOptions {
  unsigned submissions = 1'024;
  unsigned completions = 4'096;
};

/// One finished step of an operation.
struct Completion {
  Tag tag;
  std::int32_t result;  // >= 0, or a negated errno
  std::uint32_t flags;  // IORING_CQE_F_*

  /// A multishot operation goes on; without it the operation is over.
  [[nodiscard]] bool more() const noexcept { return (flags & IORING_CQE_F_MORE) != 0; }
  /// The provided buffer that holds the data received, if any.
  [[nodiscard]] std::optional<std::uint16_t> buffer() const noexcept {
    if ((flags & IORING_CQE_F_BUFFER) == 0) return std::nullopt;
    return static_cast<std::uint16_t>(flags >> IORING_CQE_BUFFER_SHIFT);
  }
};

/// The completions that were there at one moment, oldest first. Lent: see Ring::completions().
class Completions {
 public:
  [[nodiscard]] unsigned size() const noexcept { return size_; }
  [[nodiscard]] Completion operator[](unsigned index) const noexcept {
    const io_uring_cqe& cqe = cqes_[(first_ + index) & mask_];
    return {Tag::from_user_data(cqe.user_data), cqe.res, cqe.flags};
  }

 private:
  friend class Ring;
  Completions(const io_uring_cqe* cqes, unsigned mask, unsigned first, unsigned size) noexcept
      : cqes_{cqes}, mask_{mask}, first_{first}, size_{size} {}

  const io_uring_cqe* cqes_;  // all of the ring's
  unsigned mask_;
  unsigned first_;
  unsigned size_;
};

class Ring {
 public:
  /// Fails where the host forbids io_uring or its kernel is older than 6.1; the error says which
  /// and what to do.
  [[nodiscard]] static Result<Ring> create(const RingOptions& options = {});
  Ring(Ring&& other) noexcept;
  Ring& operator=(Ring&&) = delete;
  ~Ring();

  /// To be called once, by the thread that will drive the ring, after buffers were registered.
  [[nodiscard]] Result<void> enable() noexcept;

  // Each queues one operation; none enters the kernel unless the submission queue is full. The
  // descriptor must stay open, and memory passed must stay put, until the completion.

  /// One completion per connection accepted, until one without more().
  void accept_multishot(int fd, Tag tag) noexcept;
  /// One completion per piece received, each in a buffer of `group`, until one without more().
  void receive_multishot(int fd, std::uint16_t group, Tag tag) noexcept;
  /// One completion each time that `fd` becomes readable or is at its end, until one without
  /// more(). Said of a state that changes: read until there is less than was asked for.
  void poll_multishot(int fd, Tag tag) noexcept;
  /// The same once.
  void poll(int fd, Tag tag) noexcept;
  /// One completion, normally for all of `bytes`: the kernel waits for room as often as needed.
  /// `more`: something is to follow at once, a send or the end of the direction, and what does not
  /// fill a packet may wait for it.
  void send(int fd, std::span<const std::byte> bytes, Tag tag, bool more = false) noexcept;
  /// Sends what there is room for, while being submitted, and completes only if that was not all:
  /// with the bytes taken, or -EAGAIN for none, or another error. Once everything_answered(),
  /// each such send that did not complete has taken all its bytes.
  void send_now(int fd, std::span<const std::byte> bytes, Tag tag) noexcept;
  void read(int fd, std::span<std::byte> into, Tag tag) noexcept;
  /// One completion, with -ETIME, when `time` has passed since it was submitted.
  void timeout(Duration time, Tag tag) noexcept;
  /// Ends the one operation that carries `target`; it completes with ECANCELED or its result. No
  /// completion of its own.
  void cancel(Tag target) noexcept;
  /// Ends every operation on `fd`, likewise.
  void cancel_all(int fd) noexcept;
  /// Takes the descriptor and closes it. No completion.
  void close(int fd) noexcept;

  /// Submits what is queued and sleeps until at least one completion is there or `timeout` has
  /// passed (nullopt: without limit). Returns early on a signal. An errno that leaves the ring
  /// unusable is returned. `look`: before it sleeps it looks for so long whether it has to; it then
  /// makes a system call more, unless something was there at once.
  [[nodiscard]] Result<void> submit_and_wait(std::optional<Duration> timeout,
                                             Duration look = Duration::zero()) noexcept;

  /// The last submit_and_wait() submitted everything queued before it, and no completion is held
  /// back for want of room: all that it has to say about that is there to be reaped.
  [[nodiscard]] bool everything_answered() const noexcept { return everything_answered_; }

  /// What there is to look at; each stays in the ring until done_with().
  [[nodiscard]] Completions completions() const noexcept {
    return {ring_.cq.cqes, *ring_.cq.kring_mask, *ring_.cq.khead, io_uring_cq_ready(&ring_)};
  }
  /// Makes room for as many others.
  void done_with(const Completions& completions) noexcept {
    io_uring_cq_advance(&ring_, completions.size());
  }
  /// Calls `each(const Completion&)` for all that there are now, and is done with them.
  template <class Each>
  void reap(Each&& each) {
    const Completions all = completions();
    for (unsigned i = 0; i < all.size(); ++i) each(all[i]);
    done_with(all);
  }

  /// io_uring_enter calls made so far: at most one per submit_and_wait(), two where it looked, plus
  /// one each time the submission queue was full.
  [[nodiscard]] std::uint64_t enters() const noexcept { return enters_; }
  /// For how long the last submit_and_wait() looked.
  [[nodiscard]] Duration looked() const noexcept { return looked_; }

  /// For BufferRing.
  [[nodiscard]] io_uring& raw() noexcept { return ring_; }

 private:
  Ring() noexcept = default;
  [[nodiscard]] io_uring_sqe& queue() noexcept;
  [[nodiscard]] unsigned publish() noexcept;
  int enter(unsigned at_least, io_uring_getevents_arg* until = nullptr) noexcept;
  void look(Duration limit) noexcept;

  io_uring ring_{};
  __kernel_timespec timeout_{};  // read when the operation is submitted
  std::uint64_t enters_ = 0;
  Duration looked_{};
  unsigned enter_flags_ = 0;  // of every submit_and_wait()
  bool everything_answered_ = true;
  bool owned_ = false;
};

/// Why io_uring of the kind that weir needs cannot be had here; nothing if it can.
[[nodiscard]] std::optional<Error> probe_ring();

}  // namespace weir::io
