// Privileges: who a process is and what it may do, given up step by step. Nothing is ever gained.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "weir/base/result.h"

namespace weir::process {

struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
};

/// Looks up `user` and `group`, each a name or a number. An empty group is the user's own; an
/// empty user keeps the current one. Nothing where both are empty. Fails where the name is not
/// known, or this process may not become it.
[[nodiscard]] Result<std::optional<Identity>> find_identity(const std::string& user,
                                                            const std::string& group);

/// For a worker, which serves hostile bytes: becomes `identity`, keeps no capability at all, and
/// can never get one back (no_new_privs).
[[nodiscard]] Result<void> become_worker(const std::optional<Identity>& identity);

/// For the master, once it listens and steers: keeps only what it needs to start further workers
/// as `identity`, which is nothing where they run as itself.
[[nodiscard]] Result<void> reduce_master(const std::optional<Identity>& identity);

/// The descriptor limit, raised first to the most that this process may have.
[[nodiscard]] std::uint64_t raise_descriptor_limit() noexcept;

}  // namespace weir::process
