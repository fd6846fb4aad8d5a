// Keeper: a process that holds the estate, beside the workers, and does nothing until the master
// has died. Then it answers at the control socket: whoever asks is told that there is no master,
// and one that is to take over (weir --takeover) gets the estate. So neither the listeners with
// what waits in them, nor the way to the running workers, goes with the master; and no worker holds
// more than it serves with.
//
// It gives all privileges up at its start. It ends once a new master is in charge, or once no
// worker has been alive for half a minute: listeners that nobody accepts from are better closed.
#pragma once

#include <optional>
#include <string>

#include "weir/base/clock.h"
#include "weir/base/unique_fd.h"
#include "weir/process/estate.h"
#include "weir/process/privileges.h"
#include "weir/steering/load_table.h"

namespace weir::process {

/// What the keeper is made with; descriptors are the process's, open until it ends.
struct KeeperSeat {
  EstateTerms terms;
  EstateItems items;
  int control = -1;   // of the items: the control socket
  int lifeline = -1;  // the reading end of a pipe of which the master alone has the other
  const steering::LoadTable* table = nullptr;
  std::optional<Identity> identity;
};

/// What it asks, and is asked, at the control socket.
inline constexpr std::string_view kTakeoverCommand = R"({"command":"takeover"})";
/// What the new master says once it is in charge.
inline constexpr std::string_view kTakenOver = "taken over";

/// The keeper's life, in a fork of its own. Returns when it is to end.
void keep(const KeeperSeat& seat);

}  // namespace weir::process
