// Worker: one thread, one ring, the sessions of one slot. Composes the parts and runs the loop;
// it takes no lock and makes one system call a turn (two where it has looked for more before it
// sleeps), and one a millisecond to know its CPU time.
//
//   loop:  submit, look for more if that pays, and wait (next deadline, or the next sign of life)
//          awake_at = now
//          what was sent has gone
//          for each completion: dispatch      may queue work, never submits
//          run due deadlines
//          flush: at most one send per session with output
//
// A sign of life is due every third of the hang threshold, also when there is nothing to do: the
// steering program takes a slot that has not woken within the threshold for hung, and a worker
// that was stopped in its sleep must not look like one that merely sleeps. The ring ticks for it.
//
// A worker's life, by what the slot is to it:
//   waiting --the slot is nobody's--> serving
//   serving --HandOverOrder--> leaving: accepts no more, lets the slot go, gives every session to
//                              the slot's inbox, which its successor reads, and closes what cannot
//                              move
//   serving, leaving --no session left--> exit
// Usually the slot is nobody's from the start. At an upgrade the successor waits, ready to serve,
// while its predecessor serves: it takes the slot at the moment that this one lets it go, and what
// came in between waits in the kernel's queues.
#pragma once

#include <sys/signalfd.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "weir/base/clock.h"
#include "weir/base/result.h"
#include "weir/base/unique_fd.h"
#include "weir/io/buffer_ring.h"
#include "weir/io/ring.h"
#include "weir/process/worker_link.h"
#include "weir/server/busy_poll.h"
#include "weir/server/busy_time.h"
#include "weir/server/worker_rules.h"
#include "weir/session/handler.h"
#include "weir/session/sessions.h"
#include "weir/steering/client_table.h"
#include "weir/steering/worker_slot.h"
#include "weir/tls/context.h"

namespace weir::server {

class Acceptor;
class KeyPlacer;
class Mover;
class Drainer;
class Recorder;
enum class DrainFor : std::uint8_t;

struct WorkerOptions {
  WorkerRules rules;
  std::vector<session::Door> doors;  // by listen address
  tls::Vault* vault = nullptr;       // borrowed, the master's; null where no door has TLS
  tls::ContextOptions tls;
  std::uint64_t descriptors = 0;  // for sessions, listeners and the ends of inboxes
};

/// The per-client limits, as Sessions asks for them.
class ClientGate final : public session::Gate {
 public:
  explicit ClientGate(steering::ClientDesk desk) noexcept : desk_{desk} {}
  [[nodiscard]] bool asks() const noexcept override { return desk_.on(); }
  [[nodiscard]] bool admit(std::uint32_t place, const SocketAddress& client,
                           Instant now) noexcept override {
    return desk_.admit(place, client, now) == steering::Verdict::admitted;
  }
  void take_over(std::uint32_t place, const SocketAddress& client, Instant now) noexcept override {
    desk_.take_over(place, client, now);
  }
  void left(std::uint32_t place) noexcept override { desk_.leave(place); }

 private:
  steering::ClientDesk desk_;
};

class Worker {
 public:
  /// Sets up ring and buffers, on the thread that will call run(). `handler` is borrowed.
  /// SIGTERM and SIGUSR1 must be blocked.
  [[nodiscard]] static Result<std::unique_ptr<Worker>> create(const WorkerOptions& options,
                                                              process::WorkerSeat& seat,
                                                              session::Handler& handler);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  /// Takes the slot, from which on it counts as awake. False: it is another's yet.
  [[nodiscard]] bool take_slot();

  /// Waits until the slot is this worker's, if it is not; then serves until a signal has had it
  /// drain: its sessions are closed one after the other, spread over the drain timeout, and each
  /// has the close timeout to answer. Returns the exit status.
  ///
  /// SIGTERM, with which the service ends: close 1001. While sessions are left it goes on
  /// accepting, to answer upgrades and health checks with 503. A second SIGTERM ends it at once.
  /// SIGUSR1, after which a fresh worker takes the slot: close 1012. It takes in what is still on
  /// its way to it, until no session is left or the timeout has passed.
  /// A letter that its slot is gone has the same end, once what can move has moved to others.
  /// While it waits, either signal ends it, and so does the master's death.
  [[nodiscard]] int run();

 private:
  Worker(const WorkerOptions& options, process::WorkerSeat& seat, session::Handler& handler,
         std::optional<tls::Context> tls, io::Ring ring, io::BufferRing buffers, UniqueFd signals);

  [[nodiscard]] bool await_slot();
  void begin_serving();
  void take_in(const io::Completions& batch);
  void dispatch(const io::Completion& completion);
  void on_accept(const io::Completion& completion);
  void arm_signal();
  void arm_tick();
  void on_tick(const io::Completion& completion);
  void adopt(WorkerRules rules);
  void on_signal(int result);
  void on_master_death();
  void hand_over();
  [[nodiscard]] std::size_t give_all();
  void take_sums();
  void drain(DrainFor purpose, std::size_t sessions);
  void end_if_emptied();
  void follow_recording();
  void dispatch_recorded(const io::Completion& completion);
  void report_ends();
  void report_turn(Instant woke, Instant sleeps);
  [[nodiscard]] std::optional<Duration> sleep_limit(Instant now) const;

  WorkerOptions options_;  // its rules change: adopt()
  process::WorkerSeat& seat_;
  steering::WorkerSlot slot_;
  io::Ring ring_;
  io::BufferRing buffers_;
  UniqueFd signals_;
  signalfd_siginfo signal_{};
  ClientGate gate_;
  std::optional<tls::Context> tls_;
  session::Sessions sessions_;
  weir_row earlier_{};         // of the slot's earlier workers: the row's totals are the service's
  session::Traffic reported_;  // what of ours is in it
  BusyTime busy_{monotonic_now()};
  BusyPoll busy_poll_;
  Instant now_;
  std::uint64_t ends_reported_ = 0;
  std::uint32_t tick_ = 0;  // generation of the tick that counts; another threshold has another
  std::unique_ptr<Acceptor> acceptor_;   // null until the slot is ours
  std::unique_ptr<Mover> mover_;         // likewise
  std::unique_ptr<KeyPlacer> placer_;    // likewise
  std::unique_ptr<Drainer> drainer_;     // null until a signal, or an order
  std::unique_ptr<Recorder> recorder_;   // null while nobody records
  std::optional<weir_row> let_go_with_;  // the row as it was when the slot was let go
  Instant gave_at_{};
  std::uint64_t gave_upgraded_ = 0;
  bool stopping_ = false;  // by SIGTERM
  bool stop_now_ = false;
};

/// What main runs in each forked worker: makes the worker, says on the seat's link that it is ready
/// or why it is not, and serves. The result is the exit status.
[[nodiscard]] int run_worker(const WorkerOptions& options, process::WorkerSeat seat,
                             session::Handler& handler);

}  // namespace weir::server
