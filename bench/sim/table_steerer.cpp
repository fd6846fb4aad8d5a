#include "table_steerer.h"

#include <stdexcept>
#include <utility>

#include "weir/steering/pick.h"

namespace weir::sim {
namespace {

using steering::Policy;

/// Past any end of a simulation: an idle worker wakes itself often enough never to look hung.
constexpr Nanoseconds kAsleep = Nanoseconds{1} << 61;
/// The table's clock must not read 0, which says that no worker was there yet.
constexpr Nanoseconds kBegan = kSecond;

Instant instant(Nanoseconds at) noexcept {
  return Instant{Duration{static_cast<Duration::rep>(at)}};
}

steering::LoadTable make_table() {
  auto table = steering::LoadTable::in_shared_memory();
  if (!table) throw std::runtime_error(to_string(table.error()));
  return std::move(*table);
}

}  // namespace

TableSteerer::TableSteerer(Policy policy, const SteererOptions& options)
    : policy_{policy}, table_{make_table()}, score_{options.score} {
  // The workers are bound to the CPUs whose SYNs the network card hands out by the same hash.
  std::vector<int> cpus;
  for (std::uint32_t slot = 0; slot < options.workers; ++slot)
    cpus.push_back(static_cast<int>(slot));
  table_.configure({.slots = options.workers,
                    .policy = policy,
                    .weights = {},
                    .hang_threshold = options.hang_threshold,
                    .cpus = cpus});
  // Drawn anew for each table otherwise, and a seed would not be one run.
  table_.raw().config.hash_key[0] = 0x5eed;
  table_.raw().config.hash_key[1] = 0x5eed;
  for (std::uint32_t slot = 0; slot < options.workers; ++slot) {
    slots_.emplace_back(table_.raw(), slot, steering::WorkerSlot::Counting::by_program);
    slots_.back().woke(instant(kAsleep));
    table_.mark_serving(slot);
  }
}

std::uint32_t TableSteerer::pick(Nanoseconds now, const Session& session) {
  weir_syn syn{};
  syn.now_ns = now + kBegan;
  syn.hash = session.hash;
  syn.cpu = weir_range(session.hash, table_.slots());
  syn.has_address = 1;
  syn.address[0] = session.client;
  syn.port = static_cast<std::uint16_t>(session.hash);
  const int slot = weir_steer(&table_.raw(), &syn);
  // With none in service the kernel's hash would place it.
  return slot >= 0 ? static_cast<std::uint32_t>(slot) : weir_range(session.hash, table_.slots());
}

void TableSteerer::woke(std::uint32_t worker, Nanoseconds now, std::uint32_t completions,
                        Nanoseconds) {
  slots_[worker].woke(instant(now + kBegan));
  slots_[worker].found(completions);
}

void TableSteerer::turned(const TurnReport& report) {
  steering::WorkerSlot& slot = slots_[report.worker];
  for (std::uint32_t i = 0; i < report.accepted; ++i) (void)slot.accepted();  // counted by program
  for (std::uint32_t i = 0; i < report.closed; ++i) slot.ended();
  weir_row& row = slot.row();
  row.busy_ns += report.busy;
  row.loops += 1;
  slot.found(0);
  row.messages_in += report.messages;
  row.bytes_in += report.bytes;
  if (report.sleeps) slot.woke(instant(kAsleep));
}

void TableSteerer::tick(Nanoseconds now) {
  if (!is_scored(policy_)) return;
  readings_.clear();
  const Instant at = instant(now + kBegan);
  for (std::uint32_t slot = 0; slot < table_.slots(); ++slot) {
    weir_row& row = slots_[slot].row();
    if (row.awake_at_ns == to_ns(instant(kAsleep))) row.loops += 1;  // it has woken itself since
    readings_.push_back(steering::reading_of(table_.snapshot(slot), at));
  }
  table_.publish_biases(at, score_.observe(at, readings_, policy_));
}

void TableSteerer::crashed(std::uint32_t worker, std::uint32_t queued) {
  table_.mark_down(worker);
  table_.restart_slot(worker, queued);
}

void TableSteerer::restarted(std::uint32_t worker, Nanoseconds) {
  slots_[worker].woke(instant(kAsleep));
  table_.mark_serving(worker);
}

}  // namespace weir::sim
