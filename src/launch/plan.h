// Plan: what the flags come to on this host. Made before anything is opened or forked, so that
// --check and a real start judge by the same rules.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "weir/base/result.h"
#include "weir/cli/options.h"
#include "weir/process/master.h"
#include "weir/server/worker.h"
#include "weir/tls/vault.h"

namespace weir::launch {

struct Plan {
  process::MasterOptions master;
  server::WorkerOptions worker;
  std::vector<tls::CredentialFiles> tls_files;  // empty: no listen address has TLS
  Duration tls_ticket_rotation{};
  cli::App app = cli::App::echo;
  std::uint64_t descriptors = 0;      // the limit of each process
  std::uint64_t max_connections = 0;  // over all workers; never 0
};

/// What a worker keeps for itself beside its listeners and sessions: standard streams, ring,
/// signals, log, and room for what libraries open for a moment.
inline constexpr std::uint64_t kDescriptorsReserved = 32;

/// The connections that `workers` can hold with `descriptors` each and `addresses` listen
/// addresses, of each of which every worker holds every worker's listener. 0 where the limit is too
/// low to serve at all.
[[nodiscard]] std::uint64_t connection_capacity(std::uint64_t descriptors, std::uint32_t workers,
                                                std::size_t addresses) noexcept;

/// What the flags come to with so many descriptors a process. Asks nothing of the host and changes
/// nothing, so that a reload can ask again; nobody is named to run as. Fails where the descriptors
/// cannot carry what the flags ask for.
[[nodiscard]] Result<Plan> work_out(const cli::Options& options, const cli::Host& host,
                                    std::uint64_t descriptors);

/// What so many workers come to under these flags: their CPUs, and the connections that they can
/// hold, which is what --max-connections says where it was given. Fails where `descriptors` a
/// process, or the CPUs of --pin, are too few.
[[nodiscard]] Result<process::Staffing> staffing_for(const cli::Options& options,
                                                     const cli::Host& host,
                                                     std::uint64_t descriptors,
                                                     std::uint32_t workers);

/// Raises the limits on descriptors and locked memory and works out the rest. Fails where the host
/// cannot carry what the flags ask for.
[[nodiscard]] Result<Plan> make_plan(const cli::Options& options);

}  // namespace weir::launch
