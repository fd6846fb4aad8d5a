// The master's part in taking over from one that has died, and in leaving what it takes to its own
// successor: the keeper.
#include "weir/process/takeover.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <set>

extern "C" {  // glibc 2.36 forgot to say so in the header itself
#include <sys/pidfd.h>
}

#include "child.h"
#include "keeper.h"
#include "master_parts.h"
#include "weir/base/log.h"
#include "weir/process/channel.h"

namespace weir::process {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr Duration kEstateWithin = std::chrono::seconds{10};
/// Before a keeper that ended is replaced.
constexpr Duration kKeeperPause = std::chrono::seconds{1};

/// Whether it is the worker of that slot and alive, and not a process that got its number since.
bool is_worker(pid_t pid, int pidfd, std::uint32_t slot) {
  pollfd ended{.fd = pidfd, .events = POLLIN, .revents = 0};
  if (::poll(&ended, 1, 0) != 0) return false;
  std::ifstream file{fmt::format("/proc/{}/comm", pid)};
  std::string name;
  std::getline(file, name);
  return name == fmt::format("weir-{}", slot);
}

}  // namespace

Result<std::optional<Inheritance>> ask_for_estate(const std::string& path) {
  using Nothing = std::optional<Inheritance>;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) return Nothing{};
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (!fd) return os_error("asking for what a weir has left", errno);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED) return Nothing{};
    return os_error(fmt::format("asking at {} for what a weir has left", path), errno);
  }
  const std::string question = fmt::format("{}\n", kTakeoverCommand);
  if (::send(fd.get(), question.data(), question.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(question.size()))
    return os_error(fmt::format("asking at {} for what a weir has left", path), errno);
  pollfd poll{.fd = fd.get(), .events = POLLIN, .revents = 0};
  char first = 0;
  if (::poll(&poll, 1, 10'000) <= 0 || ::recv(fd.get(), &first, 1, MSG_PEEK) <= 0)
    return Error{fmt::format("who listens at {} does not answer", path),
                 "stop it, or give another path with --control"};
  if (first == '{')  // an answer, as any command gets one: the master lives
    return Error{fmt::format("a weir whose master lives answers at {}", path),
                 "have it upgraded with weirctl upgrade, or stop it first"};
  auto estate = receive_estate(fd.get(), kEstateWithin);
  if (!estate) return estate.error();
  return Nothing{
      Inheritance{.estate = std::move(*estate), .channel = std::move(fd), .of_the_dead = true}};
}

/// Takes on the worker that owns the slot, of whichever master it was; whether there is one.
bool Master::adopt(std::uint32_t slot) {
  Worker& worker = *workers_[slot];
  const auto owner = steering_.table().owner(slot);
  const auto is_predecessor = [&](const auto& one) { return one->slot == slot; };
  if (std::ranges::any_of(predecessors_, is_predecessor)) return false;  // it is to hand over
  UniqueFd pidfd{owner ? ::pidfd_open(owner->pid, 0) : -1};
  if (!pidfd || !is_worker(owner->pid, pidfd.get(), slot)) return false;
  ++worker.life;
  worker.pid = owner->pid;
  if (slot < options_.cpus.size()) worker.cpu = options_.cpus[slot];
  worker.state = WorkerState::serving;
  worker.pidfd.assign(pidfd.release());
  supervisor_.started(slot, monotonic_now());
  hang_watch_.started(slot, monotonic_now());
  steering_.table().mark_serving(slot);
  await_exit(slot);
  spdlog::info("slot {}: worker {} goes on", slot, worker.pid);
  return true;
}

/// Also where the slot's worker ended and nobody saw it.
void Master::adopt_or_start(std::uint32_t slot) {
  if (adopt(slot)) return;
  clear_slot(slot);
  start(slot);
}

/// Everything is as the dead master had it: its workers are ours from now on.
void Master::take_workers_over() {
  if (auto told = tell_keeper_before(); !told) {
    in_charge_ = false;
    return give_up(told.error());
  }
  steering_.table().set_bank(options_.terms.bank);
  for (std::uint32_t slot = 0; slot < options_.workers; ++slot) adopt_or_start(slot);
  keep_slots_that_went();
  apply_steering();
  tell_all_of_recording();
  if (on_charge_) on_charge_();
  leave_to_successors();
  check_all_ready();
}

/// The dead master may have been about to have fewer workers (set_workers()). All of them stay:
/// whoever was told that a slot is gone, its own worker included, is told that it is there.
void Master::keep_slots_that_went() {
  if (auto kept = keep_connections_off(); !kept) spdlog::warn("{}", to_string(kept.error()));
  std::set<std::uint32_t> went;
  for (std::size_t i = 0; i < listeners_.addresses().size(); ++i)
    went.insert(listeners_.reopened(i).begin(), listeners_.reopened(i).end());
  if (went.empty()) return;
  spdlog::warn("the weir before was ending workers, and died: there stay {}", options_.workers);
  for (const std::uint32_t slot : went) tell_all(true, slot);
  tell_news();
}

/// It ends then, and this master answers at the control socket alone.
Result<void> Master::tell_keeper_before() {
  return send_frame(channel_.native_handle(), kTakenOver);
}

// --- the keeper -------------------------------------------------------------------------------

void Master::set_settings(std::string settings) {
  options_.terms.settings = std::move(settings);
  if (ready_once_) renew_keeper();
}

/// What there is now, for whoever comes after a death: the keeper has all of it, the service
/// manager the listeners.
void Master::leave_to_successors() {
  renew_keeper();
  store_listeners();
}

/// Has a keeper that holds what there is now; without a control socket nobody could ask it.
void Master::renew_keeper() {
  end_keeper();
  const auto control = std::ranges::find(more_items_, "control", &EstateItems::value_type::first);
  if (control == more_items_.end() || stopping_ || succeeded_) return;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return spdlog::error("no keeper: no pipe for it: {}", std::strerror(errno));
  UniqueFd theirs{ends[0]};
  UniqueFd ours{ends[1]};
  const pid_t pid = ::fork();
  if (pid == 0) {
    KeeperSeat seat{.terms = estate_terms(),
                    .items = estate_items(),
                    .control = control->second,
                    .lifeline = theirs.get(),
                    .table = &steering_.table(),
                    .identity = options_.identity};
    std::vector<int> kept{theirs.get()};
    for (const auto& [name, fd] : seat.items) kept.push_back(fd);
    close_all_but(kept);
    take_over_signals();
    log::set_role("keeper");
    ::prctl(PR_SET_NAME, "weir-keeper", 0, 0, 0);
    if (const auto became = become_worker(seat.identity); !became) ::_exit(EXIT_FAILURE);
    keep(seat);
    ::_exit(EXIT_SUCCESS);
  }
  UniqueFd pidfd{pid > 0 ? ::pidfd_open(pid, 0) : -1};
  if (!pidfd) {
    spdlog::error("no keeper: {}", std::strerror(errno));
    if (pid > 0) ::kill(pid, SIGKILL);
    if (pid > 0) ::waitpid(pid, nullptr, 0);
    return;
  }
  keeper_ = std::make_unique<Keeper>(io_);
  keeper_->pid = pid;
  keeper_->lifeline = std::move(ours);
  keeper_->pidfd.assign(pidfd.release());
  keeper_->pidfd.async_wait(asio::posix::descriptor_base::wait_read, [this, pid](error_code error) {
    if (error || !keeper_ || keeper_->pid != pid) return;
    spdlog::error("the keeper, process {}, has ended; another one takes its place", pid);
    ::waitpid(pid, nullptr, 0);
    keeper_->pid = 0;
    keeper_->pause.expires_after(kKeeperPause);
    keeper_->pause.async_wait([this](error_code cancelled) {
      if (!cancelled) renew_keeper();
    });
  });
}

void Master::end_keeper() noexcept {
  if (keeper_ && keeper_->pid != 0) {
    ::kill(keeper_->pid, SIGKILL);
    ::waitpid(keeper_->pid, nullptr, 0);
  }
  keeper_.reset();
}

}  // namespace weir::process
