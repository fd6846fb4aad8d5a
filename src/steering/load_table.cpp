#include "weir/steering/load_table.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <utility>

#include "maglev.h"
#include "weighted_sequence.h"
#include "weir/steering/connection_count.h"
#include "weir/steering/pick.h"  // weir_mix

namespace weir::steering {
namespace {

using Half = std::atomic_ref<__u32>;
using Quarter = std::atomic_ref<__u16>;

std::uint64_t step_of(std::uint32_t weight) {
  return static_cast<std::uint64_t>(WEIR_LOAD_SCALE / weight) << WEIR_KEY_LOAD_SHIFT;
}

/// Exact for every weight up to WEIR_WEIGHT_MAX, although step_of() rounds.
std::uint32_t weight_of(std::uint64_t step) {
  return static_cast<std::uint32_t>(WEIR_LOAD_SCALE / (step >> WEIR_KEY_LOAD_SHIFT));
}

std::vector<std::uint32_t> one_each(std::span<const std::uint32_t> weights, std::uint32_t slots) {
  if (weights.empty()) return std::vector<std::uint32_t>(slots, 1);
  return {weights.begin(), weights.end()};
}

/// Without enough entropy at boot this would block; the hash needs only that clients cannot guess.
std::uint64_t random_word() {
  std::uint64_t word = 0;
  if (::getrandom(&word, sizeof word, GRND_NONBLOCK) == sizeof word) return word;
  return weir_mix(to_ns(monotonic_now()));
}

Result<weir_table*> map_table(int flags, int fd) {
  void* const at =
      ::mmap(nullptr, sizeof(weir_table), PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0);
  if (at == MAP_FAILED) return os_error("mapping the load table", errno);
  return static_cast<weir_table*>(at);  // zero pages: a table of no slots
}

/// Writes what the policies look up into the buffer that is not read, then makes it the live one.
/// A program that read `live` just before may go on with the old buffer for its microsecond; it is
/// written again only by the next call, and even then holds a valid slot in each entry.
void publish_lookup(weir_table& table, std::span<const std::uint32_t> weights) {
  const __u32 idle = (Half{table.config.live}.load(std::memory_order_relaxed) & 1U) ^ 1U;
  weir_lookup& lookup = table.lookup[idle];
  const std::vector<std::uint16_t> sequence = smooth_sequence(weights);
  std::copy(sequence.begin(), sequence.end(), lookup.sequence);
  Half{lookup.sequence_length}.store(static_cast<__u32>(sequence.size()),
                                     std::memory_order_relaxed);
  build_maglev(weights,
               std::span<std::uint16_t, WEIR_MAGLEV_SIZE>{lookup.maglev, WEIR_MAGLEV_SIZE});
  // Release: whoever reads this number finds the buffer complete.
  Half{table.config.live}.store(idle, std::memory_order_release);
}

/// Sets the load field and leaves the flags as others may be setting them. Returns the old field.
std::uint64_t exchange_load(__u64& key, std::uint64_t load) {
  __u64 seen = Word{key}.load(std::memory_order_relaxed);
  while (!Word{key}.compare_exchange_weak(seen, (seen & ~WEIR_KEY_LOAD_MASK) | load,
                                          std::memory_order_relaxed)) {
  }
  return seen & WEIR_KEY_LOAD_MASK;
}

}  // namespace

Result<void> validate(const TableOptions& options) {
  if (options.slots < 1 || options.slots > WEIR_SLOTS_MAX)
    return Error{fmt::format("{} workers", options.slots),
                 fmt::format("choose between 1 and {}", WEIR_SLOTS_MAX)};
  if (!options.weights.empty() && options.weights.size() != options.slots)
    return Error{fmt::format("{} weights for {} workers", options.weights.size(), options.slots),
                 "give one weight for each worker, or none at all"};
  for (const std::uint32_t weight : options.weights)
    if (weight < 1 || weight > WEIR_WEIGHT_MAX)
      return Error{fmt::format("a weight of {}", weight),
                   fmt::format("choose between 1 and {}", WEIR_WEIGHT_MAX)};
  if (options.hang_threshold < Duration::zero())
    return Error{"a hang threshold below zero", "use 0 to never judge a worker hung"};
  return {};
}

Result<LoadTable> LoadTable::in_shared_memory() {
  const auto table = map_table(MAP_ANONYMOUS, -1);
  if (!table) return table.error();
  return LoadTable{*table};
}

Result<UniqueFd> LoadTable::make_file() {
  UniqueFd file{::memfd_create("weir-load", MFD_CLOEXEC)};
  if (!file || ::ftruncate(file.get(), sizeof(weir_table)) != 0)
    return os_error("making the load table", errno);
  return file;
}

Result<LoadTable> LoadTable::over_map(int map_fd) {
  const auto mapped = map_table(0, map_fd);
  if (!mapped) return mapped.error();
  LoadTable table{*mapped};  // unmaps it on failure
  const weir_config& config = table.raw().config;
  const bool fresh = config.magic == 0;
  if (!fresh && (config.magic != WEIR_TABLE_MAGIC || config.version != WEIR_TABLE_VERSION))
    return Error{fmt::format("the load table has layout {}, this weir has layout {}",
                             config.version, WEIR_TABLE_VERSION),
                 "restart weir instead of upgrading it in place"};
  return table;
}

LoadTable::LoadTable(LoadTable&& other) noexcept : table_{std::exchange(other.table_, nullptr)} {}

LoadTable& LoadTable::operator=(LoadTable&& other) noexcept {
  std::swap(table_, other.table_);
  return *this;
}

LoadTable::~LoadTable() {
  if (table_ != nullptr) ::munmap(table_, sizeof(weir_table));
}

void LoadTable::configure(const TableOptions& options) {
  assert(validate(options).has_value());
  const std::vector<std::uint32_t> weights = one_each(options.weights, options.slots);

  // First nobody is steered anywhere; then the rest may change in any order.
  for (std::uint32_t slot = 0; slot < WEIR_SLOTS_MAX; ++slot) {
    Word{table_->key[slot]}.store(WEIR_KEY_OUT | slot);
    table_->steered[slot] = {
        .step = step_of(slot < weights.size() ? weights[slot] : 1), .assigned = 0, .pad = {}};
    table_->row[slot] = {};
    table_->owner[slot] = 0;
  }
  table_->total = {};
  table_->ticket = {};
  std::fill(std::begin(table_->cpu), std::end(table_->cpu), weir_program_counters{});
  publish_lookup(*table_, weights);

  weir_config& config = table_->config;
  config.magic = WEIR_TABLE_MAGIC;
  config.version = WEIR_TABLE_VERSION;
  config.hash_key[0] = random_word();
  config.hash_key[1] = random_word();
  set_policy(options.policy);
  set_max_connections(options.max_connections);
  set_hang_threshold(options.hang_threshold);
  table_->admission.set_mask = options.client_sets - 1;
  set_bank(0);
  set_client_limits(options.clients);
  set_cpus(options.cpus);
  publish_biases({}, {});
  Half{config.slot_count}.store(options.slots, std::memory_order_release);
}

void LoadTable::set_policy(Policy policy) noexcept {
  Half{table_->config.policy}.store(static_cast<__u32>(policy), std::memory_order_relaxed);
}

void LoadTable::set_max_connections(std::uint64_t connections) noexcept {
  Word{table_->config.max_connections}.store(connections, std::memory_order_relaxed);
}

void LoadTable::set_hang_threshold(Duration threshold) noexcept {
  Word{table_->config.hang_threshold_ns}.store(static_cast<__u64>(threshold.count()),
                                               std::memory_order_relaxed);
  if (threshold != Duration::zero()) return;
  // Nobody is judged any more, and a worker that now sleeps as long as it likes would not wake to
  // clear its bit.
  for (__u64& key : table_->key)
    Word{key}.fetch_and(~static_cast<__u64>(WEIR_KEY_HUNG), std::memory_order_relaxed);
}

void LoadTable::set_client_limits(const ClientLimits& limits) noexcept {
  const std::uint64_t interval = limits.rate == 0 ? 0 : 1'000'000'000U / limits.rate;
  const std::uint64_t burst = limits.burst == 0 ? limits.rate : limits.burst;
  weir_admission& admission = table_->admission;
  // A SYN in between meets the old interval with the new burst, once.
  Word{admission.open_max}.store(limits.open_max, std::memory_order_relaxed);
  Word{admission.burst_ns}.store(interval * burst, std::memory_order_relaxed);
  Word{admission.interval_ns}.store(interval, std::memory_order_relaxed);
}

void LoadTable::set_weights(std::span<const std::uint32_t> given) {
  const std::vector<std::uint32_t> weights = one_each(given, slots());
  assert(weights.size() == slots());
  publish_lookup(*table_, weights);
  for (std::uint32_t slot = 0; slot < weights.size(); ++slot) {
    const std::uint64_t connections = snapshot(slot).load;
    const std::uint64_t step = step_of(weights[slot]);
    // Where nothing changes, nothing that comes or goes meanwhile is missed either.
    if (Word{table_->steered[slot].step}.load(std::memory_order_relaxed) == step) continue;
    Word{table_->steered[slot].step}.store(step, std::memory_order_relaxed);
    exchange_load(table_->key[slot], connections * step);
  }
  publish_local_step();
}

void LoadTable::set_cpus(std::span<const int> cpus) noexcept {
  std::array<__u16, WEIR_CPUS_MAX> slots{};
  for (std::size_t slot = cpus.size(); slot-- > 0;)
    if (cpus[slot] >= 0 && static_cast<std::size_t>(cpus[slot]) < slots.size())
      slots[static_cast<std::size_t>(cpus[slot])] = static_cast<__u16>(slot + 1);
  for (std::size_t cpu = 0; cpu < slots.size(); ++cpu)
    Quarter{table_->local_slot[cpu]}.store(slots[cpu], std::memory_order_relaxed);
}

void LoadTable::publish_biases(Instant now, std::span<const double> biases) noexcept {
  constexpr double kStep = static_cast<double>(WEIR_LOAD_SCALE);
  constexpr auto kMax = static_cast<double>(WEIR_BIAS_MAX >> WEIR_KEY_LOAD_SHIFT);
  for (std::size_t slot = 0; slot < WEIR_SLOTS_MAX; ++slot) {
    const double bias = slot < biases.size() ? biases[slot] * kStep : 0;
    // Written so that what is no number counts as zero.
    const auto load = bias > 0 ? static_cast<__u64>(std::min(bias, kMax)) : 0;
    Word{table_->bias[slot]}.store(load << WEIR_KEY_LOAD_SHIFT, std::memory_order_relaxed);
  }
  constexpr std::uint64_t kUnits = 2;
  Half{table_->config.bias_until}.store(static_cast<__u32>((to_ns(now) >> 30) + kUnits),
                                        std::memory_order_relaxed);
}

/// The mean load is all connections over the weights of the slots in service.
void LoadTable::publish_local_step() noexcept {
  std::uint64_t weights = 0;
  for (std::uint32_t slot = 0; slot < slots(); ++slot)
    if ((Word{table_->key[slot]}.load(std::memory_order_relaxed) & WEIR_KEY_OUT) == 0)
      weights += weight_of(Word{table_->steered[slot].step}.load(std::memory_order_relaxed));
  const std::uint64_t step = weights == 0 ? 0 : std::uint64_t{WEIR_LOAD_SCALE} / 4 * 5 / weights;
  Half{table_->config.local_step}.store(static_cast<__u32>(step), std::memory_order_relaxed);
}

void LoadTable::set_slots(std::uint32_t slots, std::span<const std::uint32_t> weights) {
  assert(slots >= 1 && slots <= WEIR_SLOTS_MAX);
  const std::uint32_t before = this->slots();
  for (std::uint32_t slot = slots; slot < before; ++slot) {
    mark_down(slot);
    restart_slot(slot, 0);
  }
  for (std::uint32_t slot = before; slot < slots; ++slot) {
    restart_slot(slot, 0);  // what a late giver may have counted there after the slot had gone
    Word{table_->row[slot].awake_at_ns}.store(0, std::memory_order_relaxed);
    Word{table_->key[slot]}.fetch_and(~static_cast<__u64>(WEIR_KEY_HUNG),
                                      std::memory_order_relaxed);
  }
  Half{table_->config.slot_count}.store(slots, std::memory_order_release);
  set_weights(weights);
}

void LoadTable::look_up_first(std::uint32_t slots) {
  std::vector<std::uint32_t> weights;
  for (std::uint32_t slot = 0; slot < slots; ++slot) weights.push_back(snapshot(slot).weight);
  publish_lookup(*table_, weights);
}

void LoadTable::mark_serving(std::uint32_t slot) noexcept {
  assert(slot < slots());
  Word{table_->key[slot]}.fetch_and(~static_cast<__u64>(WEIR_KEY_OUT), std::memory_order_relaxed);
  publish_local_step();
}

void LoadTable::mark_down(std::uint32_t slot) noexcept {
  assert(slot < slots());
  Word{table_->key[slot]}.fetch_or(WEIR_KEY_OUT, std::memory_order_relaxed);
  publish_local_step();
}

void LoadTable::judge(std::uint32_t slot, Instant now) noexcept {
  assert(slot < slots());
  const std::uint64_t threshold =
      Word{table_->config.hang_threshold_ns}.load(std::memory_order_relaxed);
  const std::uint64_t awake_at =
      Word{table_->row[slot].awake_at_ns}.load(std::memory_order_relaxed);
  if ((Word{table_->key[slot]}.load() & WEIR_KEY_UNHEALTHY) != 0) return;
  if (weir_overslept(to_ns(now), awake_at, threshold))
    Word{table_->key[slot]}.fetch_or(WEIR_KEY_HUNG, std::memory_order_relaxed);
}

void LoadTable::restart_slot(std::uint32_t slot, std::uint64_t queued) noexcept {
  assert(slot < WEIR_SLOTS_MAX);
  const std::uint64_t step = Word{table_->steered[slot].step}.load(std::memory_order_relaxed);
  Word{table_->row[slot].open}.store(0, std::memory_order_relaxed);
  const std::uint64_t before = exchange_load(table_->key[slot], queued * step) / step;
  if (queued > before)
    Word{table_->total.value}.fetch_add(queued - before, std::memory_order_relaxed);
  else
    take_count(table_->total.value, before - queued);
}

std::optional<Tenure> LoadTable::owner(std::uint32_t slot) const noexcept {
  return Tenure::of(Word{table_->owner[slot]}.load(std::memory_order_acquire));
}

void LoadTable::set_bank(std::uint32_t bank) noexcept {
  Half{table_->admission.bank}.store(bank, std::memory_order_release);
}

bool LoadTable::clear_owner(std::uint32_t slot, pid_t dead) noexcept {
  __u64 word = Word{table_->owner[slot]}.load(std::memory_order_acquire);
  const auto owner = Tenure::of(word);
  return owner && owner->pid == dead &&
         Word{table_->owner[slot]}.compare_exchange_strong(word, 0, std::memory_order_acq_rel);
}

void LoadTable::correct_slot(std::uint32_t slot, std::int64_t connections) noexcept {
  assert(slot < slots());
  __u64& key = table_->key[slot];
  const std::uint64_t step = Word{table_->steered[slot].step}.load(std::memory_order_relaxed);
  if (connections > 0)
    add_load(key, static_cast<std::uint64_t>(connections) * step);
  else if (connections < 0)
    take_load(key, static_cast<std::uint64_t>(-connections) * step);
  // What set_weights() raced with leaves part of a step, which no whole connection takes away.
  const std::uint64_t load = Word{key}.load(std::memory_order_relaxed) & WEIR_KEY_LOAD_MASK;
  if (load % step != 0) take_load(key, load % step);
  correct_total(connections);
}

void LoadTable::correct_total(std::int64_t connections) noexcept {
  if (connections > 0)
    Word{table_->total.value}.fetch_add(static_cast<std::uint64_t>(connections),
                                        std::memory_order_relaxed);
  else if (connections < 0)
    take_count(table_->total.value, static_cast<std::uint64_t>(-connections));
}

std::uint32_t LoadTable::slots() const noexcept {
  return table_->config.slot_count;
}

Policy LoadTable::policy() const noexcept {
  return static_cast<Policy>(Half{table_->config.policy}.load(std::memory_order_relaxed));
}

SlotSnapshot LoadTable::snapshot(std::uint32_t slot) const noexcept {
  assert(slot < WEIR_SLOTS_MAX);
  SlotSnapshot out;
  // The row first, then the key, then assigned: the order that the reconciler asks for.
  constexpr std::size_t kWords = sizeof(weir_row) / sizeof(__u64);
  std::array<__u64, kWords> words{};
  auto* const row = reinterpret_cast<__u64*>(&table_->row[slot]);  // all members are __u64
  for (std::size_t i = 0; i < kWords; ++i) words[i] = Word{row[i]}.load(std::memory_order_acquire);
  std::memcpy(&out.row, words.data(), sizeof out.row);

  const __u64 key = Word{table_->key[slot]}.load(std::memory_order_acquire);
  const __u64 step = Word{table_->steered[slot].step}.load(std::memory_order_relaxed);
  out.assigned = Word{table_->steered[slot].assigned}.load(std::memory_order_relaxed);
  out.serving = (key & WEIR_KEY_OUT) == 0;
  out.hung = (key & WEIR_KEY_HUNG) != 0;
  out.load = (key & WEIR_KEY_LOAD_MASK) / step;
  out.weight = weight_of(step);
  return out;
}

std::uint64_t LoadTable::total() const noexcept {
  const auto signed_total =
      static_cast<std::int64_t>(Word{table_->total.value}.load(std::memory_order_relaxed));
  return signed_total < 0 ? 0 : static_cast<std::uint64_t>(signed_total);
}

weir_program_counters LoadTable::program_counters() const noexcept {
  weir_program_counters sum{};
  const auto add = [](__u64& to, __u64& from) { to += Word{from}.load(std::memory_order_relaxed); };
  for (weir_program_counters& cpu : table_->cpu) {
    add(sum.syns, cpu.syns);
    add(sum.refused, cpu.refused);
    add(sum.abstained, cpu.abstained);
    add(sum.fallback, cpu.fallback);
    add(sum.select_failed, cpu.select_failed);
    add(sum.migrated, cpu.migrated);
    add(sum.hung_marked, cpu.hung_marked);
    add(sum.too_many, cpu.too_many);
    add(sum.too_fast, cpu.too_fast);
  }
  return sum;
}

}  // namespace weir::steering
