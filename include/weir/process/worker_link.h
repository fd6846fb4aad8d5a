// What a forked worker holds of its master: its seat (slot, listeners, load table) and a pipe on
// which it says once that it is ready, or why it cannot be. The pipe stays: once nobody reads at
// its other end, the master has died.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "weir/base/result.h"
#include "weir/base/unique_fd.h"
#include "weir/process/privileges.h"
#include "weir/steering/load_table.h"
#include "weir/steering/worker_slot.h"

namespace weir::process {

/// The worker's end of the pipe. The master reads one line: empty for ready, else an error. An end
/// without a line means that the worker died first.
class WorkerLink {
 public:
  /// Takes the write end.
  explicit WorkerLink(UniqueFd fd) noexcept : fd_{std::move(fd)} {}

  /// This worker would serve at once: the slot, as soon as it is its, may be steered to.
  void ready() noexcept;
  /// This worker cannot serve, and exits next.
  void failed(const Error& error) noexcept;

  /// Has POLLERR once the master has died. Lent.
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

 private:
  UniqueFd fd_;
};

/// What one worker serves. The descriptors and the tables are the process's, open and mapped until
/// it exits.
struct WorkerSeat {
  std::uint32_t slot = 0;
  /// Those of every slot, each slot's by listen address: a worker covers for a neighbour that
  /// hangs.
  std::vector<std::vector<int>> listeners;
  int inbox = -1;            // the slot's own, to read from
  std::vector<int> inboxes;  // of every slot, to post to
  steering::LoadTable* table = nullptr;
  steering::ClientTable* clients = nullptr;
  std::uint32_t bank = 0;  // of the slot's notes on clients, which are this worker's
  steering::WorkerSlot::Counting counting = steering::WorkerSlot::Counting::by_program;
  std::optional<Identity> identity;  // to become, once the ring is made (become_worker)
  WorkerLink link;
};

}  // namespace weir::process
