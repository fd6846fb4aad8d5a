// Picks, workers and the master at the same time: nothing is lost, nothing leaks into the flags.
#include <atomic>
#include <thread>

#include "table_fixture.h"

namespace weir::steering {
namespace {

using Concurrency = TableTest;

/// A source of SYNs of its own for each thread; `cpu` keeps their counters apart.
class Caller {
 public:
  Caller(weir_table& table, std::uint32_t cpu) : table_{&table}, random_{cpu} { syn_.cpu = cpu; }
  int steer() {
    syn_.now_ns = kNow;
    syn_.hash = static_cast<std::uint32_t>(random_());
    syn_.has_address = 1;
    syn_.address[1] = random_();
    return weir_steer(table_, &syn_);
  }

 private:
  weir_table* table_;
  weir_syn syn_{};
  std::mt19937_64 random_;
};

TEST_F(Concurrency, EveryConnectionThatEndsIsUncounted) {
  configure(5, Policy::least_connections);
  // A slot's row has one writer; here each thread is every worker, so only the shared words count.
  const auto churn = [this](std::uint32_t cpu) {
    Caller caller{raw, cpu};
    for (int i = 0; i < 100'000; ++i) {
      const auto slot = static_cast<std::uint32_t>(caller.steer());
      take_load(raw.key[slot], raw.steered[slot].step);
      take_count(raw.total.value, 1);
    }
  };
  std::vector<std::thread> threads;
  for (std::uint32_t cpu = 0; cpu < 4; ++cpu) threads.emplace_back(churn, cpu);
  for (auto& thread : threads) thread.join();
  for (std::uint32_t slot = 0; slot < 5; ++slot) EXPECT_EQ(raw.key[slot], slot);
  EXPECT_EQ(table.total(), 0U);
  EXPECT_EQ(table.program_counters().syns, 400'000U);
}

TEST_F(Concurrency, ExactlyTheMaximumGetIn) {
  configure({.slots = 4, .weights = {}, .max_connections = 10'000});
  std::atomic<int> let_in{0};
  const auto rush = [&](std::uint32_t cpu) {
    Caller caller{raw, cpu};
    for (int i = 0; i < 10'000; ++i)
      if (caller.steer() >= 0) ++let_in;
  };
  std::vector<std::thread> threads;
  for (std::uint32_t cpu = 0; cpu < 4; ++cpu) threads.emplace_back(rush, cpu);
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(let_in, 10'000);
  EXPECT_EQ(table.total(), 10'000U);
}

TEST_F(Concurrency, TablesMayBeRebuiltAndSlotsTakenOutUnderPicks) {
  configure(8, Policy::weighted_round_robin);
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0};
  std::thread picks{[&] {
    Caller caller{raw, 1};
    for (std::uint32_t i = 0; !done; ++i) {
      raw.config.policy = i % 2 == 0 ? WEIR_WEIGHTED_ROUND_ROBIN : WEIR_SOURCE_HASH;
      const int slot = caller.steer();
      if (slot < 0 || slot > 7)
        ++wrong;
      else
        take_load(raw.key[slot], raw.steered[slot].step);
    }
  }};
  for (std::uint32_t i = 0; i < 60; ++i) {
    table.mark_down(i % 8);
    table.set_weights(std::vector<std::uint32_t>{1, i + 1, 3, 4, 5, 6, 7, 1000});
    table.mark_serving(i % 8);
  }
  done = true;
  picks.join();
  EXPECT_EQ(wrong, 0);
  for (std::uint32_t slot = 0; slot < 8; ++slot) {
    EXPECT_TRUE(table.snapshot(slot).serving) << slot;
    EXPECT_FALSE(table.snapshot(slot).hung) << slot;
  }
}

}  // namespace
}  // namespace weir::steering
