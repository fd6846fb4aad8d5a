#include "weir/process/master.h"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/read_until.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>

extern "C" {  // glibc 2.36 forgot to say so in the header itself
#include <sys/pidfd.h>
}

#include "child.h"
#include "master_parts.h"
#include "weir/base/log.h"
#include "weir/base/units.h"

namespace weir::process {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr Duration kTick = std::chrono::milliseconds{100};
constexpr Duration kBusyWindow = std::chrono::seconds{1};
constexpr std::size_t kWordBytesMax = 4'096;

/// Programs of addresses that the estate has; the others are loaded.
Result<steering::Steering> inherit_steering(const MasterOptions& options,
                                            const Listeners& listeners, Estate& estate) {
  steering::SteeringDescriptors descriptors;
  const auto take = [&estate](const std::string& name, int& to) {
    auto fd = estate.take(name);
    if (fd) to = fd->release();
    return fd.has_value();
  };
  if (!take("table", descriptors.table) || !take("clients", descriptors.clients) ||
      !take("notes", descriptors.notes))
    return Error{"what the other weir hands over has no load table",
                 "restart weir instead of upgrading it in place"};
  descriptors.steered = std::ranges::any_of(
      estate.items, [](const auto& item) { return item.first.starts_with("program."); });
  for (std::size_t i = 0; i < listeners.addresses().size(); ++i) {
    const std::optional<std::size_t> address = listeners.inherited(i);
    auto& of_address = descriptors.addresses.emplace_back();
    if (!address || !estate.has(fmt::format("program.{}", *address))) continue;
    take(fmt::format("program.{}", *address), of_address.program);
    take(fmt::format("array.{}", *address), of_address.listeners);
  }
  return steering::Steering::inherit(options.steering, descriptors);
}

std::string describe(const siginfo_t& exit) {
  if (exit.si_pid == 0) return "a status that its parent took with it";
  if (exit.si_code == CLD_EXITED) return fmt::format("exit status {}", exit.si_status);
  return fmt::format("signal {} ({})", exit.si_status, ::strsignal(exit.si_status));
}

bool has_low_port(const Listeners& listeners) {
  return std::ranges::any_of(listeners.addresses(),
                             [](const SocketAddress& at) { return at.port() < 1'024; });
}

}  // namespace

std::string_view to_string(WorkerState state) noexcept {
  switch (state) {
    case WorkerState::starting: return "starting";
    case WorkerState::serving: return "serving";
    case WorkerState::draining: return "draining";
    case WorkerState::retiring: return "retiring";
    case WorkerState::waiting: return "down";
    case WorkerState::stopping: return "draining";
    case WorkerState::gone: return "down";
  }
  return "down";
}

Result<std::unique_ptr<Master>> Master::create(asio::io_context& io, MasterOptions options,
                                               WorkerMain worker_main,
                                               std::optional<Inheritance> inheritance) {
  Estate* const estate = inheritance ? &inheritance->estate : nullptr;
  auto listeners =
      estate != nullptr
          ? Listeners::inherit(options.listen, options.workers, options.backlog, *estate)
          : Listeners::open(options.listen, options.workers, options.backlog);
  if (!listeners) return listeners.error();
  options.steering.addresses = listeners->addresses().size();
  auto steering = estate != nullptr ? inherit_steering(options, *listeners, *estate)
                                    : steering::Steering::create(options.steering);
  if (!steering) return steering.error();
  if (listeners->disorder() && steering->backend() == steering::Backend::cbpf) {
    if (estate != nullptr || options.steering.backend == steering::BackendChoice::cbpf)
      return *listeners->disorder();
    spdlog::warn("steering falls back to none: {}", to_string(*listeners->disorder()));
    options.steering.backend = steering::BackendChoice::none;
    steering = steering::Steering::create(options.steering);
    if (!steering) return steering.error();
  }
  for (std::size_t i = 0; i < listeners->addresses().size(); ++i)
    if (auto attached = steering->attach(i, listeners->of_address(i), listeners->reopened(i));
        !attached)
      return attached.error();
  auto inboxes = estate != nullptr ? Inboxes::inherit(options.workers, *estate)
                                   : Inboxes::open(options.workers);
  if (!inboxes) return inboxes.error();
  if (auto reduced = reduce_master(options.identity, has_low_port(*listeners)); !reduced)
    return reduced.error();
  auto signals = master_signals();
  if (!signals) return signals.error();
  auto manager = NotifySocket::from_environment();
  if (!manager) return manager.error();
  return std::unique_ptr<Master>{new Master{
      io, std::move(options), std::move(worker_main), std::move(*listeners), std::move(*steering),
      std::move(*inboxes), std::move(*signals), std::move(*manager), std::move(inheritance)}};
}

Master::Master(asio::io_context& io, MasterOptions options, WorkerMain worker_main,
               Listeners listeners, steering::Steering steering, Inboxes inboxes, UniqueFd signals,
               std::optional<NotifySocket> manager, std::optional<Inheritance> inheritance)
    : io_{io},
      options_{std::move(options)},
      worker_main_{std::move(worker_main)},
      listeners_{std::move(listeners)},
      steering_{std::move(steering)},
      inboxes_{std::move(inboxes)},
      supervisor_{options_.workers},
      hang_watch_{options_.workers, options_.hang_kill},
      rebalancer_{options_.workers, options_.rebalance},
      manager_{std::move(manager)},
      report_{watchdog_from_environment(), options_.stop_patience},
      signals_{io, signals.release()},
      tick_{io},
      stop_deadline_{io},
      channel_{io},
      hand_over_deadline_{io} {
  for (std::size_t a = 0; a < options_.terms.listens.size(); ++a)
    options_.terms.listens[a].address = listeners_.addresses()[a];
  if (inheritance) {
    in_charge_ = inheritance->goes_on_with(options_.terms);
    before_has_died_ = inheritance->of_the_dead;
    inherited_ = std::move(inheritance->estate.terms);
    options_.terms.set = inherited_->set;
    if (auto pipe = inheritance->estate.take("recording");
        pipe && inherited_->recording_began_ns != 0)
      go_on_recording({inherited_->recording_began_ns}, std::move(*pipe));
    options_.terms.set.forget_from(options_.workers);
    channel_.assign(asio::local::stream_protocol{}, inheritance->channel.release());
    // If not, the other bank: theirs are in use until they have ended.
    options_.terms.bank = in_charge_ ? inherited_->bank : inherited_->bank ^ 1U;
  }
  resizing_.staying = options_.workers;
  for (std::uint32_t slot = 0; slot < options_.workers; ++slot)
    workers_.push_back(std::make_unique<Worker>(io));
}

Master::~Master() {
  kill_all();
}

int Master::run() {
  await_signal();
  if (in_charge_) begin_ticks();
  if (in_charge_ && inherited_) {
    take_workers_over();
    io_.run();
    return exit_status_;
  }
  if (!in_charge_ && !before_has_died_) await_charge();
  for (std::uint32_t slot = 0; slot < options_.workers; ++slot) {
    if (in_charge_ && steering_.queued(slot) > 0)
      count_queue(slot);  // came before us, to a socket that was passed
    start(slot);
  }
  io_.run();
  return exit_status_;
}

void Master::begin_ticks() {
  sampled_at_ = monotonic_now();
  tick();
}

// --- starting ---------------------------------------------------------------------------------

void Master::start(std::uint32_t slot) {
  if (in_charge_ && adopt(slot)) return;
  Worker& worker = *workers_[slot];
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    spdlog::error("slot {}: no pipe for its worker: {}", slot, std::strerror(errno));
    return restart_after(slot, supervisor_.after_exit(slot, monotonic_now()));
  }
  UniqueFd ours{ends[0]};
  UniqueFd theirs{ends[1]};
  worker.cpu.reset();
  if (slot < options_.cpus.size()) worker.cpu = options_.cpus[slot];

  const pid_t pid = ::fork();
  if (pid == 0) become_worker_process(slot, std::move(theirs));
  if (pid < 0) {
    spdlog::error("slot {}: fork failed: {}", slot, std::strerror(errno));
    return restart_after(slot, supervisor_.after_exit(slot, monotonic_now()));
  }
  UniqueFd pidfd{::pidfd_open(pid, 0)};
  if (!pidfd) {  // out of descriptors: a worker whose exit goes unseen is worse than none
    spdlog::error("slot {}: no pidfd for its worker: {}", slot, std::strerror(errno));
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return restart_after(slot, supervisor_.after_exit(slot, monotonic_now()));
  }
  ++worker.life;
  worker.pid = pid;
  worker.state = WorkerState::starting;
  worker.word.clear();
  worker.news.clear();  // it was born into it
  worker.link.assign(ours.release());
  worker.pidfd.assign(pidfd.release());
  supervisor_.started(slot, monotonic_now());
  hang_watch_.started(slot, monotonic_now());
  await_word(slot);
  await_exit(slot);
  tell_of_recording(slot);
}

/// The slot's load is its queue and nothing else, unless its worker counts what it accepts itself.
void Master::count_queue(std::uint32_t slot) {
  steering_.table().restart_slot(slot, load_left_by(slot));
}

void Master::become_worker_process(std::uint32_t slot, UniqueFd link) {
  WorkerSeat seat{.slot = slot,
                  .listeners = listeners_.by_slot(),
                  .inbox = inboxes_.reader(slot),
                  .inboxes = inboxes_.writers(),
                  .table = &steering_.table(),
                  .clients = &steering_.clients(),
                  .bank = options_.terms.bank,
                  .counting = steering_.counting(),
                  .identity = options_.identity,
                  .link = WorkerLink{UniqueFd{}}};
  for (std::uint32_t other = 0; other < options_.workers; ++other)
    if (workers_[other]->closed) seat.inboxes[other] = -1;
  std::vector<int> kept{link.get()};
  for (const std::vector<int>& of_slot : seat.listeners)
    kept.insert(kept.end(), of_slot.begin(), of_slot.end());
  kept.push_back(seat.inbox);
  kept.insert(kept.end(), seat.inboxes.begin(), seat.inboxes.end());
  close_all_but(kept);
  take_over_signals();
  log::set_role(fmt::format("slot {}", slot));
  ::prctl(PR_SET_NAME, fmt::format("weir-{}", slot).c_str(), 0, 0, 0);
  seat.link = WorkerLink{std::move(link)};

  if (const auto& cpu = workers_[slot]->cpu; cpu && !pin_to(*cpu))
    spdlog::warn("cannot be pinned to CPU {}; runs wherever the kernel puts it", *cpu);
  ::_exit(worker_main_(std::move(seat)));  // no destructor of the master's may run here
}

void Master::await_word(std::uint32_t slot) {
  Worker& worker = *workers_[slot];
  asio::async_read_until(worker.link, asio::dynamic_buffer(worker.word, kWordBytesMax), '\n',
                         [this, slot, life = worker.life](error_code error, std::size_t bytes) {
                           Worker& w = *workers_[slot];
                           if (w.life != life || error == asio::error::operation_aborted) return;
                           if (error) return;  // died before it said anything: on_exit() follows
                           on_word(slot, std::string_view{w.word}.substr(0, bytes - 1));
                         });
}

void Master::on_word(std::uint32_t slot, std::string_view line) {
  Worker& worker = *workers_[slot];
  if (!line.empty()) {
    spdlog::error("slot {}: worker {} cannot serve: {}", slot, worker.pid, line);
    if (!in_charge_) return give_up({fmt::format("a worker cannot serve: {}", line), ""});
    if (!ready_once_) {  // nothing ever worked: the cause is in this host or this configuration
      exit_status_ = EXIT_FAILURE;
      stop("a worker could not start");
    }
    return;
  }
  if (stopping_ || succeeded_) return;
  if (goes(slot)) {
    worker.state = WorkerState::retiring;
    return;
  }
  worker.state = WorkerState::serving;
  if (in_charge_) {
    steering_.table().mark_serving(slot);
    steer_anew();
  }
  spdlog::info("slot {}: worker {} {}", slot, worker.pid, in_charge_ ? "serves" : "is ready");
  if (ready_once_) return open_new_slots();
  check_all_ready();
}

void Master::check_all_ready() {
  if (ready_once_) return;
  const bool all_ready =
      std::ranges::all_of(workers_, [](const auto& w) { return w->state == WorkerState::serving; });
  if (!all_ready) return;
  if (!in_charge_) return before_has_died_ ? take_charge() : report_ready();
  ready_once_ = true;
  leave_to_successors();
  if (on_ready_) on_ready_();
  tell_manager();
}

// --- exits ------------------------------------------------------------------------------------

void Master::await_exit(std::uint32_t slot) {
  Worker& worker = *workers_[slot];
  worker.pidfd.async_wait(asio::posix::descriptor_base::wait_read,
                          [this, slot, life = worker.life](error_code error) {
                            if (!error && workers_[slot]->life == life) on_exit(slot);
                          });
}

void Master::on_exit(std::uint32_t slot) {
  Worker& worker = *workers_[slot];
  siginfo_t exit{};
  const int waited = ::waitid(P_PID, static_cast<id_t>(worker.pid), &exit, WEXITED | WNOHANG);
  const bool not_ours = waited != 0 && errno == ECHILD;  // that of a master before
  if ((waited != 0 && !not_ours) || (waited == 0 && exit.si_pid == 0)) return await_exit(slot);

  if (in_charge_ && !succeeded_) clear_up_after(slot);
  const pid_t pid = std::exchange(worker.pid, 0);
  ++worker.life;
  worker.pidfd.close();
  worker.link.close();
  worker.busy = 0;
  if (succeeded_) {
    worker.state = WorkerState::gone;
    return finish_if_empty();
  }
  if (stopping_) {
    worker.state = WorkerState::gone;
    if (exit.si_code != CLD_EXITED || exit.si_status != 0)
      spdlog::warn("slot {}: worker {} ended with {}", slot, pid, describe(exit));
    return finish_if_empty();
  }
  if (!in_charge_)
    return give_up({fmt::format("a worker ended with {} before it served", describe(exit)), ""});
  const bool in_order = not_ours || (exit.si_code == CLD_EXITED && exit.si_status == 0);
  if (!in_order) note_in_recording(slot);
  worker.pause.cancel();
  if (goes(slot) && worker.closed) {
    if (exit.si_code != CLD_EXITED || exit.si_status != 0)
      spdlog::error("slot {}: worker {} ended with {}", slot, pid, describe(exit));
    slot_is_left(slot);
    return finish_retiring_if_left();
  }
  if (worker.state == WorkerState::draining && in_order) {
    spdlog::info("slot {}: worker {} has drained; its successor starts now", slot, pid);
    return start(slot);
  }
  const Duration pause = supervisor_.after_exit(slot, monotonic_now());
  spdlog::error("slot {}: worker {} ended with {}; its successor starts {}", slot, pid,
                describe(exit),
                pause.count() == 0 ? "now" : fmt::format("in {}", format_duration(pause)));
  restart_after(slot, pause);
}

/// After the slot's worker died: nothing more is steered there, and nothing of it stays counted but
/// what is left to its successor. One that still waited for the slot leaves nothing.
void Master::clear_up_after(std::uint32_t slot) {
  const auto owner = steering_.table().owner(slot);
  if (owner && owner->pid != workers_[slot]->pid)
    steering_.clients().forget(slot, options_.terms.bank);
  else
    clear_slot(slot);
  steer_anew();
}

/// Whoever owns the slot is dead.
void Master::clear_slot(std::uint32_t slot) {
  steering::LoadTable& table = steering_.table();
  table.mark_down(slot);
  count_queue(slot);
  if (const auto owner = table.owner(slot)) table.clear_owner(slot, owner->pid);
  steering_.clients().forget(slot, options_.terms.bank);
}

/// What stays counted of a slot whose worker died: connections in its accept queues or, where the
/// workers count, sessions in its inbox, for then none is counted before it is accepted.
std::uint64_t Master::load_left_by(std::uint32_t slot) const {
  if (steering_.counting() == steering::WorkerSlot::Counting::by_program)
    return steering_.queued(slot);
  const steering::SlotSnapshot seen = steering_.table().snapshot(slot);
  return seen.load - std::min<std::uint64_t>(seen.load, seen.row.open);
}

void Master::restart_after(std::uint32_t slot, Duration pause) {
  Worker& worker = *workers_[slot];
  worker.state = WorkerState::waiting;
  worker.pause.expires_after(pause);
  worker.pause.async_wait([this, slot](error_code error) {
    // A timer that has expired already cannot be cancelled.
    if (error || stopping_ || succeeded_) return;
    if (workers_[slot]->state == WorkerState::waiting) start(slot);
  });
}

// --- stopping ---------------------------------------------------------------------------------

void Master::await_signal() {
  signals_.async_wait(asio::posix::descriptor_base::wait_read, [this](error_code error) {
    if (error) return;
    // One a turn, so that signals that keep coming leave the loop its other work.
    signalfd_siginfo signal{};
    if (::read(signals_.native_handle(), &signal, sizeof signal) == sizeof signal)
      on_signal(static_cast<int>(signal.ssi_signo));
    await_signal();
  });
}

void Master::on_signal(int number) {
  if (succeeded_) {
    spdlog::info("{}: a new master is in charge; this one ends with its workers",
                 ::strsignal(number));
    return;
  }
  if (number == SIGHUP) {
    (void)reload();  // it has logged what came of it
    return;
  }
  if (number == SIGUSR2) return upgrade({}, [](const Result<pid_t>&) {});  // logged likewise
  if (!stopping_) return stop(::strsignal(number));
  if (std::exchange(killing_, true)) return;
  spdlog::warn("{} again: ending at once", ::strsignal(number));
  kill_all();
}

void Master::stop(std::string_view why) {
  if (std::exchange(stopping_, true)) return;
  spdlog::info("stopping: {}", why);
  if (upgrade_) upgrade_failed({"weir is stopping", ""});
  for (const auto& predecessor : predecessors_)
    ::pidfd_send_signal(predecessor->pidfd.native_handle(), SIGTERM, nullptr, 0);
  for (std::uint32_t slot = 0; slot < options_.workers; ++slot) {
    Worker& worker = *workers_[slot];
    if (in_charge_) steering_.table().mark_down(slot);
    worker.pause.cancel();
    worker.state = worker.pid == 0 ? WorkerState::gone : WorkerState::stopping;
    if (worker.pid != 0) ::kill(worker.pid, SIGTERM);
  }
  stop_deadline_.expires_after(options_.stop_patience);
  stop_deadline_.async_wait([this](error_code error) {
    if (error) return;
    spdlog::error("workers did not end in {}; killing them",
                  format_duration(options_.stop_patience));
    kill_all();
  });
  tell_manager();
  finish_if_empty();
}

Result<std::string> Master::reload() {
  if (stopping_) return Error{"weir is stopping", "nothing is reloaded any more"};
  if (upgrade_ || succeeded_ || !in_charge_)
    return Error{"an upgrade is under way", "reload when it is over"};
  if (!on_reload_) return std::string{};
  send_to_manager(report_.reloading(monotonic_now()));
  auto done = on_reload_();
  tell_manager();
  return done;
}

Result<void> Master::drain(std::uint32_t slot) {
  if (succeeded_) return Error{"a new master has taken over", "ask that one"};
  if (auto known = check_slot(slot); !known) return known;
  Worker& worker = *workers_[slot];
  if (worker.state != WorkerState::serving)
    return Error{fmt::format("the worker of slot {} is {}", slot, to_string(worker.state)),
                 "only one that serves can be drained"};
  spdlog::info("slot {}: worker {} drains", slot, worker.pid);
  steering_.table().mark_down(slot);
  steer_anew();
  worker.state = WorkerState::draining;
  ::kill(worker.pid, SIGUSR1);
  worker.pause.expires_after(options_.stop_patience);
  worker.pause.async_wait([this, slot, life = worker.life](error_code error) {
    const Worker& w = *workers_[slot];
    if (error || w.life != life || w.state != WorkerState::draining) return;
    spdlog::error("slot {}: worker {} did not end in {}; killing it", slot, w.pid,
                  format_duration(options_.stop_patience));
    ::kill(w.pid, SIGKILL);
  });
  return {};
}

void Master::kill_all() noexcept {
  end_keeper();
  for (const auto& worker : workers_)
    if (worker->pid != 0) ::kill(worker->pid, SIGKILL);
  for (const auto& predecessor : predecessors_)
    ::pidfd_send_signal(predecessor->pidfd.native_handle(), SIGKILL, nullptr, 0);
}

void Master::finish_if_empty() {
  if (!stopping_ && !succeeded_) return;
  if (upgrade_) return;  // not until the new master is in charge
  if (std::ranges::any_of(workers_, [](const auto& w) { return w->pid != 0; })) return;
  if (!predecessors_.empty()) return;
  end_keeper();
  if (succeeded_)
    spdlog::info("ended: process {} has taken over", successor_);
  else
    spdlog::info("stopped");
  io_.stop();
}

// --- looking after ----------------------------------------------------------------------------

void Master::tick() {
  if (succeeded_) return;
  const Instant now = monotonic_now();
  // While sessions go from old workers to new ones, the open connections of a slot are fewer than
  // its load: they are not drift, and to be levelled only when all have arrived.
  if (predecessors_.empty()) {
    steering_.reconcile(now);
    steering_.score(now);
  } else if (!stopping_) {
    order_hand_over();
  }
  steer_anew();
  end_hung_workers(now);
  post_rules();
  tell_of_recording();
  if (!stopping_ && predecessors_.empty()) {
    look_at_resizing(now);
    look_at_balance(now);
  }
  if (now - sampled_at_ >= kBusyWindow) sample_busy(now);
  tell_manager();
  tick_.expires_after(kTick);
  tick_.async_wait([this](error_code error) {
    if (!error) tick();
  });
}

/// Where steering has to be told what the load table says: it does not read it by itself.
void Master::steer_anew() {
  const auto followed = steering_.follow(monotonic_now());
  if (!followed && !std::exchange(said_not_steered_, true))
    spdlog::error("steering stays as it was: {}; tries again", to_string(followed.error()));
  if (followed) said_not_steered_ = false;
}

void Master::end_hung_workers(Instant now) {
  for (std::uint32_t slot = 0; slot < options_.workers; ++slot) {
    const auto owner = steering_.table().owner(slot);  // may be one of the master before
    if (!owner || workers_[slot]->pid == 0) continue;
    const std::uint64_t awake_at = steering_.table().snapshot(slot).row.awake_at_ns;
    if (!hang_watch_.is_over(slot, awake_at, now)) continue;
    spdlog::error("slot {}: worker {} has not woken for {}: killing it", slot, owner->pid,
                  format_duration(options_.hang_kill));
    ::kill(owner->pid, SIGKILL);  // which a stopped process dies of as well
  }
}

void Master::sample_busy(Instant now) {
  const auto window = static_cast<double>((now - sampled_at_).count());
  sampled_at_ = now;
  for (std::uint32_t slot = 0; slot < options_.workers; ++slot) {
    Worker& worker = *workers_[slot];
    const std::uint64_t busy_ns = steering_.table().snapshot(slot).row.busy_ns;
    const auto spent = static_cast<double>(busy_ns - worker.busy_ns_sampled);
    worker.busy = std::clamp(spent / window, 0.0, 1.0);
    worker.busy_ns_sampled = busy_ns;
  }
}

Result<void> Master::check_slot(std::uint32_t slot) const {
  if (slot < options_.workers) return {};
  return Error{fmt::format("there is no slot {}", slot),
               options_.workers == 1 ? "0 is the only one"
                                     : fmt::format("they go from 0 to {}", options_.workers - 1)};
}

WorkerView Master::view(std::uint32_t slot) const {
  const Worker& worker = *workers_[slot];
  // One that has ended before the others that go is there until they all have.
  const bool over = worker.state == WorkerState::gone && goes(slot);
  return {.state = over ? WorkerState::retiring : worker.state,
          .pid = worker.pid,
          .cpu = worker.cpu,
          .busy = worker.busy,
          .queued = steering_.queued(slot)};
}

}  // namespace weir::process
