#include "weir/server/worker.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>

#include "acceptor.h"
#include "drainer.h"
#include "key_placer.h"
#include "mover.h"
#include "recorder.h"
#include "weir/base/log.h"
#include "weir/base/rseq.h"
#include "weir/process/privileges.h"
#include "weir/process/sandbox.h"
#include "weir/wire/close_code.h"

namespace weir::server {
namespace {

using io::Op;
using io::Tag;
using steering::add_own;

/// Between two ticks, at which deadlines are looked at too, however long the hang threshold is.
constexpr Duration kTickMax = std::chrono::milliseconds{100};
/// Between two looks at whether the slot is nobody's yet.
constexpr Duration kLookForSlot = std::chrono::milliseconds{1};
/// Between two tries to give what could not be given, while handing over.
constexpr Duration kGiveAgain = std::chrono::milliseconds{10};

Result<UniqueFd> drain_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGUSR1);
  UniqueFd fd{::signalfd(-1, &set, SFD_CLOEXEC)};  // blocking: the ring waits for it
  if (!fd) return os_error("signalfd", errno);
  return fd;
}

/// What of the sessions' traffic stands where in the row.
struct Total {
  __u64 weir_row::*in_row;
  std::uint64_t session::Traffic::*of_worker;
};
using session::Traffic;
/// What each message changes, and what few turns do.
constexpr std::array kOften{
    Total{&weir_row::messages_in, &Traffic::messages_in},
    Total{&weir_row::messages_out, &Traffic::messages_out},
    Total{&weir_row::bytes_in, &Traffic::bytes_in},
    Total{&weir_row::bytes_out, &Traffic::bytes_out},
};
constexpr std::array kSeldom{
    Total{&weir_row::upgraded, &Traffic::upgraded},
    Total{&weir_row::rejected, &Traffic::rejected},
    Total{&weir_row::overloaded, &Traffic::overloaded},
    Total{&weir_row::protocol_errors, &Traffic::protocol_errors},
    Total{&weir_row::handshake_timeouts, &Traffic::handshake_timeouts},
    Total{&weir_row::idle_timeouts, &Traffic::idle_timeouts},
    Total{&weir_row::too_big, &Traffic::too_big},
    Total{&weir_row::too_chatty, &Traffic::too_chatty},
    Total{&weir_row::dropped, &Traffic::dropped},
    Total{&weir_row::proxy_refused, &Traffic::proxy_refused},
    Total{&weir_row::tls_established, &Traffic::tls_established},
    Total{&weir_row::tls_resumed, &Traffic::tls_resumed},
    Total{&weir_row::tls_failed, &Traffic::tls_failed},
    Total{&weir_row::compressed_in, &Traffic::compressed_in},
    Total{&weir_row::compressed_out, &Traffic::compressed_out},
    Total{&weir_row::arrived, &Traffic::arrived},
    Total{&weir_row::left, &Traffic::left},
    Total{&weir_row::hash_moved, &Traffic::hash_moved},
    Total{&weir_row::hash_stayed, &Traffic::hash_stayed},
    Total{&weir_row::hash_tls, &Traffic::hash_tls},
    Total{&weir_row::hash_no_key, &Traffic::hash_no_key},
};

/// Whether any of kSeldom has: with one connection there is a turn for each message.
bool seldom_ones_differ(const Traffic& a, const Traffic& b) noexcept {
  static_assert(std::has_unique_object_representations_v<Traffic>);
  constexpr std::size_t first = offsetof(Traffic, upgraded);  // they are the last ones
  static_assert(sizeof(Traffic) - first == kSeldom.size() * sizeof(std::uint64_t));
  const auto of = [](const Traffic& t) { return std::as_bytes(std::span{&t, 1}).subspan(first); };
  return std::memcmp(of(a).data(), of(b).data(), of(a).size()) != 0;
}

/// Whether there is more to it than the tick.
bool has_work(const io::Completions& batch) noexcept {
  return batch.size() > 1 || (batch.size() == 1 && batch[0].tag.operation() != Op::tick);
}

void store_own(__u64& word, std::uint64_t value) noexcept {
  steering::Word{word}.store(value, std::memory_order_relaxed);
}

}  // namespace

Result<std::unique_ptr<Worker>> Worker::create(const WorkerOptions& options,
                                               process::WorkerSeat& seat,
                                               session::Handler& handler) {
  auto ring = io::Ring::create();
  if (!ring) return ring.error();
  auto buffers = io::BufferRing::create(*ring);
  if (!buffers) return buffers.error();
  if (auto enabled = ring->enable(); !enabled) return enabled.error();
  auto signals = drain_signals();
  if (!signals) return signals.error();
  std::optional<tls::Context> tls;
  if (options.vault != nullptr) {
    options.vault->seal();
    auto made = tls::Context::create(*options.vault, options.tls);
    if (!made) return made.error();
    tls.emplace(std::move(*made));
  }
  return std::unique_ptr<Worker>{new Worker{options, seat, handler, std::move(tls),
                                            std::move(*ring), std::move(*buffers),
                                            std::move(*signals)}};
}

Worker::Worker(const WorkerOptions& options, process::WorkerSeat& seat, session::Handler& handler,
               std::optional<tls::Context> tls, io::Ring ring, io::BufferRing buffers,
               UniqueFd signals)
    : options_{options},
      seat_{seat},
      slot_{seat.table->raw(), seat.slot, seat.counting, steering::WorkerSlot::Standing::waits},
      ring_{std::move(ring)},
      buffers_{std::move(buffers)},
      signals_{std::move(signals)},
      gate_{steering::ClientDesk{seat.table->raw(), *seat.clients, seat.slot, seat.bank}},
      tls_{std::move(tls)},
      sessions_{ring_,
                buffers_,
                handler,
                gate_,
                tls_ ? &*tls_ : nullptr,
                options_.rules.sessions,
                monotonic_now()},
      busy_poll_{options_.rules.busy_poll},
      now_{monotonic_now()} {
  arm_signal();
  ring_.poll_multishot(seat.link.fd(), Tag::of(Op::link));
}

Worker::~Worker() = default;

bool Worker::take_slot() {
  if (!slot_.take({.pid = ::getpid(), .bank = seat_.bank})) return false;
  begin_serving();
  return true;
}

bool Worker::await_slot() {
  while (!take_slot()) {
    // Nothing wakes whoever waits for a word in memory; a look a millisecond is soon enough.
    if (const auto waited = ring_.submit_and_wait(kLookForSlot); !waited) {
      spdlog::critical("{}", to_string(waited.error()));
      return false;
    }
    ring_.reap([this](const io::Completion& c) { dispatch(c); });
    if (stop_now_) return false;
  }
  return true;
}

void Worker::begin_serving() {
  earlier_ = slot_.row();
  now_ = monotonic_now();
  slot_.woke(now_);
  slot_.found(0);  // its predecessor may have died amid a turn
  acceptor_ =
      std::make_unique<Acceptor>(ring_, slot_, seat_.listeners, options_.rules.hang_threshold);
  mover_ = std::make_unique<Mover>(ring_, sessions_, slot_, *acceptor_, seat_.inbox, seat_.inboxes);
  placer_ = std::make_unique<KeyPlacer>(
      slot_, steering::KeyOwners{seat_.table->raw(), seat_.bank},
      Descriptors{.in_all = options_.descriptors, .each_slot = options_.doors.size() + 1});
  sessions_.place_by(*placer_);
  arm_tick();
}

int Worker::run() {
  if (!slot_.owns() && !await_slot()) return EXIT_SUCCESS;
  while (!stop_now_) {
    // Flushing ends sessions too, and the sleep may be long: what that means comes before it.
    sessions_.flush(now_);
    report_ends();
    end_if_emptied();
    if (drainer_) drainer_->finish(now_);
    // An accept that the ring still holds would keep its listener open past our exit, until the
    // kernel gets round to taking the ring apart, and connections would come to nobody.
    if (acceptor_->ended() && sessions_.count() == 0) break;
    const Instant sleeps = monotonic_now();
    if (auto waited = ring_.submit_and_wait(sleep_limit(sleeps), busy_poll_.ahead()); !waited) {
      spdlog::critical("{}", to_string(waited.error()));
      return EXIT_FAILURE;
    }
    const Instant woke = std::exchange(now_, monotonic_now());
    slot_.woke(now_);
    const io::Completions batch = ring_.completions();
    busy_poll_.waited(now_ - sleeps, has_work(batch));
    slot_.found(batch.size());
    take_in(batch);
    buffers_.end_batch();
    sessions_.run_deadlines(now_);
    if (drainer_) drainer_->close_due(now_);
    mover_->look(now_);
    take_sums();
    if (const auto rules = mover_->take_rules()) adopt(std::move(*rules));
    follow_recording();
    acceptor_->look(now_, sessions_.traffic().ended != ends_reported_);
    report_turn(woke, sleeps);
    if (mover_->hand_over()) hand_over();
  }
  recorder_.reset();
  // Nothing is left of its own: to whoever waits for the slot this is as good as a handover.
  if (slot_.owns() && sessions_.count() == 0) slot_.let_go();
  if (let_go_with_) mover_->post_sums(steering::sums_since(slot_.row(), *let_go_with_));
  return EXIT_SUCCESS;
}

void Worker::take_in(const io::Completions& batch) {
  sessions_.begin_batch(batch);
  if (recorder_) recorder_->begin_turn(now_);
  sessions_.finish_sends(now_);
  for (unsigned i = 0; i < batch.size(); ++i) {
    const io::Completion completion = batch[i];
    if (recorder_) [[unlikely]]
      dispatch_recorded(completion);
    else
      dispatch(completion);
  }
  ring_.done_with(batch);
}

void Worker::dispatch(const io::Completion& completion) {
  switch (completion.tag.operation()) {
    case Op::receive: return sessions_.on_receive(completion, now_);
    case Op::send: return sessions_.on_send(completion, now_);
    case Op::accept: return on_accept(completion);
    case Op::arrival: return acceptor_->on_arrival(completion);
    case Op::signal: return on_signal(completion.result);
    case Op::tick: return on_tick(completion);
    case Op::inbox: return mover_->on_letters(completion, now_);
    case Op::link: return on_master_death();
    case Op::short_send:  // Sessions::begin_batch() has seen it
    case Op::ignored: return;
  }
  spdlog::error("completion of an unknown operation {}", completion.tag.user_data());
}

void Worker::on_accept(const io::Completion& completion) {
  if (auto accepted = acceptor_->take(completion, now_))
    sessions_.adopt(std::move(accepted->fd), options_.doors[accepted->address], now_);
}

/// What it began with is as new as what a letter says that its predecessor did not live to read.
void Worker::adopt(WorkerRules rules) {
  if (rules.made_at <= options_.rules.made_at) return;
  rules.sessions.app = options_.rules.sessions.app;
  const bool judged_anew = rules.hang_threshold != options_.rules.hang_threshold;
  options_.rules = std::move(rules);
  spdlog::set_level(options_.rules.log_level);
  busy_poll_.limit(options_.rules.busy_poll);
  spdlog::debug("keeps to new rules");
  sessions_.rules_changed(now_);
  if (!judged_anew) return;
  acceptor_->judge_by(options_.rules.hang_threshold);
  ++tick_;  // the tick under way may be too far off, and is passed over
  arm_tick();
}

// --- recording --------------------------------------------------------------------------------

void Worker::follow_recording() {
  if (auto told = mover_->take_recording()) {
    const bool known = recorder_ && recorder_->order().began_ns == told->order.began_ns;
    if (told->pipe && !known) {
      recorder_.reset();  // it has one witness at a time
      recorder_ = std::make_unique<Recorder>(sessions_, std::move(told->pipe), told->order, now_);
      spdlog::debug("records its sessions");
    } else if (!told->pipe && known) {
      recorder_->end(now_);
    }
  }
  if (!recorder_ || !recorder_->is_over()) return;
  recorder_.reset();
  spdlog::debug("records no more");
}

void Worker::dispatch_recorded(const io::Completion& completion) {
  const Op op = completion.tag.operation();
  if (op != Op::receive && op != Op::send) return dispatch(completion);
  recorder_->before(static_cast<std::uint32_t>(completion.tag.slot));
  dispatch(completion);
  recorder_->after();
}

// --- stopping ---------------------------------------------------------------------------------

void Worker::arm_tick() {
  const Duration threshold = options_.rules.hang_threshold;
  const Duration every = threshold.count() > 0 ? std::min(threshold / 3, kTickMax) : kTickMax;
  ring_.timeout(every, Tag::of(Op::tick, 0, tick_));
}

void Worker::on_tick(const io::Completion& completion) {
  if (completion.tag.generation == (tick_ & 0xff'ffffU)) arm_tick();
}

void Worker::arm_signal() {
  ring_.read(signals_.get(), std::as_writable_bytes(std::span{&signal_, 1}), Tag::of(Op::signal));
}

void Worker::on_signal(int result) {
  if (result == static_cast<int>(sizeof signal_)) {
    const bool terminate = signal_.ssi_signo == SIGTERM;
    if (!slot_.owns() && !let_go_with_) {
      stop_now_ = true;
      return;
    }
    if (terminate && std::exchange(stopping_, true)) {
      stop_now_ = true;
      return;
    }
    if (terminate || drainer_ == nullptr)
      drain(terminate ? DrainFor::service_end : DrainFor::successor, sessions_.open_count());
  }
  arm_signal();
}

/// The workers go on without a master; only one that does not serve yet is nobody's any more.
void Worker::on_master_death() {
  if (!slot_.owns() && !let_go_with_) stop_now_ = true;
}

// --- making way for a successor ---------------------------------------------------------------

/// Once a turn, from the order on.
void Worker::hand_over() {
  if (!let_go_with_) {
    if (!acceptor_->stopped()) acceptor_->stop(Acceptor::Latecomers::served);
    if (!acceptor_->ended()) return;  // who is accepted in between is still this worker's
    report_ends();
    slot_.let_go();
    let_go_with_ = slot_.row();
    if (const auto version = static_cast<std::uint16_t>(mover_->hand_over()->parcel_version))
      sessions_.carry_by(*mover_, version);
    else
      sessions_.carry_no_more();
    const std::size_t open = sessions_.open_count();
    const std::size_t given = give_all();
    spdlog::debug("hands over {} of {} sessions", given, open);
    if (drainer_ == nullptr) drain(DrainFor::handover, open - std::min(given, open));
    return;
  }
  if (stopping_) return;  // the successor may be ending too
  // Also those that have opened since, and those that found no room.
  if (now_ - gave_at_ >= kGiveAgain || gave_upgraded_ != sessions_.traffic().upgraded)
    (void)give_all();
}

std::size_t Worker::give_all() {
  gave_at_ = now_;
  gave_upgraded_ = sessions_.traffic().upgraded;
  return sessions_.give(sessions_.open_count(), slot_.slot());
}

void Worker::drain(DrainFor purpose, std::size_t sessions) {
  drainer_ = std::make_unique<Drainer>(purpose, sessions_, *acceptor_, slot_, sessions,
                                       options_.rules.drain_timeout,
                                       options_.rules.sessions.close_timeout, now_);
}

/// A worker whose slot is gone waits until what is in its handshake has become a session, and what
/// can move has moved, as the master orders it; the rest is closed.
void Worker::end_if_emptied() {
  if (drainer_ || !mover_->slot_is_gone()) return;
  if (sessions_.count() > sessions_.open_count() || sessions_.may_give()) return;
  drain(DrainFor::successor, sessions_.open_count());
}

// --- reporting --------------------------------------------------------------------------------

/// Of workers that handed the slot over to this one.
void Worker::take_sums() {
  const auto sums = mover_->take_sums();
  if (!sums) return;
  steering::add_sums(earlier_, *sums);
  steering::add_sums(slot_.row(), *sums);
}

void Worker::report_ends() {
  const session::Traffic& traffic = sessions_.traffic();
  for (; ends_reported_ < traffic.ended; ++ends_reported_) slot_.ended();
  // The master tells from this what of its orders is done.
  if (std::exchange(reported_.left, traffic.left) != traffic.left)
    store_own(slot_.row().left, earlier_.left + traffic.left);
}

void Worker::report_turn(Instant woke, Instant sleeps) {
  weir_row& row = slot_.row();
  const session::Traffic& traffic = sessions_.traffic();
  add_own(row.busy_ns, busy_.turned(woke, sleeps, now_, ring_.looked()));
  add_own(row.loops, 1);
  slot_.found(0);
  store_own(row.enters, earlier_.enters + ring_.enters());
  const auto report = [&](Total total) {
    const std::uint64_t now = traffic.*total.of_worker;
    if (std::exchange(reported_.*total.of_worker, now) != now)
      store_own(row.*total.in_row, earlier_.*total.in_row + now);
  };
  for (const Total total : kOften) report(total);
  if (seldom_ones_differ(traffic, reported_)) [[unlikely]]
    for (const Total total : kSeldom) report(total);
}

/// With ticks, which come soon enough for every deadline, a sleep has no limit of its own: setting
/// up and taking down a timer for each would be paid with every message.
std::optional<Duration> Worker::sleep_limit(Instant now) const {
  if (!ring_.everything_answered()) return Duration::zero();  // sends wait to be finished
  // A session on its way is served by nobody: no tick is soon enough for it.
  if (mover_->next() && *mover_->next() <= now) return Duration::zero();
  if (sessions_.waits_to_leave()) return session::Sessions::kLeaveAgain;
  if (let_go_with_) return kGiveAgain;
  if (recorder_ && recorder_->waits()) return Recorder::kWriteAgain;
  if (options_.rules.hang_threshold.count() > 0) return std::nullopt;
  std::optional<Duration> limit;
  const auto at_most = [&](Duration d) { limit = limit ? std::min(*limit, d) : d; };
  if (const auto deadline = sessions_.next_deadline()) at_most(*deadline - now);
  if (const auto next = acceptor_->next()) at_most(*next - now);
  if (const auto next = mover_->next()) at_most(*next - now);
  if (drainer_)
    if (const auto next = drainer_->next()) at_most(*next - now);
  return limit;
}

int run_worker(const WorkerOptions& options, process::WorkerSeat seat, session::Handler& handler) {
  const auto cannot = [&seat](const Error& why) {
    seat.link.failed(why);
    return EXIT_FAILURE;
  };
  auto worker = Worker::create(options, seat, handler);
  if (!worker) return cannot(worker.error());
  if (const auto became = process::become_worker(seat.identity); !became)
    return cannot(became.error());
  (void)leave_rseq();
  if (const auto inside = process::enter_sandbox(); !inside)
    spdlog::warn("serves without a system call filter: {}", to_string(inside.error()));
  // Before anybody is told: what is steered to a worker that has not woken yet is steered past it,
  // as past one that hangs.
  (void)(*worker)->take_slot();
  seat.link.ready();
  return (*worker)->run();
}

}  // namespace weir::server
