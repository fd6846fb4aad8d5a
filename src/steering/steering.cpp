#include "weir/steering/steering.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <string>
#include <utility>
#include <vector>

#include "cbpf_steerer.h"
#include "kernel_hash.h"
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

/// What steers, and why nothing better does.
struct Steerer {
  Backend backend = Backend::none;
  std::vector<Program> programs{};  // by address; empty without eBPF
  std::string fallback_reason{};    // empty: did not fall back
};

/// Where there is no eBPF. `why_not_ebpf`: empty if it was not asked for.
Result<Steerer> make_do(const SteeringOptions& options, std::string why_not_ebpf) {
  if (options.backend == BackendChoice::none) return Steerer{};
  auto able = can_cbpf(options.table.policy);
  if (able) able = probe_cbpf(options.table.slots);
  if (able) return Steerer{.backend = Backend::cbpf, .fallback_reason = std::move(why_not_ebpf)};
  if (options.backend == BackendChoice::cbpf) return able.error();
  if (!why_not_ebpf.empty()) why_not_ebpf += "; and ";
  return Steerer{.fallback_reason = why_not_ebpf + to_string(able.error())};
}

Result<Steerer> find_steerer(const SteeringOptions& options, std::uint32_t client_sets) {
  if (options.backend == BackendChoice::none || options.backend == BackendChoice::cbpf)
    return make_do(options, {});
  auto loaded = load_programs(options, client_sets);
  if (loaded) return Steerer{.backend = Backend::ebpf, .programs = std::move(*loaded)};
  if (options.backend == BackendChoice::ebpf) return loaded.error();
  return make_do(options, to_string(loaded.error()));
}

}  // namespace

struct Steering::State {
  State(const SteeringOptions& options, LoadTable the_table, ClientTable the_clients, UniqueFd file,
        Steerer steerer)
      : table{std::move(the_table)},
        clients{std::move(the_clients)},
        table_file{std::move(file)},
        backend{steerer.backend},
        programs{std::move(steerer.programs)},
        attached(options.addresses),
        fallback_reason{std::move(steerer.fallback_reason)},
        listeners(options.addresses),
        slots(options.table.slots),
        max_connections{options.table.max_connections},
        score{options.score} {}

  LoadTable table;
  ClientTable clients;
  UniqueFd table_file;  // without eBPF
  Backend backend;
  std::vector<Program> programs;            // by address; empty without eBPF
  CbpfSteerer classic{};                    // with backend cbpf
  bool in_charge = true;                    // of what is attached; not before apply(), if inherited
  std::vector<bool> attached;               // by address: before this process had it
  std::string fallback_reason;              // empty: did not fall back
  std::vector<std::vector<int>> listeners;  // by address, then slot; borrowed
  std::vector<SlotReconciler> slots;
  std::uint64_t max_connections;  // over all slots; 0: any number
  Lasting total_drift;
  LoadScore score;
  std::optional<Policy> scored{};  // what the last score was for; nothing: there was none
  std::vector<LoadReading> readings{};
};

Result<Steering> Steering::create(const SteeringOptions& options) {
  if (const auto valid = validate(options.table); !valid) return valid.error();
  if (options.addresses == 0) return Error{"no listen address to steer", ""};

  const std::uint32_t sets = client_sets_for(options.table.clients, options.table.max_connections);
  auto steerer = find_steerer(options, sets);
  if (!steerer) return steerer.error();
  const std::vector<Program>& programs = steerer->programs;

  UniqueFd file;
  if (programs.empty()) {
    auto made = LoadTable::make_file();
    if (!made) return made.error();
    file = std::move(*made);
  }
  auto table = LoadTable::over_map(file ? file.get() : programs.front().table_map());
  if (!table) return table.error();
  TableOptions configured = options.table;
  configured.client_sets = sets;
  table->configure(configured);
  auto clients = programs.empty()
                     ? ClientTable::in_shared_memory(sets, options.table.slots, options.places)
                     : ClientTable::over_map(programs.front().clients_map(), sets,
                                             options.table.slots, options.places);
  if (!clients) return clients.error();
  return Steering{std::make_unique<State>(options, std::move(*table), std::move(*clients),
                                          std::move(file), std::move(*steerer))};
}

Result<Steering> Steering::inherit(const SteeringOptions& options,
                                   const SteeringDescriptors& descriptors) {
  UniqueFd table_fd{descriptors.table};
  UniqueFd clients_fd{descriptors.clients};
  UniqueFd notes{descriptors.notes};
  std::vector<Program::Parts> parts;
  const bool any = descriptors.steered;
  for (const SteeringDescriptors::OfAddress& address : descriptors.addresses) {
    parts.push_back({.program = UniqueFd{address.program},
                     .listeners = UniqueFd{address.listeners},
                     .table = {},
                     .clients = {}});
  }
  if (any != (options.backend == BackendChoice::ebpf) &&
      options.backend != BackendChoice::automatic)
    return Error{fmt::format("--steer-backend {} cannot be changed to by an upgrade",
                             to_string(options.backend)),
                 "restart weir to change it"};

  auto table = LoadTable::over_map(table_fd.get());
  if (!table) return table.error();
  const std::uint32_t sets = table->raw().admission.set_mask + 1;
  // Without eBPF before, there is none now: the listeners' connections are counted otherwise.
  auto steerer = any ? Result<Steerer>{Steerer{.backend = Backend::ebpf}} : make_do(options, {});
  if (!steerer) return steerer.error();
  std::vector<Program>& programs = steerer->programs;
  programs.reserve(parts.size());
  std::vector<bool> attached;
  for (std::size_t i = 0; any && i < parts.size(); ++i) {
    attached.push_back(static_cast<bool>(parts[i].program));
    parts[i].table = duplicate(table_fd.get());
    parts[i].clients = duplicate(clients_fd.get());
    if (attached.back()) {
      programs.emplace_back(std::move(parts[i]));
      continue;
    }
    const Program over{std::move(parts[i])};  // the maps to share
    auto program =
        Program::load({.behind_proxy = i < options.behind_proxy.size() && options.behind_proxy[i],
                       .client_sets = sets,
                       .shares = &over});
    if (!program) return program.error();
    programs.push_back(std::move(*program));
  }
  auto clients = ClientTable::inherit(std::move(clients_fd), std::move(notes), sets,
                                      options.table.slots, options.places);
  if (!clients) return clients.error();
  auto state = std::make_unique<State>(options, std::move(*table), std::move(*clients),
                                       std::move(table_fd), std::move(*steerer));
  if (any) state->attached = std::move(attached);
  state->in_charge = false;
  return Steering{std::move(state)};
}

SteeringDescriptors Steering::descriptors() const {
  const bool steered = !state_->programs.empty();
  SteeringDescriptors out{
      .table = steered ? state_->programs.front().table_map() : state_->table_file.get(),
      .clients = steered ? state_->programs.front().clients_map() : state_->clients.sets_fd(),
      .notes = state_->clients.notes_fd(),
      .steered = steered,
      .addresses = {}};
  for (const Program& program : state_->programs)
    out.addresses.push_back(
        {.program = program.fd(), .listeners = program.parts().listeners.get()});
  return out;
}

void Steering::apply(const TableOptions& options) {
  LoadTable& table = state_->table;
  table.set_policy(options.policy);
  set_max_connections(options.max_connections);
  table.set_hang_threshold(options.hang_threshold);
  table.set_client_limits(options.clients);
  table.set_weights(options.weights);
  table.set_cpus(options.cpus);
  state_->in_charge = true;
  if (backend() != Backend::none) return;
  for (const std::vector<int>& address : state_->listeners)
    steering::keep_to_all(address.front());  // a classic program that the weir before had attached
}

Steering::Steering(std::unique_ptr<State> state) noexcept : state_{std::move(state)} {}
Steering::Steering(Steering&&) noexcept = default;
Steering& Steering::operator=(Steering&&) noexcept = default;
Steering::~Steering() = default;

Backend Steering::backend() const noexcept {
  return state_->backend;
}

std::string_view Steering::fallback_reason() const noexcept {
  return state_->fallback_reason;
}

std::string_view Steering::policy_in_force() const noexcept {
  const Policy policy = state_->table.policy();
  const bool kernels =
      backend() == Backend::none && policy != Policy::uri_hash;  // the workers' own
  return kernels ? "kernel-hash" : to_string(policy);
}

Result<void> Steering::can(Policy policy) const {
  if (backend() == Backend::cbpf) return can_cbpf(policy);
  return {};
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

Result<void> Steering::attach(std::size_t address, std::span<const int> listeners,
                              std::span<const std::uint32_t> reopened) {
  if (address >= state_->listeners.size() || listeners.size() != state_->slots.size())
    return Error{fmt::format("{} listeners for {} slots at address {} of {}", listeners.size(),
                             state_->slots.size(), address, state_->listeners.size()),
                 ""};
  state_->listeners[address].assign(listeners.begin(), listeners.end());
  if (backend() != Backend::ebpf) {
    // Sockets that the service manager kept may have a program of an earlier run.
    if (state_->in_charge) steering::keep_to_all(listeners.front());
    return {};
  }

  Program& program = state_->programs[address];
  if (state_->attached[address]) {
    for (const std::uint32_t slot : reopened)
      if (auto set = program.set_listener(slot, listeners[slot]); !set) return set.error();
    return {};
  }
  // The array is filled before the program runs: its first SYN finds every listener.
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
  const bool at_syn = backend() == Backend::ebpf;
  LoadTable& table = state_->table;
  std::uint64_t counted = 0;
  for (std::uint32_t slot = 0; slot < state_->slots.size(); ++slot) {
    // In the order that SlotReading asks for; snapshot() reads the row, the key, assigned.
    const std::uint64_t waiting = at_syn ? queued(slot) : 0;
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

Result<void> Steering::add_listeners(std::size_t address, std::uint32_t first,
                                     std::span<const int> listeners) {
  if (backend() == Backend::ebpf)
    for (std::uint32_t i = 0; i < listeners.size(); ++i)
      if (auto set = state_->programs[address].set_listener(first + i, listeners[i]); !set)
        return set.error();
  std::vector<int>& of_address = state_->listeners[address];
  of_address.resize(first);
  of_address.insert(of_address.end(), listeners.begin(), listeners.end());
  return {};
}

void Steering::set_slots(std::uint32_t slots, std::span<const std::uint32_t> weights) {
  state_->table.set_slots(slots, weights);
  state_->score.set_room(state_->max_connections / slots);
  state_->slots.resize(slots);
  for (std::vector<int>& address : state_->listeners) address.resize(slots, -1);
}

void Steering::set_max_connections(std::uint64_t connections) noexcept {
  state_->table.set_max_connections(connections);
  state_->max_connections = connections;
  state_->score.set_room(connections / state_->table.slots());
}

void Steering::drop_listeners(std::uint32_t slot) noexcept {
  for (std::vector<int>& address : state_->listeners) address[slot] = -1;
}

Result<void> Steering::keep_to_first(std::uint32_t slots) {
  if (backend() == Backend::cbpf) {
    const std::uint32_t before = state_->classic.kept_to_first();
    state_->classic.keep_to_first(slots);
    auto followed = follow(monotonic_now());
    if (!followed) state_->classic.keep_to_first(before);
    return followed;
  }
  if (backend() == Backend::ebpf) return {};
  for (const std::vector<int>& address : state_->listeners)
    if (auto kept = steering::keep_to_first(address.front(), slots); !kept) return kept;
  return {};
}

Result<void> Steering::keep_to_all() {
  if (backend() == Backend::cbpf) return keep_to_first(UINT32_MAX);
  if (backend() == Backend::none)
    for (const std::vector<int>& address : state_->listeners)
      steering::keep_to_all(address.front());
  return {};
}

Result<void> Steering::follow(Instant now) {
  if (backend() != Backend::cbpf) return {};
  std::vector<int> groups;
  for (const std::vector<int>& address : state_->listeners) groups.push_back(address.front());
  return state_->classic.follow(
      now, state_->table, [this](std::uint32_t slot) { return queued(slot); }, groups);
}

void Steering::forget_attached() noexcept {
  state_->classic.forget();
}

std::uint64_t Steering::programs_attached() const noexcept {
  return state_->classic.attached();
}

void Steering::score(Instant now) {
  State& state = *state_;
  const Policy policy = state.table.policy();
  if (backend() != Backend::ebpf || !is_scored(policy)) {
    // What was measured before a pause says nothing of what comes after it.
    if (std::exchange(state.scored, std::nullopt)) state.score.reset();
    return;
  }
  state.scored = policy;
  state.readings.clear();
  for (std::uint32_t slot = 0; slot < state.table.slots(); ++slot)
    state.readings.push_back(reading_of(state.table.snapshot(slot), now));
  state.table.publish_biases(now, state.score.observe(now, state.readings, policy));
}

std::optional<ForecastError> Steering::forecast_error() const noexcept {
  if (state_->scored != Policy::predictive) return std::nullopt;
  return state_->score.forecast_error();
}

Result<void> probe_ebpf() {
  const auto program = Program::load({});
  if (!program) return program.error();
  return {};
}

}  // namespace weir::steering
