// A steered group of listeners and its clients, all in this process and on the loopback: what the
// tests of the real program share. "Workers" are WorkerSlots driven by hand, so that a test knows
// at each step what was accepted.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "weir/base/socket_address.h"
#include "weir/base/unique_fd.h"
#include "weir/steering/steering.h"

namespace weir::steering {

/// Fails the test and ends the process's part in it if a system call went wrong.
inline int must(int result, const char* call) {
  if (result < 0) throw std::runtime_error(std::string{call} + ": " + std::strerror(errno));
  return result;
}

/// A blocking client socket. Resets on close, so that no port stays in TIME_WAIT.
inline UniqueFd client_socket(int family) {
  UniqueFd fd{must(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
  const linger reset{.l_onoff = 1, .l_linger = 0};
  must(::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset), "SO_LINGER");
  return fd;
}

class Group {
 public:
  /// `slots` listeners on each address ("127.0.0.1:0": a free port), steered and in service.
  explicit Group(const TableOptions& options,
                 const std::vector<std::string>& addresses = {"127.0.0.1:0"},
                 const std::vector<bool>& behind_proxy = {},
                 BackendChoice backend = BackendChoice::ebpf)
      : steering_{make(options, addresses.size(), behind_proxy, backend)} {
    for (const std::string& text : addresses) listen(*SocketAddress::parse(text), options.slots);
    for (std::uint32_t slot = 0; slot < options.slots; ++slot) {
      worker(slot).woke(monotonic_now());
      table().mark_serving(slot);
    }
  }

  [[nodiscard]] Steering& steering() { return steering_; }
  [[nodiscard]] LoadTable& table() { return steering_.table(); }
  [[nodiscard]] std::uint32_t slots() { return table().slots(); }
  [[nodiscard]] const SocketAddress& address(std::size_t i = 0) const { return addresses_[i]; }
  [[nodiscard]] WorkerSlot worker(std::uint32_t slot) {
    return {table().raw(), slot, steering_.counting()};
  }

  /// A connection, or the errno of its refusal (below zero). `from`: a loopback address to bind.
  [[nodiscard]] int try_connect(UniqueFd& out, std::size_t address = 0,
                                const char* from = nullptr) {
    const SocketAddress& to = addresses_[address];
    out = client_socket(to.family());
    if (from != nullptr) {
      const int one = 1;  // the port is chosen at connect, per destination
      must(::setsockopt(out.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one), "bind");
      const auto local = *SocketAddress::parse(from);
      must(::bind(out.get(), local.data(), local.size()), "bind");
    }
    return ::connect(out.get(), to.data(), to.size()) == 0 ? 0 : -errno;
  }
  /// A connection that must succeed; kept until the group goes.
  void connect(std::size_t address = 0, const char* from = nullptr) {
    UniqueFd fd;
    const int failed = try_connect(fd, address, from);
    if (failed != 0) throw std::runtime_error(std::string{"connect: "} + std::strerror(-failed));
    clients_.push_back(std::move(fd));
  }
  void connect_many(int count, std::size_t address = 0) {
    for (int i = 0; i < count; ++i) connect(address);
  }

  /// Takes one connection from the slot's queue and counts it; none if the queue is empty.
  [[nodiscard]] UniqueFd accept(std::uint32_t slot, std::size_t address = 0) {
    UniqueFd fd{::accept4(listeners_[address][slot].get(), nullptr, nullptr, SOCK_CLOEXEC)};
    if (fd && !worker(slot).accepted()) ADD_FAILURE() << "refused after the program let it in";
    return fd;
  }

  /// The kernel's own account: the length of each slot's accept queues.
  [[nodiscard]] std::vector<std::uint64_t> queues() {
    std::vector<std::uint64_t> lengths;
    for (std::uint32_t slot = 0; slot < slots(); ++slot) lengths.push_back(steering_.queued(slot));
    return lengths;
  }
  /// The table's account.
  [[nodiscard]] std::vector<std::uint64_t> loads() {
    std::vector<std::uint64_t> counted;
    for (std::uint32_t slot = 0; slot < slots(); ++slot)
      counted.push_back(table().snapshot(slot).load);
    return counted;
  }

  /// Listeners of more slots, in service at once. One address.
  void grow(std::uint32_t slots) {
    const std::uint32_t before = this->slots();
    std::vector<int> numbers;
    for (std::uint32_t slot = before; slot < slots; ++slot) {
      listeners_[0].push_back(listener(addresses_[0]));
      numbers.push_back(listeners_[0].back().get());
    }
    if (const auto added = steering_.add_listeners(0, before, numbers); !added)
      throw std::runtime_error(to_string(added.error()));
    steering_.set_slots(slots);
    for (std::uint32_t slot = before; slot < slots; ++slot) {
      worker(slot).woke(monotonic_now());
      table().mark_serving(slot);
    }
  }
  /// The listener stays open, as in a process that hangs, and listens no more.
  void shut_listener(std::uint32_t slot) {
    must(::shutdown(listeners_[0][slot].get(), SHUT_RD), "shutdown");
    steering_.drop_listeners(slot);
  }

  /// Lent.
  [[nodiscard]] int listener_fd(std::size_t slot, std::size_t address = 0) const {
    return listeners_[address][slot].get();
  }
  void forget_listeners(std::uint32_t from) { listeners_[0].resize(from); }
  void close_listener(std::uint32_t slot, std::size_t address = 0) {
    listeners_[address][slot].reset();
  }
  [[nodiscard]] std::vector<UniqueFd>& clients() { return clients_; }

 private:
  static Steering make(const TableOptions& options, std::size_t addresses,
                       const std::vector<bool>& behind_proxy, BackendChoice backend) {
    auto made = Steering::create({.backend = backend,
                                  .table = options,
                                  .addresses = addresses,
                                  .behind_proxy = behind_proxy,
                                  .places = 1'024});
    if (!made) throw std::runtime_error(to_string(made.error()));
    return std::move(*made);
  }

  static UniqueFd listener(const SocketAddress& address) {
    UniqueFd fd{
        must(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket")};
    const int one = 1;
    must(::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &one, sizeof one), "SO_REUSEPORT");
    must(::bind(fd.get(), address.data(), address.size()), "bind");
    must(::listen(fd.get(), 4'096), "listen");
    return fd;
  }

  void listen(SocketAddress address, std::uint32_t slots) {
    std::vector<UniqueFd> group;
    std::vector<int> numbers;
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
      UniqueFd fd = listener(address);
      if (slot == 0) address = *SocketAddress::local_of(fd.get());
      numbers.push_back(fd.get());
      group.push_back(std::move(fd));
    }
    if (const auto attached = steering_.attach(addresses_.size(), numbers); !attached)
      throw std::runtime_error(to_string(attached.error()));
    addresses_.push_back(address);
    listeners_.push_back(std::move(group));
  }

  Steering steering_;
  std::vector<SocketAddress> addresses_;
  std::vector<std::vector<UniqueFd>> listeners_;  // by address, then slot
  std::vector<UniqueFd> clients_;
};

/// A table without hang detection, for tests whose workers wake when they please.
inline TableOptions plain(std::uint32_t slots, Policy policy = Policy::least_connections) {
  return {.slots = slots, .policy = policy, .weights = {}, .hang_threshold = {}};
}

inline std::uint64_t range_of(const std::vector<std::uint64_t>& counts) {
  const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
  return *most - *least;
}

inline std::uint64_t sum_of(const std::vector<std::uint64_t>& counts) {
  std::uint64_t sum = 0;
  for (const std::uint64_t count : counts) sum += count;
  return sum;
}

}  // namespace weir::steering
