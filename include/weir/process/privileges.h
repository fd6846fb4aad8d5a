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
/// can never get one back (no_new_privs). To be called once the ring is made, and before a byte of
/// a peer's is read: a ring made with CAP_IPC_LOCK is never charged against the limit on locked
/// memory.
[[nodiscard]] Result<void> become_worker(const std::optional<Identity>& identity);

/// For the master, once it listens and steers: keeps only what it needs to start further workers,
/// which is CAP_IPC_LOCK for their rings, where they run as another `identity`, the right to become
/// and to end them, and where `low_ports` are listened on, below 1024, to listen on them again for
/// more workers.
[[nodiscard]] Result<void> reduce_master(const std::optional<Identity>& identity, bool low_ports);

/// Raises the limit on locked memory as far as this process may. From Linux 6.14 on, the rings of
/// all workers of one user are charged against it together, unless CAP_IPC_LOCK exempts them; the
/// usual 8 MiB end at some fifty workers.
void raise_locked_memory_limit() noexcept;

}  // namespace weir::process
