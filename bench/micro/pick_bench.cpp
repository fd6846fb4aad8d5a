// The steering decision in user space: weir_steer() for each policy at 2 to 1,024 slots. The same
// source as in the kernel, but not the same machine code (this is -O3 by the host's compiler, that
// is what clang and the kernel's JIT make of it), so these figures compare versions of pick.h with
// each other; bench/steering has the kernel's.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>
#include <utility>

#include "weir/steering/load_table.h"
#include "weir/steering/pick.h"

namespace {

using namespace weir::steering;

constexpr std::uint64_t kNow = 1'000'000'000;

void BM_pick(benchmark::State& state) {
  const auto policy = static_cast<Policy>(state.range(0));
  const auto slots = static_cast<std::uint32_t>(state.range(1));
  state.SetLabel(std::string{to_string(policy)});

  auto table = LoadTable::in_shared_memory().value();
  table.configure({.slots = slots, .policy = policy, .weights = {}, .cpus = {0}});
  for (std::uint32_t slot = 0; slot < slots; ++slot) {
    table.raw().row[slot].awake_at_ns = kNow;
    table.mark_serving(slot);
  }

  weir_syn syn{};
  syn.now_ns = kNow;
  syn.has_address = 1;
  for (auto _ : state) {
    syn.hash = syn.hash * 1'664'525 + 1'013'904'223;  // a new client each time
    syn.address[1] = syn.hash;
    benchmark::DoNotOptimize(weir_steer(&table.raw(), &syn));
  }
}
BENCHMARK(BM_pick)
    ->ArgNames({"policy", "slots"})
    ->ArgsProduct({{WEIR_LEAST_CONNECTIONS, WEIR_TWO_CHOICES, WEIR_ROUND_ROBIN,
                    WEIR_WEIGHTED_ROUND_ROBIN, WEIR_SOURCE_HASH, WEIR_TUPLE_HASH, WEIR_CPU_LOCAL,
                    WEIR_LEAST_LOAD, WEIR_PREDICTIVE},
                   {2, 16, 64, 256, 1024}});

}  // namespace

BENCHMARK_MAIN();
