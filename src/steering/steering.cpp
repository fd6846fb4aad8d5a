#include "weir/steering/steering.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <string>
#include <utility>
#include <vector>

#include "program.h"
#include "reconcile.h"

namespace weir::steering {
namespace {

/// How many connections wait in a listener's accept queue; 0 if it does not say.
std::uint64_t accept_queue(int listener) noexcept {
  tcp_info info{};
  socklen_t length = sizeof info;
  if (::getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return 0;
  return info.tcpi_unacked;  // of a listening socket: the queue's length
}

/// One program per address, all of them over the maps of the first.
Result<std::vector<Program>> load_programs(const SteeringOptions& options,
                                           std::uint32_t client_sets) {
  std::vector<Program> programs;
  programs.reserve(options.addresses);  // the first stays where the others look for it
  for (std::size_t i = 0; i < options.addresses; ++i) {
    auto program =
        Program::load({.behind_proxy = i < options.behind_proxy.size() && options.behind_proxy[i],
                       .client_sets = client_sets,
                       .shares = programs.empty() ? nullptr : &programs.front()});
    if (!program) return program.error();
    programs.push_back(std::move(*program));
  }
  return programs;
}

}  // namespace

struct Steering::State {
  LoadTable table;
  ClientTable clients;
  std::vector<Program> programs;            // by address; empty with backend none
  std::string fallback_reason;              // empty: did not fall back
  std::vector<std::vector<int>> listeners;  // by address, then slot; borrowed
  std::vector<SlotReconciler> slots;
  Lasting total_drift;
};

Result<Steering> Steering::create(const SteeringOptions& options) {
  if (const auto valid = validate(options.table); !valid) return valid.error();
  if (options.addresses == 0) return Error{"no listen address to steer", ""};
  if (options.backend == BackendChoice::cbpf)
    return Error{"the steering backend cbpf is not in this version",
                 "use --steer-backend auto, ebpf or none"};

  const std::uint32_t sets = client_sets_for(options.table.clients, options.table.max_connections);
  std::vector<Program> programs;
  std::string fallback_reason;
  if (options.backend != BackendChoice::none) {
    auto loaded = load_programs(options, sets);
    if (loaded)
      programs = std::move(*loaded);
    else if (options.backend == BackendChoice::ebpf)
      return loaded.error();
    else
      fallback_reason = to_string(loaded.error());
  }

  auto table = programs.empty() ? LoadTable::in_shared_memory()
                                : LoadTable::over_map(programs.front().table_map());
  if (!table) return table.error();
  TableOptions configured = options.table;
  configured.client_sets = sets;
  table->configure(configured);
  auto clients = programs.empty()
                     ? ClientTable::in_shared_memory(sets, options.table.slots, options.places)
                     : ClientTable::over_map(programs.front().clients_map(), sets,
                                             options.table.slots, options.places);
  if (!clients) return clients.error();
  return Steering{
      std::make_unique<State>(State{.table = std::move(*table),
                                    .clients = std::move(*clients),
                                    .programs = std::move(programs),
                                    .fallback_reason = std::move(fallback_reason),
                                    .listeners = std::vector<std::vector<int>>(options.addresses),
                                    .slots = std::vector<SlotReconciler>(options.table.slots),
                                    .total_drift = {}})};
}

Steering::Steering(std::unique_ptr<State> state) noexcept : state_{std::move(state)} {}
Steering::Steering(Steering&&) noexcept = default;
Steering& Steering::operator=(Steering&&) noexcept = default;
Steering::~Steering() = default;

Backend Steering::backend() const noexcept {
  return state_->programs.empty() ? Backend::none : Backend::ebpf;
}

std::string_view Steering::fallback_reason() const noexcept {
  return state_->fallback_reason;
}

LoadTable& Steering::table() noexcept {
  return state_->table;
}
const LoadTable& Steering::table() const noexcept {
  return state_->table;
}
ClientTable& Steering::clients() noexcept {
  return state_->clients;
}

WorkerSlot::Counting Steering::counting() const noexcept {
  return backend() == Backend::ebpf ? WorkerSlot::Counting::by_program
                                    : WorkerSlot::Counting::by_worker;
}

Result<void> Steering::attach(std::size_t address, std::span<const int> listeners) {
  if (address >= state_->listeners.size() || listeners.size() != state_->slots.size())
    return Error{fmt::format("{} listeners for {} slots at address {} of {}", listeners.size(),
                             state_->slots.size(), address, state_->listeners.size()),
                 ""};
  state_->listeners[address].assign(listeners.begin(), listeners.end());
  if (backend() == Backend::none) return {};

  // The array is filled before the program runs: its first SYN finds every listener.
  Program& program = state_->programs[address];
  for (std::uint32_t slot = 0; slot < listeners.size(); ++slot)
    if (auto set = program.set_listener(slot, listeners[slot]); !set) return set.error();
  return program.attach(listeners.front());
}

std::uint64_t Steering::queued(std::uint32_t slot) const noexcept {
  std::uint64_t connections = 0;
  for (const std::vector<int>& address : state_->listeners)
    if (slot < address.size()) connections += accept_queue(address[slot]);
  return connections;
}

void Steering::reconcile(Instant now) {
  if (backend() == Backend::none) return;
  LoadTable& table = state_->table;
  std::uint64_t counted = 0;
  for (std::uint32_t slot = 0; slot < state_->slots.size(); ++slot) {
    // In the order that SlotReading asks for; snapshot() reads the row, the key, assigned.
    const std::uint64_t waiting = queued(slot);
    const SlotSnapshot seen = table.snapshot(slot);
    const SlotReading reading{
        .queued = waiting, .open = seen.row.open, .load = seen.load, .assigned = seen.assigned};
    const std::int64_t correction = state_->slots[slot].observe(now, reading);
    table.correct_slot(slot, correction);
    counted += static_cast<std::uint64_t>(static_cast<std::int64_t>(reading.load) + correction);
  }
  // The total is the sum of the slots, save for what is between the two words; a migrated
  // connection is in two slots until the closed one's is taken back, from the total as well.
  const auto drift = static_cast<std::int64_t>(table.total() - counted);
  table.correct_total(-state_->total_drift.observe(drift));
}

Result<void> probe_ebpf() {
  const auto program = Program::load({});
  if (!program) return program.error();
  return {};
}

}  // namespace weir::steering
