// Sockets which the service manager passed, or had stored for weir.
#pragma once

#include <cstdint>
#include <vector>

#include "weir/base/result.h"
#include "weir/cli/options.h"
#include "weir/process/listeners.h"
#include "weir/process/passed_sockets.h"

namespace weir::launch {

/// Sockets of one address are the listeners of as many workers. What their connections begin with
/// is in their name: plain, tls, proxy or tls-proxy; without a name of its own (systemd then takes
/// the unit's) a socket is plain. Fails on another name, or two for one address.
[[nodiscard]] Result<std::vector<cli::Listen>> listens_of(
    const std::vector<process::PassedSocket>& sockets);

/// Has those of `listens` listen on `stored` ones of their address, as far as there are slots for
/// them; closes the others.
void use_stored(std::vector<process::ListenOn>& listens, std::uint32_t workers,
                const std::vector<process::PassedSocket>& stored);

}  // namespace weir::launch
