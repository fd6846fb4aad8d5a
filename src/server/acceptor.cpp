#include "acceptor.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "weir/base/log.h"
#include "weir/base/socket_address.h"

namespace weir::server {
namespace {

using io::Op;
using io::Tag;

/// How long a worker that ran out of descriptors or memory leaves its queue alone, unless one of
/// its sessions ends before: trying again at once would spin.
constexpr Duration kAcceptPause = std::chrono::milliseconds{100};
/// Looks at which the poll of a queue has fired and nothing was accepted since the one before, the
/// first of all included: the next one arms the accept anew.
constexpr unsigned kMissesMax = 2;
/// Between two log lines about such a limit.
constexpr Duration kLimitLogPause = std::chrono::seconds{10};

/// Closes with a reset, as the kernel program refuses when it may.
void reset(UniqueFd fd) noexcept {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void refuse(UniqueFd fd) {
  if (spdlog::should_log(spdlog::level::debug))
    if (const auto peer = SocketAddress::peer_of(fd.get()))
      spdlog::debug("{}: reset: over the limit on connections", peer->to_string());
  reset(std::move(fd));
}

Tag tag_of(std::size_t index, std::uint32_t generation) noexcept {
  return Tag::of(Op::accept, static_cast<std::uint32_t>(index), generation);
}

Tag watch_of(std::size_t index) noexcept {
  return Tag::of(Op::arrival, static_cast<std::uint32_t>(index));
}

}  // namespace

Acceptor::Acceptor(io::Ring& ring, steering::WorkerSlot& slot,
                   std::vector<std::vector<int>> listeners, Duration hang_threshold)
    : ring_{ring},
      slot_{slot},
      addresses_{listeners.front().size()},
      judges_{hang_threshold.count() > 0},
      look_every_{judges_ ? hang_threshold / 3 : kLookEvery} {
  for (const std::vector<int>& of_slot : listeners)
    for (const int fd : of_slot) queues_.push_back({.listener = UniqueFd{fd}});
  accept_from(slot.slot());
}

void Acceptor::add(std::uint32_t slot, std::size_t address, std::vector<UniqueFd> listeners) {
  const std::size_t first = slot * addresses_ + address;
  if (address + listeners.size() > addresses_) return;
  if (queues_.size() < (slot + 1) * addresses_) queues_.resize((slot + 1) * addresses_);
  const bool own = slot == slot_.slot() && !stopped_;
  if (own) leave_alone(slot);  // what listens no more
  for (std::size_t i = 0; i < listeners.size(); ++i)
    queues_[first + i].listener = std::move(listeners[i]);
  if (own) accept_from(slot);
}

void Acceptor::drop(std::uint32_t slot) {
  // The places stay: completions of accepts that are over may still be on their way.
  if (queues_.size() < (slot + 1) * addresses_) return;
  leave_alone(slot);
  std::erase(covered_, slot);
  for (std::size_t address = 0; address < addresses_; ++address)
    queues_[slot * addresses_ + address].listener.reset();
}

std::optional<Acceptor::Accepted> Acceptor::take(const io::Completion& completion, Instant now) {
  const auto index = static_cast<std::size_t>(completion.tag.slot);
  Queue& queue = queues_[index];
  // Before the accept is armed again: its descriptor may be the one that there was room for.
  std::optional<Accepted> accepted;
  if (completion.result >= 0) {
    UniqueFd fd{completion.result};
    queue.accepted = true;
    if (!slot_.accepted_from(static_cast<std::uint32_t>(index / addresses_)))
      refuse(std::move(fd));
    else if (stopped_ && latecomers_ == Latecomers::dropped)
      slot_.ended();
    else
      accepted = Accepted{.fd = std::move(fd), .address = index % addresses_};
  }
  if (!completion.more()) --in_ring_;
  const bool of_the_last = completion.tag.generation == (queue.generation & 0xff'ffffU);
  if (!completion.more() && of_the_last) on_end(index, completion.result, now);
  return accepted;
}

void Acceptor::on_end(std::size_t index, int result, Instant now) {
  queues_[index].armed = false;
  if (!queues_[index].wanted) return;
  switch (-result) {
    case EINVAL:  // it listens no more: its slot is about to go
      queues_[index].wanted = false;
      return;
    case EMFILE:   // this process has no descriptor left
    case ENFILE:   // nor has the host
    case ENOBUFS:  // no memory for a socket
    case ENOMEM: break;
    default: return arm(index);  // one connection's ECONNABORTED, or the multishot merely ended
  }
  paused_.push_back(index);
  if (!resume_at_) resume_at_ = now + kAcceptPause;
  if (limit_logged_at_ && now - *limit_logged_at_ < kLimitLogPause) return;
  limit_logged_at_ = now;
  spdlog::warn("cannot accept, {} sessions open: {}; tries again as they end", slot_.row().open,
               std::strerror(-result));
}

void Acceptor::look(Instant now, bool room) {
  if (stopped_) return;
  if (resume_at_ && (room || now >= *resume_at_)) {
    resume_at_.reset();
    for (const std::size_t index : std::exchange(paused_, {}))
      if (queues_[index].wanted && !queues_[index].armed) arm(index);
  }
  if (now < look_at_) return;
  look_at_ = now + look_every_;
  watch();
  if (!judges_) return;
  const auto slots =
      std::min(slot_.slots(), static_cast<std::uint32_t>(queues_.size() / addresses_));
  if (slot_.slot() >= slots) return;  // ours is gone
  cover(steering::slots_to_cover(
      slot_.slot(), slots, [&](std::uint32_t slot) { return slot_.attendance_of(slot, now); }));
}

void Acceptor::judge_by(Duration hang_threshold) {
  judges_ = hang_threshold.count() > 0;
  look_every_ = judges_ ? hang_threshold / 3 : kLookEvery;
  look_at_ = {};
  if (!judges_) cover({});
}

void Acceptor::watch() {
  const std::size_t first = slot_.slot() * addresses_;
  for (std::size_t index = first; index < first + addresses_; ++index) {
    Queue& queue = queues_[index];
    const bool accepted = std::exchange(queue.accepted, false);
    if (!queue.armed || queue.watched) continue;
    queue.missed = accepted ? 0 : queue.missed + 1;
    if (queue.missed > kMissesMax) {
      queue.missed = 0;
      ring_.cancel(tag_of(index, queue.generation));
      arm(index);
    }
    queue.watched = true;
    ++in_ring_;
    ring_.poll(queue.listener.get(), watch_of(index));
  }
}

void Acceptor::on_arrival(const io::Completion& completion) {
  --in_ring_;
  queues_[completion.tag.slot].watched = false;  // until the next look
}

void Acceptor::cover(std::vector<std::uint32_t> slots) {
  const auto is_in = [](const std::vector<std::uint32_t>& in, std::uint32_t slot) {
    return std::ranges::find(in, slot) != in.end();
  };
  for (const std::uint32_t slot : covered_) {
    leave_alone(slot);
    if (!is_in(slots, slot)) spdlog::debug("leaves slot {} to its own worker again", slot);
  }
  for (const std::uint32_t slot : slots) {
    accept_from(slot);
    if (!is_in(covered_, slot)) spdlog::debug("accepts for slot {}, whose worker does not", slot);
  }
  covered_ = std::move(slots);
}

void Acceptor::accept_from(std::uint32_t slot) {
  for (std::size_t address = 0; address < addresses_; ++address) {
    const std::size_t index = slot * addresses_ + address;
    if (!queues_[index].listener) continue;
    queues_[index].wanted = true;
    arm(index);
  }
}

void Acceptor::leave_alone(std::uint32_t slot) {
  for (std::size_t address = 0; address < addresses_; ++address) {
    Queue& queue = queues_[slot * addresses_ + address];
    const std::size_t index = slot * addresses_ + address;
    queue.wanted = false;
    if (std::exchange(queue.armed, false)) ring_.cancel(tag_of(index, queue.generation));
    if (queue.watched) ring_.cancel(watch_of(index));
  }
}

void Acceptor::arm(std::size_t index) {
  Queue& queue = queues_[index];
  queue.armed = true;
  ++in_ring_;
  ring_.accept_multishot(queue.listener.get(), tag_of(index, ++queue.generation));
}

void Acceptor::stop(Latecomers latecomers) {
  leave_alone(slot_.slot());
  for (const std::uint32_t slot : std::exchange(covered_, {})) leave_alone(slot);
  resume_at_.reset();
  stopped_ = true;
  latecomers_ = latecomers;
}

}  // namespace weir::server
