// Counting connections in and out of the load table from user space: the C++ side of what
// weir_charge and weir_discharge (pick.h) do in the kernel. Inline and free of system calls.
//
// Relaxed order throughout: each word stands alone, and a reader that sees an old one steers one
// connection slightly worse. The one place where order between words matters, the reconciler,
// says so (src/steering/reconcile.h) and needs only that a locked instruction is not passed by
// later stores, which every add and compare-and-swap here gives on x86; elsewhere its corrections
// last one tick longer.
#pragma once

#include <atomic>
#include <cstdint>

#include "weir/steering/abi.h"

namespace weir::steering {

using Word = std::atomic_ref<__u64>;

/// Adds to the load of `key`, unless the field is close to its end.
inline void add_load(__u64& key, std::uint64_t steps) noexcept {
  if ((Word{key}.load(std::memory_order_relaxed) & WEIR_KEY_SATURATED) == 0)
    Word{key}.fetch_add(steps, std::memory_order_relaxed);
}

/// Takes from the load of `key`, down to zero and no further: a borrow would flip its flags.
inline void take_load(__u64& key, std::uint64_t steps) noexcept {
  __u64 seen = Word{key}.load(std::memory_order_relaxed);
  __u64 wanted = 0;
  do {
    const __u64 load = seen & WEIR_KEY_LOAD_MASK;
    wanted = seen - (load < steps ? load : steps);
  } while (!Word{key}.compare_exchange_weak(seen, wanted, std::memory_order_relaxed));
}

/// Takes from a count, down to zero and no further; a count below zero becomes zero.
inline void take_count(__u64& count, std::uint64_t taken) noexcept {
  __u64 seen = Word{count}.load(std::memory_order_relaxed);
  __u64 wanted = 0;
  do {
    const auto left = static_cast<std::int64_t>(seen) - static_cast<std::int64_t>(taken);
    wanted = left < 0 ? 0 : static_cast<__u64>(left);
  } while (!Word{count}.compare_exchange_weak(seen, wanted, std::memory_order_relaxed));
}

}  // namespace weir::steering
