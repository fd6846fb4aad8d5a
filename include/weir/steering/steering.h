// Steering: the master's side. Loads the program, owns the load table, fills each address's socket
// array, attaches, and mends the table's drift. Decides nothing about a connection: that is
// pick.h, in the kernel; or, with backend cbpf, a classic program made from the load table time and
// again (src/steering/cbpf_steerer.h).
//
// Design, in short:
// - The pick is made at SYN time, in the kernel, from live load, so connections that no worker has
//   accepted yet count already: a burst spreads evenly although nobody had a chance to report it.
// - Load is reported by storing to shared memory (abi.h); there is no call per connection or loop.
// - A worker that hangs is found by the program itself, by the age of the worker's last wake. No
//   other process needs to run for that, the master included.
// - The kernel holds the program through the listeners: steering outlives the master.
// - The program counts a connection at its SYN and the worker uncounts it at its end, so anything
//   in between that goes wrong without a word (a handshake never completed, a SYN sent again
//   because the queue was full, a SYN cookie's second run, a worker killed) leaves drift.
//   reconcile() takes it back from the truth that can be read: open connections, and the accept
//   queue's length.
// - With several listen addresses there is one program and socket array per address (a socket
//   array belongs to one group), and one table that all of them share.
//
// Not thread-safe: the master's one thread.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "weir/base/clock.h"
#include "weir/base/result.h"
#include "weir/steering/client_table.h"
#include "weir/steering/load_score.h"
#include "weir/steering/load_table.h"
#include "weir/steering/policy.h"
#include "weir/steering/worker_slot.h"

namespace weir::steering {

struct SteeringOptions {
  BackendChoice backend = BackendChoice::automatic;
  TableOptions table;                // its client_sets are worked out here
  std::size_t addresses = 1;         // listen addresses; attach() is called once for each
  std::vector<bool> behind_proxy{};  // by address: clients are told by a proxy; empty: none is
  std::uint32_t places = 0;          // sessions that one worker can have at the most
  ScoreOptions score{};              // of the policies that is_scored() names
};

/// What makes the steering of one service in another process. By listen address: the program and
/// its socket array, -1 for none.
struct SteeringDescriptors {
  struct OfAddress {
    int program = -1;
    int listeners = -1;
  };
  int table = -1;
  int clients = -1;
  int notes = -1;
  bool steered = false;  // by programs, also where none of these addresses has one yet
  std::vector<OfAddress> addresses;
};

class Steering {
 public:
  /// Makes the table and, where the backend is `ebpf`, loads one program per address. Fails on bad
  /// table options; with `ebpf` or `cbpf` when the host does not allow it, saying what would, or
  /// the policy is not for it. `automatic` takes the first of ebpf, cbpf and none that does not
  /// fail.
  [[nodiscard]] static Result<Steering> create(const SteeringOptions& options);

  /// Goes on with another process's steering, whose descriptors it takes, whatever comes of it.
  /// Nothing in the table is changed, nor is anything attached: that is for apply() and attach(),
  /// once this process is in charge. Programs for addresses that have none are loaded. Fails where
  /// another version laid the tables out, or `options` ask for another backend.
  [[nodiscard]] static Result<Steering> inherit(const SteeringOptions& options,
                                                const SteeringDescriptors& descriptors);
  /// What inherit() takes; lent.
  [[nodiscard]] SteeringDescriptors descriptors() const;
  /// Has an inherited table heed the options that it was inherited with, and the listeners this
  /// backend where no program was inherited.
  void apply(const TableOptions& options);

  Steering(Steering&&) noexcept;
  Steering& operator=(Steering&&) noexcept;
  /// Leaves attached programs at work: the listeners hold them.
  ~Steering();

  [[nodiscard]] Backend backend() const noexcept;
  /// Why `automatic` did not take what it would rather have, in one line; empty if it took ebpf, or
  /// was not asked.
  [[nodiscard]] std::string_view fallback_reason() const noexcept;
  /// By what a new connection gets its worker: the table's policy or, with backend `none`,
  /// "kernel-hash".
  [[nodiscard]] std::string_view policy_in_force() const noexcept;
  /// Whether the table's policy can become this one; fails, with what can, where the backend cannot
  /// follow it.
  [[nodiscard]] Result<void> can(Policy policy) const;
  [[nodiscard]] LoadTable& table() noexcept;
  [[nodiscard]] const LoadTable& table() const noexcept;
  /// The clients' accounts, which workers keep.
  [[nodiscard]] ClientTable& clients() noexcept;
  /// How workers construct their WorkerSlot.
  [[nodiscard]] WorkerSlot::Counting counting() const noexcept;

  /// Steers one address: listeners[slot] is the listening SO_REUSEPORT socket of each slot, all of
  /// one group, in the order in which they began to listen. They are borrowed and must stay open
  /// while reconcile() is called. With backend `none` there is nothing to attach, and with `cbpf`
  /// follow() does. An address whose program was inherited is steered already: all but the slots
  /// that are `reopened`, whose listeners had been closed and listen again. The kernel takes what
  /// is closed out of the program's array.
  [[nodiscard]] Result<void> attach(std::size_t address, std::span<const int> listeners,
                                    std::span<const std::uint32_t> reopened = {});

  /// Takes up the listeners of slots from `first` on, of an address that is attached. They are
  /// borrowed as those of attach(). Where it fails, those that it took have to be closed.
  [[nodiscard]] Result<void> add_listeners(std::size_t address, std::uint32_t first,
                                           std::span<const int> listeners);
  /// Makes the table, and what is kept for each slot, those of so many slots, with weights as for
  /// LoadTable::set_weights().
  void set_slots(std::uint32_t slots, std::span<const std::uint32_t> weights = {});
  /// All slots together may have so many connections from here on; 0: any number.
  void set_max_connections(std::uint64_t connections) noexcept;
  /// The listeners of `slot` are about to be closed.
  void drop_listeners(std::uint32_t slot) noexcept;

  /// With backend `none` or `cbpf`: new connections go to the listeners of the first `slots` alone,
  /// or again to all that there are. With `ebpf` the program knows, and these do nothing.
  [[nodiscard]] Result<void> keep_to_first(std::uint32_t slots);
  [[nodiscard]] Result<void> keep_to_all();

  /// With backend `cbpf`: has the program follow the table. Call every 100 ms, and when slots were
  /// marked serving or down. Takes as long as reconcile(), and some 6 us (8 slots) to 0.35 ms
  /// (1,024) more where another program is called for. Else does nothing.
  [[nodiscard]] Result<void> follow(Instant now);
  /// Another process may have attached programs: the next follow() does so in any case.
  void forget_attached() noexcept;
  /// With backend `cbpf`: programs attached by this process, ever.
  [[nodiscard]] std::uint64_t programs_attached() const noexcept;

  /// Compares the table with the truth and mends what lasted; call every 100 ms. Takes about half a
  /// microsecond a listener: 0.55 ms for 1,024 on the machine of bench/README.md. A handshake that
  /// never completes is out of the table 3 s and three ticks later. Without eBPF, where only
  /// accepted connections are counted, what is mended is what a worker took with it that died while
  /// it left.
  void reconcile(Instant now);

  /// Publishes what each slot's load weighs, while the policy is one that is_scored() names; call
  /// every 100 ms. Does nothing without eBPF, which alone heeds it.
  void score(Instant now);
  /// Of the forecasts; nothing unless the policy is predictive and some have come due.
  [[nodiscard]] std::optional<ForecastError> forecast_error() const noexcept;

  /// The connections that wait in a slot's accept queues, over all attached addresses; what
  /// LoadTable::restart_slot() takes.
  [[nodiscard]] std::uint64_t queued(std::uint32_t slot) const noexcept;

 private:
  struct State;
  explicit Steering(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

/// Whether eBPF steering is possible here, found out by loading the program and letting it go.
/// The error says why not and what would make it possible.
[[nodiscard]] Result<void> probe_ebpf();

}  // namespace weir::steering
