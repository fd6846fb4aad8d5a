// A load table in plain shared memory and a stream of made-up SYNs to steer through it: what the
// pick tests share.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "weir/steering/load_table.h"
#include "weir/steering/pick.h"
#include "weir/steering/worker_slot.h"

namespace weir::steering {

constexpr std::uint64_t kNow = 1'000'000'000'000;  // the fixture's clock, in ns
constexpr std::uint64_t kThreshold = 50'000'000;   // the default hang threshold, in ns

class TableTest : public ::testing::Test {
 protected:
  /// Configures, puts every slot in service and wakes its worker.
  void configure(const TableOptions& options) {
    table.configure(options);
    for (std::uint32_t slot = 0; slot < options.slots; ++slot) {
      table.mark_serving(slot);
      wake(slot);
    }
  }
  void configure(std::uint32_t slots, Policy policy) {
    configure({.slots = slots, .policy = policy, .weights = {}});
  }

  void wake(std::uint32_t slot) { worker(slot).woke(Instant{Duration{now}}); }
  void stop(std::uint32_t slot) { raw.row[slot].awake_at_ns = now - kThreshold - 1; }

  WorkerSlot worker(std::uint32_t slot) { return {raw, slot, WorkerSlot::Counting::by_program}; }

  /// A SYN from nobody in particular.
  weir_syn syn() {
    weir_syn made{};
    made.now_ns = now;
    made.hash = static_cast<std::uint32_t>(random());
    made.has_address = 1;
    made.address[0] = random();
    made.address[1] = random();
    made.port = static_cast<std::uint16_t>(random());
    return made;
  }

  int steer() {
    const weir_syn made = syn();
    return weir_steer(&raw, &made);
  }

  /// Steers `picks` connections that stay; each must find a slot. Returns the picks of each slot.
  std::vector<std::uint64_t> steer_many(std::uint64_t picks) {
    std::vector<std::uint64_t> counts(table.slots());
    for (std::uint64_t i = 0; i < picks; ++i) {
      const int slot = steer();
      if (slot < 0 || slot >= static_cast<int>(counts.size())) {
        ADD_FAILURE() << "pick " << i << " gave " << slot;
        break;
      }
      ++counts[static_cast<std::size_t>(slot)];
    }
    return counts;
  }

  std::uint64_t now = kNow;
  std::mt19937_64 random{20'260'101};  // any seed: fixed so that a failure repeats
  LoadTable table = LoadTable::in_shared_memory().value();
  weir_table& raw = table.raw();
};

/// max - min
inline std::uint64_t range_of(const std::vector<std::uint64_t>& counts) {
  const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
  return *most - *least;
}

/// Each slot's share is within one percentage point of its weight's.
inline void expect_shares(const std::vector<std::uint64_t>& counts,
                          const std::vector<std::uint32_t>& weights) {
  double picks = 0, weight = 0;
  for (const auto count : counts) picks += static_cast<double>(count);
  for (const auto each : weights) weight += each;
  for (std::size_t slot = 0; slot < counts.size(); ++slot)
    EXPECT_NEAR(static_cast<double>(counts[slot]) / picks, weights[slot] / weight, 0.01) << slot;
}

}  // namespace weir::steering
