// The master's part towards the service manager: what it is told, and what it holds for weir.
#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "master_worker.h"
#include "weir/base/log.h"
#include "weir/process/master.h"
#include "weir/process/passed_sockets.h"

namespace weir::process {

ServiceState Master::service_state(Instant now) {
  ServiceState state{.ready = ready_once_, .stopping = stopping_, .workers = options_.workers};
  const auto threshold = static_cast<std::uint64_t>(options_.steering.table.hang_threshold.count());
  for (std::uint32_t slot = 0; slot < options_.workers; ++slot) {
    const weir_row row = steering_.table().snapshot(slot).row;
    state.connections += row.open;
    if (workers_[slot]->state != WorkerState::serving) continue;
    ++state.serving;
    if (!weir_overslept(to_ns(now), row.awake_at_ns, threshold)) state.sound = true;
  }
  return state;
}

void Master::tell_manager() {
  if (!manager_ || !in_charge_ || succeeded_) return;
  if (!to_store_.empty()) store_more();
  const Instant now = monotonic_now();
  const std::string due = report_.due(service_state(now), now);
  if (due.empty()) return;
  if (manager_->send(due)) report_.sent();  // or it is due again at the next tick
}

/// Has the service manager hold the listeners as they are now.
void Master::store_listeners() {
  if (!manager_) return;
  to_store_ = {-1};
  for (std::size_t a = 0; a < listeners_.addresses().size(); ++a)
    for (const int fd : listeners_.of_address(a))
      if (fd >= 0) to_store_.push_back(fd);
  store_more();
}

/// As many as it takes at once; the others at the next tick.
void Master::store_more() {
  std::size_t sent = 0;
  for (; sent < to_store_.size(); ++sent) {
    const int fd = to_store_[sent];
    const std::string what =
        fmt::format("{}=1\nFDNAME={}\n{}", fd < 0 ? "FDSTOREREMOVE" : "FDSTORE", kStoredListener,
                    fd < 0 ? "" : "FDPOLL=0\n");
    if (!manager_->send(what, fd) && errno != EBADF) break;  // closed since: its slot has gone
  }
  to_store_.erase(to_store_.begin(), to_store_.begin() + static_cast<std::ptrdiff_t>(sent));
}

void Master::send_to_manager(std::string_view assignments) {
  if (manager_ && !manager_->send(assignments))
    spdlog::warn("the service manager does not take what it is told: {}", std::strerror(errno));
}

}  // namespace weir::process
