// Other numbers of workers, while the service runs.
//
// More: what can fail comes first (descriptors, sockets), and is undone where it does; then the
// workers that run are told by letter, and the new ones forked, which inherit what they need. A
// slot is steered to once its worker has said that it is ready.
//
// Fewer: the last slots go. Nothing new is steered to them; their workers are ordered, from the
// tick, to give their sessions to those that stay. Then their listeners are closed, by shutdown(),
// which closes them in all processes at once, one that hangs included. What waits in them must not
// be lost with that:
// - With our eBPF program the kernel moves it, queued or in its handshake, to another listener.
// - Without, it would be reset. So new connections are kept off first (Steering::keep_to_first),
//   their workers go on accepting, and the listeners are closed once their queues are empty and
//   what was in its handshake has come out of it.
// A letter tells all workers that the slot is gone, and its own to end when no session is left that
// can move. What its inbox holds then, of one who was late to hear, is posted to another worker. A
// worker that dies before its listeners are closed is replaced, for there is work left.
//
// Should the master itself die while slots go, its successor keeps them all (takeover.cpp).
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "master_parts.h"
#include "weir/base/log.h"
#include "weir/process/master.h"

namespace weir::process {
namespace {

/// Without a program: how long listeners outlive the last SYN sent there. The client's second
/// SYN-ACK comes after a second, the third after three: a handshake older than that is given up
/// on, as by the load table (Steering::reconcile).
constexpr Duration kHandshakesEnd = std::chrono::seconds{3};

}  // namespace

// --- deciding ---------------------------------------------------------------------------------

Result<void> Master::set_workers(std::uint32_t count) {
  auto staffing = staffing_of(count);
  if (!staffing) return staffing.error();
  if (count == options_.workers) return {};
  return count > options_.workers ? grow(count, *staffing) : begin_retiring(count, *staffing);
}

/// What so many workers come to; fails where there cannot be so many, now or at all.
Result<Staffing> Master::staffing_of(std::uint32_t count) const {
  if (stopping_) return Error{"the service is stopping", ""};
  if (upgrade_ || succeeded_ || !predecessors_.empty())
    return Error{"an upgrade is under way", "try again when it is over"};
  if (!ready_once_)
    return Error{"the workers are still starting", "try again when they serve (weirctl status)"};
  if (count < 1 || count > WEIR_SLOTS_MAX)
    return Error{fmt::format("{} workers", count),
                 fmt::format("choose between 1 and {}", WEIR_SLOTS_MAX)};
  if (resizing_.handing_over)
    return Error{fmt::format("the workers from slot {} on are still ending", resizing_.staying),
                 "try again when weirctl status shows them no more"};
  Staffing same{.cpus = options_.cpus, .max_connections = 0};
  if (count == options_.workers) return same;
  if (!options_.steering.table.weights.empty())
    return Error{fmt::format("--weights names a weight for each of {} workers, and none for {}",
                             options_.workers, count),
                 "start weir anew with as many weights, or without"};
  if (count < listeners_.passed())
    return Error{
        fmt::format("{} workers for {} sockets that were passed", count, listeners_.passed()),
        "choose at least as many; whoever passed them holds them open"};
  if (!options_.staffing) return same;
  auto staffing = options_.staffing(count);
  if (!staffing) return staffing;
  if (count < options_.workers && steering_.table().total() > staffing->max_connections)
    return Error{fmt::format("{} connections are open, and {} workers can hold {}",
                             steering_.table().total(), count, staffing->max_connections),
                 "raise the descriptor limit (ulimit -n), or keep more workers"};
  return staffing;
}

// --- more -------------------------------------------------------------------------------------

Result<void> Master::grow(std::uint32_t count, const Staffing& staffing) {
  const std::uint32_t before = options_.workers;
  const auto new_before = resizing_.new_from;
  resizing_.new_from = std::min(before, new_before.value_or(before));
  if (auto made = make_slots(count); !made) {
    listeners_.shrink(before);
    inboxes_.shrink(before);
    resizing_.new_from = new_before;
    if (auto kept = keep_connections_off(); !kept) spdlog::warn("{}", to_string(kept.error()));
    return made;
  }
  spdlog::info("{} workers become {}", before, count);
  options_.cpus = staffing.cpus;
  steering_.set_slots(count, weights_in_force(count));
  if (staffing.max_connections > 0) steering_.set_max_connections(staffing.max_connections);
  steering_.table().set_cpus(options_.cpus);
  resize_parts(count);
  options_.workers = resizing_.staying = count;
  while (workers_.size() < count) workers_.push_back(std::make_unique<Worker>(io_));
  for (std::uint32_t slot = before; slot < count; ++slot) {
    workers_[slot]->closed = false;
    tell_all(true, slot);
  }
  tell_news();
  for (std::uint32_t slot = before; slot < count; ++slot) start(slot);
  leave_to_successors();
  return {};
}

/// All that growing takes and that can fail; what is made is not in use yet.
Result<void> Master::make_slots(std::uint32_t count) {
  const std::uint32_t before = options_.workers;
  if (auto made = steering_.clients().grow(count); !made) return made;
  if (auto made = inboxes_.grow(count); !made) return made;
  // Before the new sockets listen, or the kernel's hash would send them what nobody accepts yet.
  if (auto kept = keep_connections_off(); !kept) return kept;
  if (auto made = listeners_.grow(count); !made) return made;
  for (std::size_t i = 0; i < listeners_.addresses().size(); ++i) {
    const std::vector<int> all = listeners_.of_address(i);
    if (auto added = steering_.add_listeners(i, before, std::span{all}.subspan(before)); !added)
      return added;
  }
  return {};
}

void Master::resize_parts(std::uint32_t slots) {
  supervisor_.resize(slots);
  hang_watch_.resize(slots);
  rebalancer_.resize(slots);
}

/// Keeps new connections, where no program steers them, off the slots that go, and off those whose
/// workers have never served.
Result<void> Master::keep_connections_off() {
  const std::uint32_t open = std::min(resizing_.staying, resizing_.new_from.value_or(UINT32_MAX));
  if (resizing_.new_from || resizing_.handing_over) return steering_.keep_to_first(open);
  return steering_.keep_to_all();
}

/// Once each new slot has a worker that serves, all connections may come to them.
void Master::open_new_slots() {
  if (!resizing_.new_from) return;
  for (std::uint32_t slot = *resizing_.new_from; slot < resizing_.staying; ++slot)
    if (workers_[slot]->state != WorkerState::serving) return;
  resizing_.level_from = std::exchange(resizing_.new_from, std::nullopt);
  if (auto kept = keep_connections_off(); !kept) spdlog::warn("{}", to_string(kept.error()));
}

/// Once, when all new workers can take sessions: the moment that they serve, one may not have woken
/// again yet.
void Master::level_new_slots(Instant now) {
  if (!resizing_.level_from || resizing_.handing_over) return;
  const std::vector<SlotLoad> seen = loads(now);
  for (std::uint32_t slot = *resizing_.level_from; slot < seen.size(); ++slot)
    if (!seen[slot].able) return;
  resizing_.level_from.reset();
  if (const auto begun = rebalance(); !begun) spdlog::debug("{}", to_string(begun.error()));
}

// --- fewer ------------------------------------------------------------------------------------

Result<void> Master::begin_retiring(std::uint32_t count, const Staffing& staffing) {
  resizing_.staying = count;
  resizing_.handing_over.emplace(count, options_.rebalance.per_second);
  if (auto kept = keep_connections_off(); !kept) {
    resizing_.staying = options_.workers;
    resizing_.handing_over.reset();
    return kept;
  }
  spdlog::info("{} workers become {}", options_.workers, count);
  resizing_.since = monotonic_now();
  for (auto* from : {&resizing_.new_from, &resizing_.level_from})
    if (*from && **from >= count) from->reset();
  options_.cpus = staffing.cpus;
  if (staffing.max_connections > 0) steering_.set_max_connections(staffing.max_connections);
  for (std::uint32_t slot = count; slot < options_.workers; ++slot) {
    Worker& worker = *workers_[slot];
    steering_.table().mark_down(slot);
    if (worker.state == WorkerState::serving) worker.state = WorkerState::retiring;
    if (worker.state != WorkerState::waiting) continue;
    worker.pause.cancel();
    start(slot);  // what waits for it is to be handed on
  }
  steering_.table().look_up_first(count);
  look_at_resizing(resizing_.since);
  return {};
}

void Master::look_at_resizing(Instant now) {
  tell_news();
  open_new_slots();
  level_new_slots(now);
  if (!resizing_.handing_over) return;
  hand_over(now);
  close_slots(now);
  finish_retiring_if_left();
}

void Master::hand_over(Instant now) {
  std::vector<SlotLoad> seen;
  for (std::uint32_t slot = 0; slot < options_.workers; ++slot) seen.push_back(load_of(slot, now));
  for (const MoveOrder& order : resizing_.handing_over->look(seen, now))
    if (const auto given = give(order); !given) spdlog::warn("{}", to_string(given.error()));
}

/// Closes the listeners of slots that go, as soon as nothing is lost thereby.
void Master::close_slots(Instant now) {
  const bool moved_by_kernel = steering_.backend() == steering::Backend::ebpf;
  // The last one first, and none before those behind it: the kernel fills a gap in its group with
  // the last socket, and a classic program knows the sockets by their places.
  for (std::uint32_t slot = options_.workers; slot-- > resizing_.staying;) {
    if (workers_[slot]->closed) continue;
    if (!moved_by_kernel && (now - resizing_.since < kHandshakesEnd || steering_.queued(slot) > 0))
      break;
    steering_.drop_listeners(slot);
    listeners_.shut(slot);
    workers_[slot]->closed = true;
    tell_all(false, slot);
    // Nobody is to come back for what is in the inbox alone.
    if (workers_[slot]->pid == 0) slot_is_left(slot);
  }
  tell_news();
}

/// A slot whose listeners are closed has no worker any more, and gets none.
void Master::slot_is_left(std::uint32_t slot) {
  Worker& worker = *workers_[slot];
  worker.pause.cancel();
  worker.state = WorkerState::gone;
  worker.news.clear();
  inboxes_.shut(slot);
  worker.letters = true;
}

/// Posts what is left in the inbox of a slot without a worker to one that stays, unread but for
/// its kind. False while there is no room for all.
bool Master::forward_letters(std::uint32_t slot) {
  if (!workers_[slot]->letters) return true;
  Inbox inbox{inboxes_.reader(slot)};
  for (;;) {
    Letter letter;
    const Inbox::Look look = inbox.look(letter);
    if (look == Inbox::Look::empty) {
      workers_[slot]->letters = false;
      return true;
    }
    if (look == Inbox::Look::no_room) return false;
    const bool session = look == Inbox::Look::letter && (letter.kind == LetterKind::session ||
                                                         letter.kind == LetterKind::returned);
    if (session) {
      const std::uint32_t target = emptiest_staying();
      switch (post(inboxes_.writer(target), letter.kind, letter.from, letter.content,
                   letter.fd.get())) {
        case Posted::posted: steering_.table().correct_slot(target, 1); break;
        case Posted::no_room: return false;
        case Posted::failed:
          spdlog::error("lost a session of slot {}: {}", letter.from, std::strerror(errno));
          break;
      }
    }
    inbox.take_off();
  }
}

std::uint32_t Master::emptiest_staying() const {
  const steering::LoadTable& table = steering_.table();
  std::uint32_t best = 0;
  for (std::uint32_t slot = 1; slot < resizing_.staying; ++slot) {
    const bool serves = workers_[slot]->state == WorkerState::serving;
    const bool best_serves = workers_[best]->state == WorkerState::serving;
    const bool emptier = table.snapshot(slot).load < table.snapshot(best).load;
    if (serves != best_serves ? serves : emptier) best = slot;
  }
  return best;
}

void Master::finish_retiring_if_left() {
  for (std::uint32_t slot = resizing_.staying; slot < options_.workers; ++slot)
    if (workers_[slot]->state != WorkerState::gone || !forward_letters(slot)) return;
  const std::uint32_t count = resizing_.staying;
  options_.terms.set.forget_from(count);
  steering_.set_slots(count, weights_in_force(count));
  steering_.table().set_cpus(options_.cpus);
  listeners_.shrink(count);
  inboxes_.shrink(count);
  resize_parts(count);
  options_.workers = count;
  resizing_.handing_over.reset();
  if (auto kept = keep_connections_off(); !kept) spdlog::warn("{}", to_string(kept.error()));
  spdlog::info("{} workers are left", count);
  leave_to_successors();
}

// --- telling ----------------------------------------------------------------------------------

/// Has every worker that runs be told of a slot. One that is forked later finds it as it is.
void Master::tell_all(bool joined, std::uint32_t slot) {
  for (std::uint32_t to = 0; to < options_.workers; ++to)
    if (workers_[to]->pid != 0) workers_[to]->news.push_back({.joined = joined, .slot = slot});
}

void Master::tell_news() {
  for (std::uint32_t slot = 0; slot < options_.workers; ++slot) tell_news(slot);
}

/// As much of it as there is room for; the rest at the next tick.
void Master::tell_news(std::uint32_t slot) {
  std::deque<Worker::News>& news = workers_[slot]->news;
  while (!news.empty()) {
    Worker::News& next = news.front();
    Posted posted = Posted::posted;
    if (next.joined && !workers_[next.slot]->closed) {
      const SlotJoined joined{.slot = next.slot, .address = next.address};
      const std::vector<int> listeners = listeners_.of_slot(next.slot);
      std::vector<int> fds;
      if (next.address == 0) fds.push_back(inboxes_.writer(next.slot));
      const std::size_t count =
          std::min(kLetterDescriptorsMax - fds.size(), listeners.size() - next.address);
      const auto first = listeners.begin() + next.address;
      fds.insert(fds.end(), first, first + static_cast<std::ptrdiff_t>(count));
      posted = post(inboxes_.writer(slot), LetterKind::joined, slot, content_of(joined), fds);
      if (posted == Posted::posted) next.address += static_cast<std::uint32_t>(count);
      if (posted == Posted::posted && next.address < listeners.size()) continue;
    } else if (!next.joined) {
      const SlotParted parted{.slot = next.slot};
      posted = post(inboxes_.writer(slot), LetterKind::parted, slot, content_of(parted));
    }
    if (posted == Posted::no_room) return;
    if (posted == Posted::failed)
      spdlog::error("slot {}: cannot be told of slot {}: {}", slot, next.slot,
                    std::strerror(errno));
    news.pop_front();
  }
}

}  // namespace weir::process
