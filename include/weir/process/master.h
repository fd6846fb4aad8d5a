// Master: owns the listeners, the steering and the workers' lives. It never touches a session, so
// nothing it does is hot, and nothing stops when it is slow: steering is in the kernel and the
// workers serve by themselves.
//
// A service manager (systemd) that listens is told from the tick how the service is, as long as
// the master lives and some worker does.
//
// It runs on a Boost.Asio loop, in one thread: a signal, an exited worker (through its pidfd), a
// worker's first word, or the tick that reconciles the load table and ends workers that hang. The
// control socket shares the loop; whoever builds the master adds it.
//
// An upgrade: the old master runs the new binary and hands it the estate (estate.h); the new master
// forks workers that are ready and wait (server/worker.h), says so, and is put in charge; then it
// orders the old workers to hand over. Until the new master is in charge it changes nothing that
// the two share, so that its end, whenever it comes, leaves the old one as it was. From then on it
// is the old one that changes nothing: it waits for its workers to end, and ends. No step waits for
// another process to answer but this one, so a worker that hangs holds up its own slot alone.
//
//   old master                           new master
//   runs it, sends the estate    --->    loads, forks; all its workers wait, ready
//   (goes on as ever)            <---    "ready"
//   MAINPID; changes nothing now
//   "go"                         --->    in charge: control socket, ticks, orders
//   its workers end; ends        <---    "in charge"; sees them end, and counts what they left
//
// Should the new master die between the two words, the old one is in charge again.
//
// A takeover: where a master has died, its keeper (src/process/keeper.h) hands the estate to the
// new one, which takes the running workers on if it is the same weir with the same settings. If
// not, its own workers take over from them as in an upgrade.
//
// A worker's life, as its slot's state:
//   starting --ready--> serving --exit--> waiting --pause over--> starting
//   starting --exit or failure--> waiting
//   serving --drain--> draining --exit--> starting
//   any --stop--> stopping --exit--> gone
// and that of a slot which is to go (resize.cpp):
//   any --fewer workers--> retiring --exit--> gone; while its listeners are open yet, as starting
#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/streambuf.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weir/base/clock.h"
#include "weir/base/result.h"
#include "weir/process/estate.h"
#include "weir/process/hang_watch.h"
#include "weir/process/inbox.h"
#include "weir/process/listeners.h"
#include "weir/process/notify_socket.h"
#include "weir/process/privileges.h"
#include "weir/process/rebalancer.h"
#include "weir/process/recording.h"
#include "weir/process/retirement.h"
#include "weir/process/service_report.h"
#include "weir/process/supervisor.h"
#include "weir/process/worker_link.h"
#include "weir/steering/steering.h"

namespace weir::process {

/// What a number of workers comes to on this host.
struct Staffing {
  std::vector<int> cpus;              // of each worker, by slot; empty: not pinned
  std::uint64_t max_connections = 0;  // over all of them
};

struct MasterOptions {
  /// What a successor is told; the listen addresses as they are, and the workers, are filled in.
  EstateTerms terms;
  /// This program and its arguments, the first of which is what it was called: what an upgrade
  /// runs.
  std::string binary;
  std::vector<std::string> arguments;
  /// How long a new master may take to get ready.
  Duration upgrade_timeout = std::chrono::seconds{30};
  std::vector<ListenOn> listen;
  std::uint32_t backlog = 4'096;
  std::uint32_t workers = 1;
  /// The CPU of each worker, by slot; empty: not pinned.
  std::vector<int> cpus;
  /// Asked before the number of workers changes; refuses one that the host cannot carry.
  std::function<Result<Staffing>(std::uint32_t workers)> staffing;
  /// A worker that has not woken for this long is killed and replaced. 0: never.
  Duration hang_kill{};
  /// How long workers take at most to drain; then what is left of them is stuck, and killed.
  Duration stop_patience = std::chrono::seconds{15};
  steering::SteeringOptions steering;
  RebalanceOptions rebalance;
  std::optional<Identity> identity;  // of the workers; nothing: the master's own
};

enum class WorkerState : std::uint8_t {
  starting,
  serving,
  draining,
  retiring,
  waiting,
  stopping,
  gone,
};
[[nodiscard]] std::string_view to_string(WorkerState state) noexcept;

/// One slot as the master sees it.
struct WorkerView {
  WorkerState state = WorkerState::gone;
  pid_t pid = 0;             // 0: no process
  std::optional<int> cpu;    // nothing: not pinned
  double busy = 0;           // share of the last second that its loop was awake, 0 to 1
  std::uint64_t queued = 0;  // connections that wait in its accept queues
};

/// What a master begins with that is not the first: the estate, and the channel to the old master,
/// who puts it in charge, or to the keeper of one that has died.
struct Inheritance {
  Estate estate;
  UniqueFd channel;
  bool of_the_dead = false;

  /// Whether the workers of a dead master can be those of one of these terms.
  [[nodiscard]] bool goes_on_with(const EstateTerms& terms) const {
    return of_the_dead && estate.terms.version == terms.version &&
           estate.terms.settings == terms.settings;
  }
};

class Master {
 public:
  /// What a worker does with its seat, in the forked child; its result is the exit status. It must
  /// use nothing of the master's but the seat, and give its privileges up (become_worker) before
  /// it reads a peer's first byte.
  using WorkerMain = std::function<int(WorkerSeat seat)>;

  /// Listens, sets up steering and attaches it; or takes all of that over, of which options.workers
  /// is then the number of slots. `io` is borrowed and must outlive the master.
  [[nodiscard]] static Result<std::unique_ptr<Master>> create(
      boost::asio::io_context& io, MasterOptions options, WorkerMain worker_main,
      std::optional<Inheritance> inheritance = std::nullopt);
  Master(const Master&) = delete;
  Master& operator=(const Master&) = delete;
  /// Kills what is left of the workers.
  ~Master();

  /// Forks the workers and runs until a signal has ended them all. Returns the exit status: 0, or
  /// 1 if the workers could not start in the first place.
  [[nodiscard]] int run();

  /// Called once, when every worker is ready for the first time, and this master in charge.
  void on_ready(std::function<void()> call) { on_ready_ = std::move(call); }

  /// Called once, when this master is put in charge, unless it is the first and has been all along.
  void on_charge(std::function<void()> call) { on_charge_ = std::move(call); }

  /// Called once, when a new master was put in charge, with whether it keeps the control socket.
  void on_succeeded(std::function<void(bool control_kept)> call) {
    on_succeeded_ = std::move(call);
  }

  /// What EstateTerms::settings says from now on.
  void set_settings(std::string settings);

  /// One more descriptor of the estate, by name; lent for good.
  void bequeath(std::string name, int fd) { more_items_.emplace_back(std::move(name), fd); }
  /// That one is none any more.
  void withdraw(std::string_view name) {
    std::erase_if(more_items_, [name](const auto& item) { return item.first == name; });
  }

  /// What came of an upgrade: the new master's process, or why this one goes on.
  using UpgradeDone = std::function<void(Result<pid_t>)>;
  /// Has a new master take over, from this program or another one; SIGUSR2 does the same. `done` is
  /// called once: at once where an upgrade or a stop is under way, or workers of the last upgrade
  /// have not ended.
  void upgrade(const std::string& binary, UpgradeDone done);

  /// What a reload does, and says of it in a line; reload() and SIGHUP call it.
  void on_reload(std::function<Result<std::string>()> call) { on_reload_ = std::move(call); }

  /// Reloads, with the service manager told before and after. Fails as what it calls does, and
  /// once the service stops.
  Result<std::string> reload();

  /// Takes over what can change of the options while workers serve: policy, weights, limits, the
  /// times of hangs and stops, rebalancing. `rules` is a letter (LetterKind::rules) for the worker
  /// of every slot. Returns for how many of them it has to wait until their inboxes have room;
  /// they get it then, or newer rules that have come meanwhile.
  std::size_t adopt(const MasterOptions& options, std::vector<std::byte> rules);

  /// Has new connections, from the next SYN on, steered by this policy, or this slot weigh so much;
  /// both return what was in force before. They hold, over what the options say, until a reload:
  /// end_steering_set(). A slot that comes later has its weight by the options. Fail for a slot
  /// that there is not or that goes, for a weight that is none, for a policy that the backend
  /// cannot do, and while an upgrade is under way.
  [[nodiscard]] Result<steering::Policy> steer(steering::Policy policy);
  [[nodiscard]] Result<std::uint32_t> set_weight(std::uint32_t slot, std::uint32_t weight);
  /// From here on policy and weights are those of the options. Returns what was set instead.
  SteeringSet end_steering_set();

  /// Begins to record what sessions do: see recording.h. Fails while another recording, or an
  /// upgrade, is under way.
  [[nodiscard]] Result<RecordingEnd> record();
  /// Has that recording end. Fails where it is not under way.
  [[nodiscard]] Result<void> end_recording(RecordOrder order);

  /// Has the worker of `slot` close its sessions and end, and a fresh one take the slot; nothing
  /// new is steered there meanwhile. Returns as soon as that has begun. Fails for a slot that there
  /// is not, or whose worker does not serve.
  [[nodiscard]] Result<void> drain(std::uint32_t slot);

  /// Orders the worker of slot `from` to give so many of its sessions to that of `to`, which it
  /// does as far as it has any that can move. Fails for slots that there are not, or whose workers
  /// do not serve, and where the order could not be posted.
  [[nodiscard]] Result<void> move(std::uint32_t from, std::uint32_t to, std::uint32_t count);

  /// Has sessions move until every worker holds its share, whatever --rebalance says. Returns how
  /// many are to move, as soon as that has begun; 0: none need to. Fails where the policy puts
  /// sessions by something else than load, and where there is nobody to share with.
  [[nodiscard]] Result<std::uint64_t> rebalance();

  /// Has so many workers serve. More: their slots are there when this returns, and each is steered
  /// to once its worker is ready; then sessions move to them. Fewer: the last slots go, each once
  /// its worker has handed its sessions to those that stay and has ended; what cannot move is
  /// closed with 1012, as by drain(). Returns as soon as that has begun; as many as there are is no
  /// change, and succeeds. Fails, with everything as it was, for a number that is not 1 to 1024 or
  /// that this host cannot carry (MasterOptions::staffing), for fewer than sockets were passed or
  /// than the open connections need, where weights were given, and while slots are going.
  [[nodiscard]] Result<void> set_workers(std::uint32_t count);

  [[nodiscard]] const Listeners& listeners() const noexcept { return listeners_; }
  [[nodiscard]] const steering::Steering& steering() const noexcept { return steering_; }
  [[nodiscard]] WorkerView view(std::uint32_t slot) const;
  /// Slots, those that are going included.
  [[nodiscard]] std::uint32_t workers() const noexcept { return options_.workers; }

 private:
  struct Worker;
  struct Upgrade;
  struct Predecessor;
  struct Keeper;
  struct RecordingUnderWay;

  /// What set_workers() has begun and is not over.
  struct Resizing {
    std::uint32_t staying = 0;                // slots that there will be; those from here on go
    std::optional<std::uint32_t> new_from;    // slots from here on have not had a worker serve yet
    std::optional<std::uint32_t> level_from;  // those from here on are to get their share
    std::optional<Retirement> handing_over;   // while slots go
    Instant since;                            // they do
  };

  Master(boost::asio::io_context& io, MasterOptions options, WorkerMain worker_main,
         Listeners listeners, steering::Steering steering, Inboxes inboxes, UniqueFd signals,
         std::optional<NotifySocket> manager, std::optional<Inheritance> inheritance);

  void begin_ticks();
  void start(std::uint32_t slot);
  void count_queue(std::uint32_t slot);
  [[noreturn]] void become_worker_process(std::uint32_t slot, UniqueFd link);
  void await_word(std::uint32_t slot);
  void on_word(std::uint32_t slot, std::string_view line);
  void check_all_ready();
  void await_exit(std::uint32_t slot);
  void on_exit(std::uint32_t slot);
  void clear_up_after(std::uint32_t slot);
  void clear_slot(std::uint32_t slot);
  [[nodiscard]] std::uint64_t load_left_by(std::uint32_t slot) const;
  void restart_after(std::uint32_t slot, Duration pause);
  void await_signal();
  void on_signal(int number);
  void stop(std::string_view why);
  void kill_all() noexcept;
  void finish_if_empty();
  void tick();
  void steer_anew();
  void end_hung_workers(Instant now);
  [[nodiscard]] Result<void> check_slot(std::uint32_t slot) const;
  [[nodiscard]] Result<void> give(const MoveOrder& order);
  [[nodiscard]] std::vector<SlotLoad> loads(Instant now) const;
  [[nodiscard]] SlotLoad load_of(std::uint32_t slot, Instant now) const;

  // Other numbers of workers (resize.cpp).
  [[nodiscard]] bool goes(std::uint32_t slot) const noexcept { return slot >= resizing_.staying; }
  [[nodiscard]] Result<Staffing> staffing_of(std::uint32_t count) const;
  [[nodiscard]] Result<void> grow(std::uint32_t count, const Staffing& staffing);
  [[nodiscard]] Result<void> make_slots(std::uint32_t count);
  [[nodiscard]] Result<void> begin_retiring(std::uint32_t count, const Staffing& staffing);
  void resize_parts(std::uint32_t slots);
  [[nodiscard]] Result<void> keep_connections_off();
  void open_new_slots();
  void level_new_slots(Instant now);
  void look_at_resizing(Instant now);
  void hand_over(Instant now);
  void close_slots(Instant now);
  void slot_is_left(std::uint32_t slot);
  [[nodiscard]] bool forward_letters(std::uint32_t slot);
  [[nodiscard]] std::uint32_t emptiest_staying() const;
  void finish_retiring_if_left();
  void tell_all(bool joined, std::uint32_t slot);
  void tell_news();
  void tell_news(std::uint32_t slot);

  void look_at_balance(Instant now);
  void post_rules();
  void set_steering(const steering::TableOptions& next);
  [[nodiscard]] Result<void> may_be_ordered() const;
  [[nodiscard]] steering::Policy policy_in_force() const;
  [[nodiscard]] std::vector<std::uint32_t> weights_in_force(std::uint32_t slots) const;
  void publish_weights();
  void apply_steering();

  void go_on_recording(RecordOrder order, UniqueFd writer);
  void tell_all_of_recording();
  void tell_of_recording(std::uint32_t slot);
  void tell_of_recording();
  void note_in_recording(std::uint32_t slot);
  void sample_busy(Instant now);
  [[nodiscard]] ServiceState service_state(Instant now);
  void tell_manager();
  void send_to_manager(std::string_view assignments);
  void store_listeners();
  void store_more();

  // The old master's part in an upgrade.
  [[nodiscard]] Result<void> may_upgrade() const;
  [[nodiscard]] Result<void> begin_upgrade(const std::string& binary);
  [[nodiscard]] EstateTerms estate_terms() const;
  [[nodiscard]] EstateItems estate_items() const;
  void await_new_master();
  void on_new_masters_word();
  void put_in_charge(const std::string& word);
  [[nodiscard]] bool all_own_their_slots() const;
  void succeeded();
  void take_charge_again(Error why);
  [[nodiscard]] Error how_it_ended(Error otherwise);
  void upgrade_failed(Error why);

  // That of a new one whose master before has died, and what it leaves for one after itself.
  [[nodiscard]] bool adopt(std::uint32_t slot);
  void adopt_or_start(std::uint32_t slot);
  void take_workers_over();
  void keep_slots_that_went();
  [[nodiscard]] Result<void> tell_keeper_before();
  void leave_to_successors();
  void renew_keeper();
  void end_keeper() noexcept;

  // The new one's.
  void report_ready();
  void give_up(const Error& why);
  void await_charge();
  void take_charge();
  void find_predecessors();
  void order_hand_over();
  void await_end_of(Predecessor& predecessor);
  void on_end_of(Predecessor& predecessor);
  void kill_predecessors(std::string_view why) noexcept;
  void forget_ended_predecessors();
  void settle();

  boost::asio::io_context& io_;
  MasterOptions options_;
  WorkerMain worker_main_;
  Listeners listeners_;
  steering::Steering steering_;
  Inboxes inboxes_;
  Supervisor supervisor_;
  HangWatch hang_watch_;
  Rebalancer rebalancer_;
  std::optional<NotifySocket> manager_;  // nothing where no service manager listens
  std::vector<int> to_store_;  // by the manager, what it has not been sent yet; -1: forget
  ServiceReport report_;
  boost::asio::posix::stream_descriptor signals_;
  boost::asio::steady_timer tick_;
  boost::asio::steady_timer stop_deadline_;
  std::vector<std::unique_ptr<Worker>> workers_;  // by slot; those of slots that went are kept
  Resizing resizing_;
  std::function<void()> on_ready_;
  std::function<void()> on_charge_;
  std::function<void(bool)> on_succeeded_;
  EstateItems more_items_;
  std::unique_ptr<Upgrade> upgrade_;  // while one is under way
  pid_t successor_ = 0;
  bool succeeded_ = false;  // by a new master: nothing that is shared is changed any more
  std::optional<EstateTerms> inherited_;                 // of the master before
  boost::asio::local::stream_protocol::socket channel_;  // to it, until it puts this one in charge
  std::vector<std::unique_ptr<Predecessor>> predecessors_;  // workers of it that have not ended
  boost::asio::steady_timer hand_over_deadline_;
  bool said_none_move_ = false;
  bool before_has_died_ = false;  // the master before
  std::unique_ptr<Keeper>
      keeper_;  // null before this master is ready, and without a control socket
  bool in_charge_ = true;
  std::unique_ptr<RecordingUnderWay> recording_;  // null: none is, and all know that
  std::function<Result<std::string>()> on_reload_;
  std::vector<std::byte> rules_;          // the last that adopt() was given
  std::vector<std::uint32_t> rules_due_;  // slots whose inboxes had no room for them
  Instant sampled_at_;
  bool stopping_ = false;
  bool killing_ = false;
  bool said_not_steered_ = false;
  bool ready_once_ = false;
  int exit_status_ = 0;
};

}  // namespace weir::process
