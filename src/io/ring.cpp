#include "weir/io/ring.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <cerrno>
#include <fstream>
#include <utility>

namespace weir::io {
namespace {

constexpr unsigned kSetupFlags = IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL |
                                 IORING_SETUP_R_DISABLED | IORING_SETUP_COOP_TASKRUN |
                                 IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                 IORING_SETUP_TASKRUN_FLAG;

constexpr std::array kAllowedOps{IORING_OP_ACCEPT,       IORING_OP_RECV,   IORING_OP_SEND,
                                 IORING_OP_POLL_ADD,     IORING_OP_READ,   IORING_OP_CLOSE,
                                 IORING_OP_ASYNC_CANCEL, IORING_OP_TIMEOUT};

// Of Linux 6.15, which liburing 2.3 does not know yet.
constexpr unsigned kFeatureNoIowait = 1U << 17;  // IORING_FEAT_NO_IOWAIT
constexpr unsigned kEnterNoIowait = 1U << 7;     // IORING_ENTER_NO_IOWAIT

constexpr std::uint8_t kAllowedSqeFlags = IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS;

/// kernel.io_uring_disabled (6.6): 0 allowed, 1 only for its group, 2 for nobody.
int io_uring_disabled() {
  std::ifstream file{"/proc/sys/kernel/io_uring_disabled"};
  int value = 0;
  file >> value;
  return value;
}

Error setup_error(int number) {
  switch (number) {
    case ENOSYS:
      return {"this kernel was built without io_uring, or a sandbox hides it",
              "run on Linux 6.1 or later, outside a seccomp profile that blocks io_uring_setup"};
    case EPERM:
      if (const int mode = io_uring_disabled(); mode != 0)
        return {
            fmt::format("io_uring is disabled on this host (kernel.io_uring_disabled = {})", mode),
            "allow it with: sysctl -w kernel.io_uring_disabled=0"};
      return {"io_uring is forbidden here, most likely by a container's seccomp profile",
              "allow io_uring_setup, io_uring_enter and io_uring_register in that profile"};
    case EINVAL:
      return {"this kernel's io_uring lacks SINGLE_ISSUER or DEFER_TASKRUN",
              "run on Linux 6.1 or later"};
    case ENOMEM:
      return {"no memory for an io_uring",
              "raise the limit on locked memory (ulimit -l, or LimitMEMLOCK= of the unit) or the "
              "container's memory limit, or start fewer workers"};
    default: return os_error("io_uring_setup", number);
  }
}

/// io_uring_register_restrictions() and io_uring_enable_rings() are declared by liburing 2.3 and
/// missing from its shared library; this is what they are.
int register_with(io_uring& ring, unsigned what, const void* argument, std::size_t count) noexcept {
  return io_uring_register(static_cast<unsigned>(ring.ring_fd), what, argument,
                           static_cast<unsigned>(count));
}

Result<void> restrict_ring(io_uring& ring) {
  std::array<io_uring_restriction, kAllowedOps.size() + 3> rules{};
  std::size_t count = 0;
  for (const auto op : kAllowedOps) {
    rules[count].opcode = IORING_RESTRICTION_SQE_OP;
    rules[count++].sqe_op = static_cast<std::uint8_t>(op);
  }
  rules[count].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
  rules[count++].sqe_flags = kAllowedSqeFlags;
  rules[count].opcode = IORING_RESTRICTION_REGISTER_OP;  // done by enable(), after this
  rules[count++].register_op = IORING_REGISTER_RING_FDS;
  rules[count].opcode = IORING_RESTRICTION_REGISTER_OP;  // done by the destructor
  rules[count++].register_op = IORING_UNREGISTER_RING_FDS;
  assert(count == rules.size());
  if (const int error =
          register_with(ring, IORING_REGISTER_RESTRICTIONS, rules.data(), rules.size());
      error < 0)
    return os_error("restricting the io_uring", -error);
  return {};
}

__kernel_timespec to_timespec(Duration time) noexcept {
  const auto ns = std::max<std::int64_t>(time.count(), 0);
  return {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
}

/// Tells the processor that this thread only waits for memory to change.
void relax() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Asks for success to go unreported: nobody waits for it.
void quiet(io_uring_sqe& sqe) noexcept {
  sqe.flags |= IOSQE_CQE_SKIP_SUCCESS;
  sqe.user_data = Tag::of(Op::ignored).user_data();
}

}  // namespace

Result<Ring> Ring::create(const RingOptions& options) {
  Ring made;
  io_uring_params params{};
  params.flags = kSetupFlags;
  params.cq_entries = options.completions;
  if (const int error = io_uring_queue_init_params(options.submissions, &made.ring_, &params);
      error < 0)
    return setup_error(-error);
  made.owned_ = true;
  constexpr unsigned features = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_CQE_SKIP;
  if ((params.features & features) != features) return setup_error(EINVAL);
  made.enter_flags_ = IORING_ENTER_GETEVENTS;
  if ((params.features & kFeatureNoIowait) != 0) made.enter_flags_ |= kEnterNoIowait;
  return made;
}

Ring::Ring(Ring&& other) noexcept
    : ring_{other.ring_},
      enters_{other.enters_},
      enter_flags_{other.enter_flags_},
      owned_{std::exchange(other.owned_, false)} {}

Ring::~Ring() {
  if (owned_) io_uring_queue_exit(&ring_);
}

Result<void> Ring::enable() noexcept {
  if (auto done = restrict_ring(ring_); !done) return done;
  if (const int error = register_with(ring_, IORING_REGISTER_ENABLE_RINGS, nullptr, 0); error < 0)
    return os_error("enabling the io_uring", -error);
  // Saves a descriptor look-up per enter. Where it cannot be had, the ring works without it.
  if (io_uring_register_ring_fd(&ring_) == 1) enter_flags_ |= IORING_ENTER_REGISTERED_RING;
  return {};
}

io_uring_sqe& Ring::queue() noexcept {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  while (sqe == nullptr) {  // full: make room now; the kernel takes all of it (SUBMIT_ALL)
    ++enters_;
    io_uring_submit(&ring_);
    sqe = io_uring_get_sqe(&ring_);
  }
  return *sqe;
}

void Ring::accept_multishot(int fd, Tag tag) noexcept {
  // Not SOCK_NONBLOCK: io_uring would then answer EAGAIN instead of waiting for the socket.
  io_uring_sqe& sqe = queue();
  io_uring_prep_multishot_accept(&sqe, fd, nullptr, nullptr, SOCK_CLOEXEC);
  sqe.user_data = tag.user_data();
}

void Ring::receive_multishot(int fd, std::uint16_t group, Tag tag) noexcept {
  io_uring_sqe& sqe = queue();
  io_uring_prep_recv_multishot(&sqe, fd, nullptr, 0, 0);
  sqe.flags |= IOSQE_BUFFER_SELECT;
  sqe.buf_group = group;
  sqe.user_data = tag.user_data();
}

void Ring::poll(int fd, Tag tag) noexcept {
  io_uring_sqe& sqe = queue();
  io_uring_prep_poll_add(&sqe, fd, POLLIN);
  sqe.user_data = tag.user_data();
}

void Ring::poll_multishot(int fd, Tag tag) noexcept {
  io_uring_sqe& sqe = queue();
  io_uring_prep_poll_multishot(&sqe, fd, POLLIN | POLLRDHUP);
  sqe.user_data = tag.user_data();
}

void Ring::send(int fd, std::span<const std::byte> bytes, Tag tag, bool more) noexcept {
  io_uring_sqe& sqe = queue();
  io_uring_prep_send(&sqe, fd, bytes.data(), bytes.size(),
                     MSG_NOSIGNAL | MSG_WAITALL | (more ? MSG_MORE : 0));
  sqe.user_data = tag.user_data();
}

// DONTWAIT makes a send that finds too little room fail at once instead of waiting for more, and
// WAITALL makes it count as failed when it sent a part: only success goes unreported, so either is
// told, with what was sent.
void Ring::send_now(int fd, std::span<const std::byte> bytes, Tag tag) noexcept {
  io_uring_sqe& sqe = queue();
  io_uring_prep_send(&sqe, fd, bytes.data(), bytes.size(),
                     MSG_NOSIGNAL | MSG_WAITALL | MSG_DONTWAIT);
  sqe.flags |= IOSQE_CQE_SKIP_SUCCESS;
  sqe.user_data = tag.user_data();
}

void Ring::read(int fd, std::span<std::byte> into, Tag tag) noexcept {
  io_uring_sqe& sqe = queue();
  io_uring_prep_read(&sqe, fd, into.data(), static_cast<unsigned>(into.size()), 0);
  sqe.user_data = tag.user_data();
}

void Ring::timeout(Duration time, Tag tag) noexcept {
  io_uring_sqe& sqe = queue();
  timeout_ = to_timespec(time);
  io_uring_prep_timeout(&sqe, &timeout_, 0, 0);
  sqe.user_data = tag.user_data();
}

void Ring::cancel(Tag target) noexcept {
  io_uring_sqe& sqe = queue();
  io_uring_prep_cancel64(&sqe, target.user_data(), 0);
  quiet(sqe);
}

void Ring::cancel_all(int fd) noexcept {
  io_uring_sqe& sqe = queue();
  io_uring_prep_cancel_fd(&sqe, fd, IORING_ASYNC_CANCEL_ALL);
  quiet(sqe);
}

void Ring::close(int fd) noexcept {
  io_uring_sqe& sqe = queue();
  io_uring_prep_close(&sqe, fd);
  quiet(sqe);
}

/// Shows the kernel what is queued; returns how much that is.
unsigned Ring::publish() noexcept {
  io_uring_sq& sq = ring_.sq;
  const unsigned mask = *sq.kring_mask;
  unsigned tail = *sq.ktail;  // this thread's own
  for (; sq.sqe_head != sq.sqe_tail; ++sq.sqe_head) sq.array[tail++ & mask] = sq.sqe_head & mask;
  std::atomic_ref{*sq.ktail}.store(tail, std::memory_order_release);
  // Relaxed: the kernel moves it on only while this thread is inside.
  return tail - std::atomic_ref{*sq.khead}.load(std::memory_order_relaxed);
}

/// Submits what is queued, has the kernel do what waits for this thread, and waits for so many
/// completions. What io_uring_enter returned, or a negated errno.
int Ring::enter(unsigned at_least, io_uring_getevents_arg* until) noexcept {
  ++enters_;
  const unsigned flags = enter_flags_ | (until != nullptr ? IORING_ENTER_EXT_ARG : 0U);
  return io_uring_enter2(static_cast<unsigned>(ring_.enter_ring_fd), publish(), at_least, flags,
                         reinterpret_cast<sigset_t*>(until), sizeof *until);
}

/// Until there is a completion, or what the next enter will make one of, or for so long.
void Ring::look(Duration limit) noexcept {
  // It may refuse some or all of it: the enter that follows says so.
  (void)enter(0);
  const Instant began = monotonic_now();
  Instant now = began;
  const auto idle = [&] {
    // Relaxed: what the flag stands for is the kernel's own to see.
    const unsigned seen = std::atomic_ref{*ring_.sq.kflags}.load(std::memory_order_relaxed);
    return io_uring_cq_ready(&ring_) == 0 && (seen & IORING_SQ_TASKRUN) == 0;
  };
  for (; idle() && now - began < limit; now = monotonic_now()) relax();
  looked_ = now - began;
}

Result<void> Ring::submit_and_wait(std::optional<Duration> timeout, Duration look) noexcept {
  looked_ = {};
  if (look > Duration::zero()) this->look(timeout ? std::min(look, *timeout) : look);
  int result = 0;
  if (io_uring_cq_ready(&ring_) == 0 || look == Duration::zero()) {
    __kernel_timespec spec = to_timespec(timeout.value_or(Duration::zero()));
    io_uring_getevents_arg until{};
    until.ts = reinterpret_cast<std::uintptr_t>(&spec);
    result = enter(1, timeout ? &until : nullptr);
  }
  // Relaxed: this thread's own system call wrote the flags.
  const unsigned seen = std::atomic_ref{*ring_.sq.kflags}.load(std::memory_order_relaxed);
  everything_answered_ = io_uring_sq_ready(&ring_) == 0 && (seen & IORING_SQ_CQ_OVERFLOW) == 0;
  if (result >= 0) return {};
  switch (-result) {
    case ETIME:   // the timeout
    case EINTR:   // a signal; signalfd reports those that matter
    case EAGAIN:  // no memory for a request just now: it stays queued
    case EBUSY:   // completions overflowed: reap first, then it goes through
      return {};
    default: return os_error("io_uring_enter", -result);
  }
}

std::optional<Error> probe_ring() {
  auto ring = Ring::create({.submissions = 8, .completions = 16});
  if (!ring) return ring.error();
  if (auto enabled = ring->enable(); !enabled) return enabled.error();
  return std::nullopt;
}

}  // namespace weir::io
