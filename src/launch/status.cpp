#include "status.h"

#include <unistd.h>

#include <array>

#include "weir/cli/options.h"
#include "weir/steering/policy.h"

namespace weir::launch {
namespace {

admin::WorkerStatus worker_status(const process::Master& master, std::uint32_t slot) {
  const process::WorkerView view = master.view(slot);
  const steering::SlotSnapshot snapshot = master.steering().table().snapshot(slot);
  const bool hung = snapshot.hung && view.state == process::WorkerState::serving;
  // Without a program that counts, what was accepted is what was assigned.
  const bool steered = master.steering().backend() == steering::Backend::ebpf;
  return {.slot = slot,
          .pid = view.pid,
          .cpu = view.cpu,
          .state = hung ? "hung" : std::string{to_string(view.state)},
          .weight = snapshot.weight,
          .connections = snapshot.row.open,
          .queued = view.queued,
          .load = snapshot.load,
          .assigned = steered ? snapshot.assigned : snapshot.row.accepted + view.queued,
          .accepted = snapshot.row.accepted,
          .messages_in = snapshot.row.messages_in,
          .messages_out = snapshot.row.messages_out,
          .bytes_in = snapshot.row.bytes_in,
          .bytes_out = snapshot.row.bytes_out,
          .arrived = snapshot.row.arrived,
          .left = snapshot.row.left,
          .busy = view.busy};
}

/// What else is counted, over all workers, as it is called in the status.
struct RowCounter {
  std::string_view name;
  __u64 weir_row::*member;
};
constexpr std::array kRowCounters{
    RowCounter{"upgraded", &weir_row::upgraded},
    RowCounter{"rejected", &weir_row::rejected},
    RowCounter{"handshake_timeouts", &weir_row::handshake_timeouts},
    RowCounter{"idle_timeouts", &weir_row::idle_timeouts},
    RowCounter{"protocol_errors", &weir_row::protocol_errors},
    RowCounter{"too_big", &weir_row::too_big},
    RowCounter{"too_chatty", &weir_row::too_chatty},
    RowCounter{"overloaded", &weir_row::overloaded},
    RowCounter{"dropped", &weir_row::dropped},
    RowCounter{"over_max_connections", &weir_row::refused},
    RowCounter{"clients_too_many", &weir_row::clients_too_many},
    RowCounter{"clients_too_fast", &weir_row::clients_too_fast},
    RowCounter{"clients_untracked", &weir_row::clients_untracked},
    RowCounter{"proxy_refused", &weir_row::proxy_refused},
    RowCounter{"tls_established", &weir_row::tls_established},
    RowCounter{"tls_resumed", &weir_row::tls_resumed},
    RowCounter{"tls_failed", &weir_row::tls_failed},
    RowCounter{"compressed_in", &weir_row::compressed_in},
    RowCounter{"compressed_out", &weir_row::compressed_out},
    RowCounter{"hash_moved", &weir_row::hash_moved},
    RowCounter{"hash_stayed", &weir_row::hash_stayed},
    RowCounter{"hash_tls", &weir_row::hash_tls},
    RowCounter{"hash_no_key", &weir_row::hash_no_key},
    RowCounter{"io_uring_enters", &weir_row::enters},
};

/// The same of the steering program: what it answered on the SYN.
struct ProgramCounter {
  std::string_view name;
  __u64 weir_program_counters::*member;
};
constexpr std::array kProgramCounters{
    ProgramCounter{"syns", &weir_program_counters::syns},
    ProgramCounter{"syns_over_max_connections", &weir_program_counters::refused},
    ProgramCounter{"syns_clients_too_many", &weir_program_counters::too_many},
    ProgramCounter{"syns_clients_too_fast", &weir_program_counters::too_fast},
    ProgramCounter{"syns_abstained", &weir_program_counters::abstained},
    ProgramCounter{"syns_fallback", &weir_program_counters::fallback},
    ProgramCounter{"hung_marked", &weir_program_counters::hung_marked},
};

admin::Counters counters_of(const steering::Steering& steering) {
  const steering::LoadTable& table = steering.table();
  admin::Counters counters;
  for (const RowCounter& counter : kRowCounters)
    counters.push_back({.name = std::string{counter.name}});
  // Also of slots that are no more: what their workers counted stays counted.
  for (std::uint32_t slot = 0; slot < WEIR_SLOTS_MAX; ++slot) {
    const weir_row row = table.snapshot(slot).row;
    for (std::size_t i = 0; i < kRowCounters.size(); ++i)
      counters[i].value += row.*kRowCounters[i].member;
  }
  const weir_program_counters program = table.program_counters();
  for (const ProgramCounter& counter : kProgramCounters)
    counters.push_back({.name = std::string{counter.name}, .value = program.*counter.member});
  counters.push_back({.name = "programs_attached", .value = steering.programs_attached()});
  return counters;
}

}  // namespace

std::vector<std::string> listen_names(const Plan& plan, const process::Master& master) {
  std::vector<std::string> names;
  const std::vector<SocketAddress>& addresses = master.listeners().addresses();
  for (std::size_t i = 0; i < addresses.size(); ++i)
    names.push_back(cli::Listen{.address = addresses[i],
                                .proxy = plan.worker.doors[i].proxy,
                                .tls = plan.worker.doors[i].tls}
                        .to_string());
  return names;
}

admin::Status status_of(const Plan& plan, const process::Master& master) {
  const steering::Steering& steering = master.steering();
  const bool by_key = steering.table().policy() == steering::Policy::uri_hash;
  admin::Status status{.master_pid = ::getpid(),
                       .version = std::string{cli::version()},
                       .policy = std::string{steering.policy_in_force()},
                       .hash_on = {},
                       .backend = std::string{to_string(steering.backend())},
                       .listen = listen_names(plan, master),
                       .counters = counters_of(steering),
                       .workers = {}};
  if (by_key) status.hash_on = to_string(plan.worker.rules.sessions.upgrade.hash_on);
  for (std::uint32_t slot = 0; slot < master.workers(); ++slot) {
    status.workers.push_back(worker_status(master, slot));
    status.connections += status.workers.back().connections;
  }
  status.imbalance = admin::imbalance(status.workers);
  if (const auto error = steering.forecast_error()) {
    status.forecast_error = error->of_model;
    status.forecast_error_of_connections = error->of_connections;
  }
  return status;
}

}  // namespace weir::launch
