// LoadTable: the master's hand on the load table (abi.h): configures it, puts slots in and out of
// service, reads it. Steers nothing and knows no socket; workers use WorkerSlot instead.
//
// The table is shared memory: a child forked after it was made has the same one. Every method may
// run while the steering program and the workers use the table; only one process (the master) may
// call the methods that change it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "weir/base/clock.h"
#include "weir/base/result.h"
#include "weir/base/unique_fd.h"
#include "weir/steering/abi.h"
#include "weir/steering/client_table.h"
#include "weir/steering/policy.h"
#include "weir/steering/tenure.h"

namespace weir::steering {

struct TableOptions {
  std::uint32_t slots = 1;  // 1..WEIR_SLOTS_MAX
  Policy policy = Policy::least_connections;
  std::vector<std::uint32_t> weights;                       // 1..WEIR_WEIGHT_MAX each; empty: all 1
  Duration hang_threshold = std::chrono::milliseconds{50};  // 0: never judge a worker hung
  std::uint64_t max_connections = 0;                        // over all slots; 0: no limit
  ClientLimits clients{};
  std::uint32_t client_sets = 1;  // of the clients' table; a power of two
  std::vector<int> cpus{};        // by slot, which CPU its worker is bound to; empty: none is
};

/// What there is to say against `options`; success when they can be configured.
[[nodiscard]] Result<void> validate(const TableOptions& options);

/// One slot as it was read: the words are each exact, but not of the same instant.
struct SlotSnapshot {
  bool serving = false;
  bool hung = false;
  std::uint32_t weight = 1;
  std::uint64_t load = 0;      // connections counted: in handshake, queued or open
  std::uint64_t assigned = 0;  // connections steered here by the program, ever
  weir_row row{};              // what the worker reports
};

class LoadTable {
 public:
  /// A table in anonymous shared memory, for hosts where no program can be loaded.
  [[nodiscard]] static Result<LoadTable> in_shared_memory();
  /// The same as a file in memory (memfd_create(2)), for over_map(): who is handed the descriptor
  /// has the table.
  [[nodiscard]] static Result<UniqueFd> make_file();
  /// The table inside a BPF_F_MMAPABLE array map whose one value is a weir_table, or in a file of
  /// make_file()'s. The descriptor is borrowed for the call. Fails if another version of weir laid
  /// the table out.
  [[nodiscard]] static Result<LoadTable> over_map(int map_fd);

  LoadTable(LoadTable&& other) noexcept;
  LoadTable& operator=(LoadTable&& other) noexcept;
  ~LoadTable();

  [[nodiscard]] weir_table& raw() noexcept { return *table_; }
  [[nodiscard]] const weir_table& raw() const noexcept { return *table_; }

  /// Starts over: every slot out of service and empty, every counter 0, a new hash key.
  /// `options` must pass validate().
  void configure(const TableOptions& options);

  /// Acts on the next SYN.
  void set_policy(Policy policy) noexcept;
  void set_max_connections(std::uint64_t connections) noexcept;
  void set_hang_threshold(Duration threshold) noexcept;
  void set_client_limits(const ClientLimits& limits) noexcept;
  /// One weight a slot (empty: all 1), each 1..WEIR_WEIGHT_MAX. Counted connections are kept. Those
  /// that come or go in the same instant may be counted at the old weight: reconciliation mends it.
  void set_weights(std::span<const std::uint32_t> weights);

  /// Changes how many slots there are, to 1..WEIR_SLOTS_MAX, with weights as for set_weights().
  /// Those that stay keep what they have. New ones are out of service, with nothing counted and no
  /// worker yet. Those that go are taken out of the total; their rows keep the totals of what their
  /// workers did, for a later worker of the slot goes on from there.
  void set_slots(std::uint32_t slots, std::span<const std::uint32_t> weights);
  /// Has the lookup tables name the first `slots` alone, which keep their weights, as they will
  /// once the others are gone: so that a client is sent to another slot once, not twice.
  void look_up_first(std::uint32_t slots);
  /// Which CPU the worker of each slot is bound to, by slot; empty: none is. For cpu-local. Of
  /// several slots on one CPU the first takes what comes there.
  void set_cpus(std::span<const int> cpus) noexcept;
  /// What the scan adds to each slot's connections under the policies is_scored() names, in
  /// connections of weight 1, by slot; below zero counts as zero, and slots past the end get none.
  /// They count for one to three seconds, so that a master that is no more does not go on biasing.
  void publish_biases(Instant now, std::span<const double> biases) noexcept;

  /// Lets new connections in. The lookup tables of round-robin and the hashes hold every configured
  /// slot, serving or not (pick.h passes over those that do not), so this rebuilds nothing, and a
  /// slot that returns finds its old clients. Its worker should have called WorkerSlot::woke():
  /// until it does, a hang threshold makes the program pass the slot over as hung.
  void mark_serving(std::uint32_t slot) noexcept;
  /// Keeps new connections out; those that the slot has stay counted.
  void mark_down(std::uint32_t slot) noexcept;
  /// Notes in the key of a slot in service that its worker hangs, if it has not woken within the
  /// threshold, as the program does where it is eBPF; the worker takes it back when it wakes.
  void judge(std::uint32_t slot, Instant now) noexcept;
  /// After its worker died: none open, and `queued` (waiting in its accept queues) is its load.
  /// The slot should be down. Connections in handshake are forgotten until reconciled. Also of a
  /// slot that is no more.
  void restart_slot(std::uint32_t slot, std::uint64_t queued) noexcept;

  /// Whose the slot is; nothing while it is nobody's.
  [[nodiscard]] std::optional<Tenure> owner(std::uint32_t slot) const noexcept;
  /// Lets workers of this bank take slots, and no others: their master is in charge.
  void set_bank(std::uint32_t bank) noexcept;
  /// Makes the slot nobody's if it still is that process's, which has died. Returns whether it was.
  bool clear_owner(std::uint32_t slot, pid_t dead) noexcept;

  /// Adds connections that were not counted (or takes back, below zero, what was counted and is
  /// no more) to the slot and the total, or to the total alone. For reconciliation. Also rounds
  /// the slot's load down to whole connections, which set_weights() may have left in parts.
  void correct_slot(std::uint32_t slot, std::int64_t connections) noexcept;
  void correct_total(std::int64_t connections) noexcept;

  [[nodiscard]] std::uint32_t slots() const noexcept;
  [[nodiscard]] Policy policy() const noexcept;
  /// Also of a slot that is no more, for the totals in its row.
  [[nodiscard]] SlotSnapshot snapshot(std::uint32_t slot) const noexcept;
  /// Connections counted over all slots.
  [[nodiscard]] std::uint64_t total() const noexcept;
  /// The program's counters, summed over the CPUs.
  [[nodiscard]] weir_program_counters program_counters() const noexcept;

 private:
  void publish_local_step() noexcept;

  explicit LoadTable(weir_table* table) noexcept : table_{table} {}

  weir_table* table_;  // owned mapping; null once moved from
};

}  // namespace weir::steering
