// Listeners: the listening sockets, one for each slot and listen address, made by the master
// before it forks and kept by it as long as there is the slot. So an accept queue outlives the
// worker that accepts from it. Every worker has all of them, to accept for others in need.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "weir/base/result.h"
#include "weir/base/socket_address.h"
#include "weir/base/unique_fd.h"
#include "weir/process/estate.h"

namespace weir::process {

/// A listen address, with those of its sockets that are there already: passed by the service
/// manager, listening, with SO_REUSEPORT. They are the first slots'.
struct ListenOn {
  SocketAddress address;
  std::vector<int> passed{};
  /// So many of them, the last, are weir's own, which the manager had only stored.
  std::size_t own = 0;
};

class Listeners {
 public:
  /// Binds and listens: `slots` sockets in one SO_REUSEPORT group an address. A port 0 is replaced
  /// by the one that the kernel picked. Refuses an address that anyone, this user's other servers
  /// included, listens on already: SO_REUSEPORT alone would quietly share it.
  /// Takes the passed sockets, of which there may be as many as slots, and binds the others beside
  /// them. They are the slots' in the order in which the kernel has them in their group.
  [[nodiscard]] static Result<Listeners> open(std::vector<ListenOn> addresses, std::uint32_t slots,
                                              std::uint32_t backlog);

  /// The same with what an estate has of them, found by the address that was asked for; its sockets
  /// are taken out. Addresses that are not in it are bound as open() would. Those that shut() had
  /// closed listen again, after the others of their group.
  [[nodiscard]] static Result<Listeners> inherit(std::vector<ListenOn> addresses,
                                                 std::uint32_t slots, std::uint32_t backlog,
                                                 Estate& estate);
  /// Which of the estate's that listen address was; nothing for one that was bound here.
  [[nodiscard]] std::optional<std::size_t> inherited(std::size_t address) const noexcept {
    return groups_[address].inherited;
  }
  /// The slots whose listeners were closed in the estate, at that address.
  [[nodiscard]] const std::vector<std::uint32_t>& reopened(std::size_t address) const noexcept {
    return groups_[address].reopened;
  }

  /// Listeners of more slots, up to `slots` in all, beside those that there are. Fails where the
  /// kernel will not have more sockets on an address; there are as many as before then.
  [[nodiscard]] Result<void> grow(std::uint32_t slots);
  /// Closes those of the slots from `slots` on.
  void shrink(std::uint32_t slots) noexcept;
  /// The listeners of `slot` listen no more, in whatever process they are open: a connection that
  /// still waits in one is moved to another listener by the kernel, where the steering program is
  /// attached (or net.ipv4.tcp_migrate_req is set), and else reset. They are -1 from here on.
  void shut(std::uint32_t slot) noexcept;

  /// Why the kernel's order of the sockets of an address is not known, which were passed; nothing
  /// where it is that of the slots.
  [[nodiscard]] const std::optional<Error>& disorder() const noexcept { return disorder_; }

  /// Of so many slots a listener was passed: whoever passed it holds it too.
  [[nodiscard]] std::uint32_t passed() const noexcept { return passed_; }

  [[nodiscard]] const std::vector<SocketAddress>& addresses() const noexcept { return addresses_; }

  /// The descriptors of one listen address, by slot. Lent.
  [[nodiscard]] std::vector<int> of_address(std::size_t address) const;
  /// The descriptors of one slot, by listen address. Lent.
  [[nodiscard]] std::vector<int> of_slot(std::uint32_t slot) const;
  /// Those of every slot. Lent.
  [[nodiscard]] std::vector<std::vector<int>> by_slot() const;

 private:
  /// What there is of one address beside it.
  struct Group {
    std::vector<UniqueFd> sockets{};  // by slot
    std::size_t passed = 0;           // of them
    std::optional<std::size_t> inherited{};
    std::vector<std::uint32_t> reopened{};
  };
  explicit Listeners(std::uint32_t backlog) noexcept;

  void add(const SocketAddress& address, Group group);

  std::vector<SocketAddress> addresses_;
  std::vector<Group> groups_;  // by address
  std::uint32_t passed_ = 0;
  std::optional<Error> disorder_;
  int backlog_ = 0;
};

/// Whether `address` could be listened on now.
[[nodiscard]] Result<void> probe_address(const SocketAddress& address);

}  // namespace weir::process
