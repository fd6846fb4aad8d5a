#include "status.h"

#include <unistd.h>

#include "weir/cli/options.h"
#include "weir/steering/policy.h"

namespace weir::launch {
namespace {

admin::WorkerStatus worker_status(const process::Master& master, std::uint32_t slot) {
  const process::WorkerView view = master.view(slot);
  const steering::SlotSnapshot snapshot = master.steering().table().snapshot(slot);
  const bool hung = snapshot.hung && view.state == process::WorkerState::serving;
  // Without a program nobody steers: what was accepted is what the kernel's hash assigned.
  const bool steered = master.steering().backend() != steering::Backend::none;
  return {.slot = slot,
          .pid = view.pid,
          .cpu = view.cpu,
          .state = hung ? "hung" : std::string{to_string(view.state)},
          .connections = snapshot.row.open,
          .queued = view.queued,
          .assigned = steered ? snapshot.assigned : snapshot.row.accepted + view.queued,
          .accepted = snapshot.row.accepted,
          .messages_in = snapshot.row.messages_in,
          .messages_out = snapshot.row.messages_out,
          .bytes_in = snapshot.row.bytes_in,
          .bytes_out = snapshot.row.bytes_out,
          .busy = view.busy};
}

}  // namespace

admin::Status status_of(const process::Master& master) {
  const steering::Steering& steering = master.steering();
  admin::Status status{.master_pid = ::getpid(),
                       .version = std::string{cli::version()},
                       .policy = std::string{to_string(steering.table().policy())},
                       .backend = std::string{to_string(steering.backend())},
                       .listen = {},
                       .workers = {}};
  for (const SocketAddress& address : master.listeners().addresses())
    status.listen.push_back(address.to_string());
  for (std::uint32_t slot = 0; slot < master.workers(); ++slot) {
    status.workers.push_back(worker_status(master, slot));
    status.connections += status.workers.back().connections;
  }
  status.imbalance = admin::imbalance(status.workers);
  return status;
}

}  // namespace weir::launch
