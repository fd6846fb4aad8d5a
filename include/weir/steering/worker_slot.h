// WorkerSlot: a worker's own view of its slot in the load table. Everything here is a few relaxed
// memory operations, inline, without a system call: it runs on every wake and every connection.
//
// One WorkerSlot owns a slot at a time (tenure.h). Its row has one writer, so that its counters
// need a load and a store, never a locked instruction; only the key and the total are shared with
// others. One that does not own the slot, not yet or not any more, counts in a row of its own that
// nobody reads; the load of the sessions that it still has is in the slot's key all the same.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "weir/base/clock.h"
#include "weir/steering/abi.h"
#include "weir/steering/attendance.h"
#include "weir/steering/connection_count.h"
#include "weir/steering/tenure.h"

namespace weir::steering {

/// Adds to a counter that this process alone writes and others read: no locked instruction.
inline void add_own(__u64& counter, std::uint64_t amount) noexcept {
  const Word word{counter};
  word.store(word.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

/// What one row has more than an earlier state of it, of what is a sum; the rest (awake_at_ns,
/// open, pending) is 0.
[[nodiscard]] inline weir_row sums_since(weir_row row, const weir_row& earlier) noexcept {
  auto* const words = reinterpret_cast<__u64*>(&row);  // all members are __u64
  const auto* const taken = reinterpret_cast<const __u64*>(&earlier);
  for (std::size_t i = 0; i < sizeof(weir_row) / sizeof(__u64); ++i) words[i] -= taken[i];
  row.awake_at_ns = row.open = row.pending = 0;
  return row;
}

/// Adds such sums to a row of this process's own.
inline void add_sums(weir_row& to, const weir_row& sums) noexcept {
  auto* const words = reinterpret_cast<__u64*>(&to);
  const auto* const added = reinterpret_cast<const __u64*>(&sums);
  for (std::size_t i = 0; i < sizeof(weir_row) / sizeof(__u64); ++i) add_own(words[i], added[i]);
}

class WorkerSlot {
 public:
  /// Who counts a connection in: the program when it steers the SYN (backend ebpf), or the worker
  /// when it accepts (backends cbpf and none).
  enum class Counting : std::uint8_t { by_program, by_worker };

  enum class Standing : std::uint8_t { owner, waits };

  /// `table` is borrowed and must outlive this. `slot` < WEIR_SLOTS_MAX. One that waits has to
  /// take() the slot; an owner is one by its maker's word.
  WorkerSlot(weir_table& table, std::uint32_t slot, Counting counting,
             Standing standing = Standing::owner) noexcept
      : table_{&table}, slot_{slot}, counting_{counting}, owns_{standing == Standing::owner} {}

  /// Takes the slot if it is nobody's: from then on this worker writes its row, accepts from its
  /// queues and reads its inbox. False: it is another's, which may let it go later.
  [[nodiscard]] bool take(Tenure self) noexcept {
    const std::atomic_ref bank{table_->admission.bank};
    if (bank.load(std::memory_order_acquire) != self.bank) return false;  // not our master's yet
    __u64 nobody = 0;
    owns_ = Word{table_->owner[slot_]}.compare_exchange_strong(nobody, self.word(),
                                                               std::memory_order_acq_rel);
    return owns_;
  }
  /// Lets the slot go, for good. The row's sums are left as they are for the successor to go on
  /// from; its open connections are those of the successor, so none.
  void let_go() noexcept {
    own_ = table_->row[slot_];
    Word{table_->row[slot_].open}.store(0, std::memory_order_relaxed);
    owns_ = false;
    Word{table_->owner[slot_]}.store(0, std::memory_order_release);
  }
  [[nodiscard]] bool owns() const noexcept { return owns_; }

  /// Call whenever the loop wakes: the proof that this worker does not hang.
  void woke(Instant now) noexcept {
    Word{row().awake_at_ns}.store(to_ns(now), std::memory_order_relaxed);
    // The key's line is one that eight slots share, and which every SYN and end writes to: a loop
    // that wakes for each message must not read it each time. Who slept over the threshold comes
    // to look at once. The program may set the bit from an older awake_at just after a look: the
    // next one that is due, at most a third of the threshold away, clears it.
    const auto since = static_cast<std::uint64_t>((now - looked_at_).count());
    if (!owns_ || since < kLookEveryNs) return;
    looked_at_ = now;
    if ((Word{key()}.load(std::memory_order_relaxed) & WEIR_KEY_HUNG) != 0)
      Word{key()}.fetch_and(~static_cast<__u64>(WEIR_KEY_HUNG), std::memory_order_relaxed);
  }

  /// Call when a turn of the loop has found what there is to do, and with 0 when it is done. A turn
  /// reports its busy time at its end: this says meanwhile that it is at it.
  void found(std::uint64_t completions) noexcept {
    Word{row().pending}.store(completions, std::memory_order_relaxed);
  }

  /// Counts in a connection just accepted. False (only with Counting::by_worker): it is over
  /// max_connections and is not counted; reset it and do not call ended().
  [[nodiscard]] bool accepted() noexcept { return accepted_from(slot_); }

  /// The same for one from the queue of `queue`, which may be another slot's that this worker
  /// covers: the load that the program counted there comes over with it.
  [[nodiscard]] bool accepted_from(std::uint32_t queue) noexcept {
    add_own(row().accepted, 1);
    if (counting_ == Counting::by_worker) {
      if (!count_in()) {
        add_own(row().refused, 1);
        return false;
      }
    } else if (queue != slot_) {
      take_load(key_of(queue), step_of(queue));
      add_load(key(), step());
    }
    add_own(row().open, 1);
    return true;
  }

  /// How it stands with the worker of `slot`, by what it last reported.
  [[nodiscard]] Attendance attendance_of(std::uint32_t slot, Instant now) noexcept {
    const __u64 awake_at = Word{table_->row[slot].awake_at_ns}.load(std::memory_order_relaxed);
    const __u64 threshold = Word{table_->config.hang_threshold_ns}.load(std::memory_order_relaxed);
    if (awake_at == 0) return Attendance::unborn;
    if (weir_overslept(to_ns(now), awake_at, threshold)) return Attendance::absent;
    const bool out = (Word{key_of(slot)}.load(std::memory_order_relaxed) & WEIR_KEY_OUT) != 0;
    return out ? Attendance::leaving : Attendance::serving;
  }

  /// Counts out a connection that ended or was given away, once for each accepted() that was true.
  void ended() noexcept {
    // The load goes first: a reconciler that looks in between sees one too few counted, which it
    // acts on only if it lasts, never one too many, which it would take back.
    take_load(key(), step());
    take_count(table_->total.value, 1);
    const Word open{row().open};
    const __u64 before = open.load(std::memory_order_relaxed);
    if (before > 0) open.store(before - 1, std::memory_order_relaxed);
  }

  /// Counts out a session that was given to the worker of `slot`: its load goes there at once, so
  /// that nobody takes that worker for emptier than it will be.
  void moved_to(std::uint32_t slot) noexcept {
    pass_on(slot);
    const Word open{row().open};
    const __u64 before = open.load(std::memory_order_relaxed);
    if (before > 0) open.store(before - 1, std::memory_order_relaxed);
  }
  /// Counts in a session that was given to this worker, whose load has come before it.
  void arrived() noexcept { add_own(row().open, 1); }
  /// Gives the load of a session that could not be taken in to `slot`, where the session goes.
  void pass_on(std::uint32_t slot) noexcept {
    take_load(key(), step());
    add_load(key_of(slot), step_of(slot));
  }
  /// Counts out a session that was given to this worker and is no more.
  void lost() noexcept {
    take_load(key(), step());
    take_count(table_->total.value, 1);
  }

  /// The counters to add to, with add_own().
  [[nodiscard]] weir_row& row() noexcept { return owns_ ? table_->row[slot_] : own_; }
  [[nodiscard]] std::uint32_t slot() const noexcept { return slot_; }
  /// How many slots there are.
  [[nodiscard]] std::uint32_t slots() noexcept {
    return std::atomic_ref{table_->config.slot_count}.load(std::memory_order_relaxed);
  }

 private:
  [[nodiscard]] __u64& key() noexcept { return key_of(slot_); }
  [[nodiscard]] __u64& key_of(std::uint32_t slot) noexcept { return table_->key[slot]; }
  [[nodiscard]] std::uint64_t step() noexcept { return step_of(slot_); }
  [[nodiscard]] std::uint64_t step_of(std::uint32_t slot) noexcept {
    return Word{table_->steered[slot].step}.load(std::memory_order_relaxed);
  }

  [[nodiscard]] bool count_in() noexcept {
    const __u64 max = Word{table_->config.max_connections}.load(std::memory_order_relaxed);
    // One atomic add decides, so that exactly `max` get in however many workers accept at once.
    const auto before = static_cast<std::int64_t>(
        Word{table_->total.value}.fetch_add(1, std::memory_order_relaxed));
    if (max != 0 && before >= static_cast<std::int64_t>(max)) {
      take_count(table_->total.value, 1);
      return false;
    }
    add_load(key(), step());
    return true;
  }

  /// Between two looks of woke() at the key: less than the least hang threshold, 1 ms.
  static constexpr std::uint64_t kLookEveryNs = 500'000;

  weir_table* table_;
  std::uint32_t slot_;
  Counting counting_;
  bool owns_;
  Instant looked_at_{};
  weir_row own_{};  // while the slot is another's
};

}  // namespace weir::steering
