// CbpfSteerer: the backend cbpf, which steers by a classic BPF program (SO_ATTACH_REUSEPORT_CBPF,
// Linux 4.5) and needs no privilege for it. Has the program follow the load table: looks, decides
// whether that calls for another one, attaches it. Owns no socket and no table.
//
// The program names a socket by its index in the group. The kernel's order (net/core/
// sock_reuseport.c): a socket is appended when it begins to listen; when one is closed or shut
// down, the last one takes its place; net.ipv4.tcp_migrate_req makes no difference to that. A
// program that is attached through any of the sockets serves the whole group, and stays while the
// group does. Listeners begin to listen in the order of their slots, and only the last slots ever
// go, all of them before others come: so the index is the slot, also after an upgrade or in the
// hands of another master. While the last slots go, those of them that are left may be in any
// order; they are out of service, and not named.
//
// A program is replaced at once where a slot comes into service or goes out of it, and else when
// the shares have moved enough (cbpf_shares.h). That is seldom for a reason of its own: kernels
// before 7.1, and those of the long-term series from before June 2026, free the replaced program
// while another CPU may still run it (CVE-2026-52910).
//
// What it cannot do: it counts no connection and refuses none, so the workers do, as with the
// backend none. A hung worker is passed over when the master notices, not by itself. When the
// master dies, the shares stay as they were.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "cbpf_program.h"
#include "cbpf_shares.h"
#include "weir/base/clock.h"
#include "weir/base/result.h"
#include "weir/steering/load_table.h"
#include "weir/steering/policy.h"

namespace weir::steering {

/// Whether this host lets a program for so many slots be attached: tried, on a socket of its own.
[[nodiscard]] Result<void> probe_cbpf(std::uint32_t slots);

/// Fails for a policy that a classic program cannot follow, naming those that it can.
[[nodiscard]] Result<void> can_cbpf(Policy policy);

class CbpfSteerer {
 public:
  /// By listen address, any listener of its group; borrowed for the call.
  using Groups = std::span<const int>;
  /// How many connections wait in the accept queues of a slot.
  using Queued = std::function<std::uint64_t(std::uint32_t slot)>;

  /// Looks at the table, with workers that hang marked there, and attaches what follows from it to
  /// all groups, if that differs enough from what is attached. Fails where the kernel refuses;
  /// it is tried again at the next call.
  [[nodiscard]] Result<void> follow(Instant now, LoadTable& table, const Queued& queued,
                                    Groups groups);

  /// Only the first `slots` get new connections, and are hashed to, from the next look on.
  void keep_to_first(std::uint32_t slots) noexcept { open_ = slots; }
  [[nodiscard]] std::uint32_t kept_to_first() const noexcept { return open_; }
  /// Somebody else may have attached programs: the next look attaches one.
  void forget() noexcept { attached_.reset(); }

  /// Programs attached so far, one a group.
  [[nodiscard]] std::uint64_t attached() const noexcept { return count_; }

 private:
  struct Attached {
    Policy policy;
    std::vector<double> shares;    // of a policy that goes by load
    std::vector<bool> in_service;  // of a hash
  };

  void read(LoadTable& table, const Queued& queued, Instant now);
  [[nodiscard]] std::optional<Attached> wanted(Policy policy, Instant now);
  [[nodiscard]] Result<void> attach(const Attached& wanted, const LoadTable& table, Groups groups);

  CbpfShares shares_;
  std::vector<ShareReading> readings_;
  std::optional<Attached> attached_;
  std::uint32_t open_ = UINT32_MAX;
  std::uint64_t count_ = 0;
};

}  // namespace weir::steering
