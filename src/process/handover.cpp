// The master's part in an upgrade: as the old one, and as the new one. The order of things is at
// the top of master.h.
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>

extern "C" {  // glibc 2.36 forgot to say so in the header itself
#include <sys/pidfd.h>
}

#include "child.h"
#include "master_parts.h"
#include "weir/base/log.h"
#include "weir/base/units.h"
#include "weir/process/channel.h"
#include "weir/process/master.h"

namespace weir::process {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

/// A frame that is there has all come: it is one small message.
constexpr Duration kFramePatience = std::chrono::seconds{1};

constexpr std::string_view kReady = "ready";
/// The same, and the control socket is kept: its file must not be removed.
constexpr std::string_view kReadyWithControl = "ready, with your control socket";
constexpr std::string_view kGo = "go";
constexpr std::string_view kInCharge = "in charge";

/// Between looks at whether a worker that was started meanwhile owns its slot.
constexpr std::chrono::milliseconds kSettlePause{1};

/// Between looks at whether a new master has ended by itself, and how many there are.
constexpr std::chrono::milliseconds kEndPause{1};
constexpr int kEndLooks = 100;

/// Ends the process. Says how it ended if that was by itself, or is about to be; else what else is
/// wrong.
Error end_successor(pid_t pid, Error otherwise) {
  siginfo_t exit{};
  for (int i = 0; i < kEndLooks && exit.si_pid == 0; ++i) {
    if (::waitid(P_PID, static_cast<id_t>(pid), &exit, WEXITED | WNOHANG) != 0) break;
    if (exit.si_pid == 0) std::this_thread::sleep_for(kEndPause);
  }
  if (exit.si_pid == 0) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return otherwise;
  }
  return {exit.si_code == CLD_EXITED
              ? fmt::format("the new master ended with exit status {}", exit.si_status)
              : fmt::format("the new master ended with signal {} ({})", exit.si_status,
                            ::strsignal(exit.si_status)),
          "look for its reason in the log"};
}

}  // namespace

// --- the old master ---------------------------------------------------------------------------

void Master::upgrade(const std::string& binary, UpgradeDone done) {
  if (auto may = may_upgrade(); !may) return done(may.error());
  if (auto begun = begin_upgrade(binary); !begun) {
    spdlog::error("the upgrade failed: {}", to_string(begun.error()));
    return done(begun.error());
  }
  upgrade_->done = std::move(done);
}

Result<void> Master::may_upgrade() const {
  if (stopping_) return Error{"weir is stopping", ""};
  if (succeeded_) return Error{"a new master has taken over already", "ask that one"};
  if (upgrade_) return Error{"an upgrade is under way already", "wait for it to end"};
  if (!predecessors_.empty())
    return Error{fmt::format("{} workers of the last upgrade have not ended", predecessors_.size()),
                 "wait for them: their last sessions are closed within --drain-timeout"};
  if (!ready_once_) return Error{"weir is starting", "wait until it serves"};
  if (resizing_.handing_over || resizing_.new_from)
    return Error{"the number of workers is changing", "wait until weirctl status shows as many"};
  return {};
}

Result<void> Master::begin_upgrade(const std::string& binary) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return os_error("making a channel to the new master", errno);
  UniqueFd ours{ends[0]};
  UniqueFd theirs{ends[1]};
  const std::string& program = binary.empty() ? options_.binary : binary;

  const pid_t pid = ::fork();
  if (pid < 0) return os_error("starting the new master", errno);
  if (pid == 0) {
    const int number = run_successor(program, options_.arguments, theirs.get());
    (void)send_frame(theirs.get(),
                     fmt::format("cannot run {}: {}", program, std::strerror(number)));
    ::_exit(127);
  }
  theirs.reset();
  if (auto sent = send_estate(ours.get(), estate_terms(), estate_items()); !sent) {
    const auto why = receive_frame(ours.get(), kFramePatience);
    Error ended = end_successor(pid, sent.error());
    return why ? Error{why->text, ""} : std::move(ended);
  }
  upgrade_ = std::make_unique<Upgrade>(io_);
  upgrade_->pid = pid;
  upgrade_->channel.assign(asio::local::stream_protocol{}, ours.release());
  spdlog::info("upgrading: {} starts as process {}", program, pid);
  await_new_master();
  return {};
}

EstateTerms Master::estate_terms() const {
  EstateTerms terms = options_.terms;
  terms.workers = options_.workers;
  return terms;
}

EstateItems Master::estate_items() const {
  EstateItems items = more_items_;
  for (std::size_t a = 0; a < listeners_.addresses().size(); ++a) {
    const std::vector<int> sockets = listeners_.of_address(a);
    for (std::size_t slot = 0; slot < sockets.size(); ++slot)
      if (sockets[slot] >= 0)
        items.emplace_back(fmt::format("listener.{}.{}", a, slot), sockets[slot]);
  }
  for (std::uint32_t slot = 0; slot < options_.workers; ++slot) {
    items.emplace_back(fmt::format("reader.{}", slot), inboxes_.reader(slot));
    items.emplace_back(fmt::format("writer.{}", slot), inboxes_.writer(slot));
  }
  if (recording_ && !recording_->ended)
    items.emplace_back("recording", recording_->pipe.native_handle());
  const steering::SteeringDescriptors steering = steering_.descriptors();
  items.emplace_back("table", steering.table);
  items.emplace_back("clients", steering.clients);
  items.emplace_back("notes", steering.notes);
  for (std::size_t a = 0; a < steering.addresses.size(); ++a) {
    if (steering.addresses[a].program < 0) continue;
    items.emplace_back(fmt::format("program.{}", a), steering.addresses[a].program);
    items.emplace_back(fmt::format("array.{}", a), steering.addresses[a].listeners);
  }
  return items;
}

void Master::await_new_master() {
  upgrade_->channel.async_wait(asio::socket_base::wait_read, [this](error_code error) {
    if (!error && upgrade_) on_new_masters_word();
  });
  upgrade_->deadline.expires_after(options_.upgrade_timeout);
  upgrade_->deadline.async_wait([this](error_code error) {
    if (error || !upgrade_) return;
    if (succeeded_)
      return take_charge_again({"the new master did not say that it is in charge", ""});
    upgrade_failed({fmt::format("the new master was not ready within {}",
                                format_duration(options_.upgrade_timeout)),
                    "look for its reason in the log, or give it more with --upgrade-timeout"});
  });
}

void Master::on_new_masters_word() {
  const auto frame = receive_frame(upgrade_->channel.native_handle(), kFramePatience);
  if (frame && (frame->text == kReady || frame->text == kReadyWithControl))
    return put_in_charge(frame->text);
  if (frame) return upgrade_failed({frame->text, ""});
  // Its end of the channel is closed: it has ended, or is about to.
  upgrade_failed(how_it_ended(
      {"the new master has closed its channel", "it has to be a weir, of this version or later"}));
}

/// The new master is gone, or as good as that: ends it.
Error Master::how_it_ended(Error otherwise) {
  return end_successor(std::exchange(upgrade_->pid, 0), std::move(otherwise));
}

/// Whether the load table names each worker that there is: one that has just been started, and does
/// not own its slot yet, the new master could not know of.
bool Master::all_own_their_slots() const {
  for (std::uint32_t slot = 0; slot < options_.workers; ++slot) {
    const pid_t pid = workers_[slot]->pid;
    const auto owner = steering_.table().owner(slot);
    if (pid != 0 && (!owner || owner->pid != pid)) return false;
  }
  return true;
}

/// Nothing was given up yet: this master goes on.
void Master::upgrade_failed(Error why) {
  const std::unique_ptr<Upgrade> failed = std::move(upgrade_);
  if (failed->pid != 0) {
    ::kill(failed->pid, SIGKILL);  // its workers end with it
    ::waitpid(failed->pid, nullptr, 0);
  }
  spdlog::error("the upgrade failed: {}; this weir goes on", to_string(why));
  if (failed->done) failed->done(std::move(why));
}

void Master::put_in_charge(const std::string& word) {
  if (!all_own_their_slots()) {
    upgrade_->settled.expires_after(kSettlePause);
    upgrade_->settled.async_wait([this, word](error_code error) {
      if (!error && upgrade_) put_in_charge(word);
    });
    return;
  }
  // Before the new one says anything to the manager, which would not hear it.
  send_to_manager(fmt::format("MAINPID={}\n", upgrade_->pid));
  if (auto told = send_frame(upgrade_->channel.native_handle(), kGo); !told) {
    send_to_manager(fmt::format("MAINPID={}\n", ::getpid()));
    return upgrade_failed(how_it_ended(told.error()));
  }
  for (const auto& worker : workers_) worker->pause.cancel();
  succeeded_ = true;  // unless it dies in this moment
  upgrade_->kept_control = word == kReadyWithControl;
  upgrade_->channel.async_wait(asio::socket_base::wait_read, [this](error_code error) {
    if (error || !upgrade_) return;
    const auto said = receive_frame(upgrade_->channel.native_handle(), kFramePatience);
    if (said && said->text == kInCharge) return succeeded();
    take_charge_again(said ? Error{said->text, ""} : how_it_ended(said.error()));
  });
}

void Master::succeeded() {
  const std::unique_ptr<Upgrade> done = std::move(upgrade_);
  done->deadline.cancel();
  successor_ = done->pid;
  end_keeper();
  recording_.reset();  // the new one has it
  spdlog::info("upgraded: process {} is in charge; this one ends with its workers", done->pid);
  if (on_succeeded_) on_succeeded_(done->kept_control);
  if (done->done) done->done(done->pid);
  finish_if_empty();
}

/// The new master died before it was in charge, or as it was about to be. Slots that its workers
/// have taken already are theirs; the others are served by ours, or new ones.
void Master::take_charge_again(Error why) {
  succeeded_ = false;
  send_to_manager(fmt::format("MAINPID={}\n", ::getpid()));
  steering_.table().set_bank(options_.terms.bank);
  upgrade_failed(std::move(why));
  for (std::uint32_t slot = 0; slot < options_.workers; ++slot) {
    if (workers_[slot]->pid == 0)
      adopt_or_start(slot);
    else if (workers_[slot]->state == WorkerState::serving)
      steering_.table().mark_serving(slot);
  }
  steering_.forget_attached();
  begin_ticks();
}

// --- the new master ---------------------------------------------------------------------------

/// Every worker waits, ready.
void Master::report_ready() {
  const bool control =
      std::ranges::any_of(more_items_, [](const auto& item) { return item.first == "control"; });
  if (auto told = send_frame(channel_.native_handle(), control ? kReadyWithControl : kReady); !told)
    return give_up(told.error());
  spdlog::info("all workers are ready, and wait to take over");
}

/// Before it was in charge: it leaves everything as it is.
void Master::give_up(const Error& why) {
  exit_status_ = EXIT_FAILURE;
  (void)send_frame(channel_.native_handle(), to_string(why));
  stop(to_string(why));
}

void Master::await_charge() {
  channel_.async_wait(asio::socket_base::wait_read, [this](error_code error) {
    if (error || stopping_) return;
    const auto frame = receive_frame(channel_.native_handle(), kFramePatience);
    if (frame && frame->text == kGo) return take_charge();
    exit_status_ = EXIT_FAILURE;
    stop(frame ? "the old master says what this one does not understand"
               : "the old master has ended");
  });
}

void Master::take_charge() {
  if (before_has_died_)
    if (auto told = tell_keeper_before(); !told) return give_up(told.error());
  in_charge_ = true;
  steering_.table().set_bank(options_.terms.bank);
  apply_steering();
  find_predecessors();
  if (before_has_died_) keep_slots_that_went();
  for (std::uint32_t slot = 0; slot < options_.workers; ++slot)
    steering_.table().mark_serving(slot);
  order_hand_over();
  tell_all_of_recording();
  hand_over_deadline_.expires_after(options_.stop_patience);
  hand_over_deadline_.async_wait([this](error_code error) {
    if (!error) kill_predecessors("did not end in time");
  });
  ready_once_ = true;
  if (on_charge_) on_charge_();
  leave_to_successors();
  if (!before_has_died_) (void)send_frame(channel_.native_handle(), kInCharge);
  error_code ignored;
  channel_.close(ignored);
  if (on_ready_) on_ready_();
  begin_ticks();
  if (predecessors_.empty()) settle();
}

void Master::find_predecessors() {
  for (std::uint32_t slot = 0; slot < options_.workers; ++slot) {
    const auto owner = steering_.table().owner(slot);
    if (!owner || owner->pid == workers_[slot]->pid) continue;
    UniqueFd pidfd{::pidfd_open(owner->pid, 0)};
    if (!pidfd && errno != ESRCH) {  // without descriptors it cannot be watched, but it can end
      spdlog::error("slot {}: no pidfd for the worker that is to hand it over: {}", slot,
                    std::strerror(errno));
      ::kill(owner->pid, SIGKILL);
    }
    predecessors_.push_back(std::make_unique<Predecessor>(io_, slot, *owner));
    if (!pidfd) {
      on_end_of(*predecessors_.back());
      continue;
    }
    predecessors_.back()->pidfd.assign(pidfd.release());
    await_end_of(*predecessors_.back());
  }
  forget_ended_predecessors();
}

void Master::order_hand_over() {
  const std::uint16_t version =
      options_.terms.app == inherited_->app
          ? common_parcel_version(inherited_->parcel_oldest, inherited_->parcel_newest,
                                  options_.terms.parcel_oldest, options_.terms.parcel_newest)
          : std::uint16_t{0};
  if (version == 0 && !predecessors_.empty() && !std::exchange(said_none_move_, true))
    spdlog::warn("sessions of weir {} do not move to this version: they are closed",
                 inherited_->version);
  for (const auto& predecessor : predecessors_) {
    if (predecessor->ordered) continue;
    const HandOverOrder order{.worker = predecessor->tenure.pid, .parcel_version = version};
    const Posted posted = post(inboxes_.writer(predecessor->slot), LetterKind::hand_over,
                               predecessor->slot, std::as_bytes(std::span{&order, 1}));
    if (posted == Posted::failed)
      spdlog::error("slot {}: cannot order worker {} to hand over: {}", predecessor->slot,
                    predecessor->tenure.pid, std::strerror(errno));
    predecessor->ordered = posted != Posted::no_room;  // else again at the next tick
  }
}

void Master::await_end_of(Predecessor& predecessor) {
  predecessor.pidfd.async_wait(asio::posix::descriptor_base::wait_read,
                               [this, &predecessor](error_code error) {
                                 if (error) return;
                                 on_end_of(predecessor);
                                 forget_ended_predecessors();
                               });
}

/// Has ended, of itself or not. Its process may have to be reaped yet, which its parent does.
void Master::on_end_of(Predecessor& predecessor) {
  predecessor.ended = true;
  const std::uint32_t slot = predecessor.slot;
  if (steering_.table().clear_owner(slot, predecessor.tenure.pid)) {
    spdlog::error("slot {}: worker {} died before it handed over", slot, predecessor.tenure.pid);
    count_queue(slot);
    note_in_recording(slot);
  }
  steering_.clients().forget(slot, predecessor.tenure.bank);
}

void Master::forget_ended_predecessors() {
  const bool any = !predecessors_.empty();
  std::erase_if(predecessors_, [](const auto& predecessor) { return predecessor->ended; });
  if (!any || !predecessors_.empty()) return;
  hand_over_deadline_.cancel();
  spdlog::info("the workers of before have ended");
  if (stopping_) return finish_if_empty();
  if (ready_once_) settle();  // else at the end of take_charge()
}

/// With the upgrade over: as many workers as are asked for now, where that is another number than
/// the weir before was asked for. One that was set there since, by weirctl, stays.
void Master::settle() {
  if (options_.terms.workers_asked == inherited_->workers_asked || stopping_) return;
  if (auto begun = set_workers(options_.terms.workers_asked); !begun)
    spdlog::error("there stay {} workers: {}", options_.workers, to_string(begun.error()));
}

void Master::kill_predecessors(std::string_view why) noexcept {
  for (const auto& predecessor : predecessors_) {
    spdlog::error("slot {}: worker {} {}; killing it", predecessor->slot, predecessor->tenure.pid,
                  why);
    ::pidfd_send_signal(predecessor->pidfd.native_handle(), SIGKILL, nullptr, 0);
  }
}

}  // namespace weir::process
