// Program: one loaded instance of the steering program with its socket array, and the only file
// that calls libbpf. What libbpf has to say goes to the log at debug level.
//
// It is four descriptors and nothing else: another process that is handed them has the same
// program at work, and needs no privilege to load one.
#pragma once

#include <cstdint>
#include <utility>

#include "weir/base/result.h"
#include "weir/base/unique_fd.h"

namespace weir::steering {

class Program {
 public:
  struct Options {
    bool behind_proxy = false;        // clients are told by a proxy: none is judged at its SYN
    std::uint32_t client_sets = 1;    // of the clients' table, a power of two; of the first alone
    const Program* shares = nullptr;  // an earlier instance whose maps to use
  };
  /// Loads the program. The error says whether it is the privilege or the kernel.
  [[nodiscard]] static Result<Program> load(const Options& options);

  /// One that is loaded already. Maps that several programs share are there once for each.
  struct Parts {
    UniqueFd program;
    UniqueFd listeners;  // the socket array
    UniqueFd table;
    UniqueFd clients;
  };
  explicit Program(Parts parts) noexcept : parts_{std::move(parts)} {}

  /// Lent until this is destroyed.
  [[nodiscard]] const Parts& parts() const noexcept { return parts_; }
  [[nodiscard]] int table_map() const noexcept { return parts_.table.get(); }
  [[nodiscard]] int clients_map() const noexcept { return parts_.clients.get(); }
  [[nodiscard]] int fd() const noexcept { return parts_.program.get(); }

  /// Makes `listener`, a listening SO_REUSEPORT socket, the slot's. One that is in another array,
  /// of a program that nobody holds any more but the group that it was attached to, is waited for:
  /// the kernel takes the array apart a moment after the program is detached.
  [[nodiscard]] Result<void> set_listener(std::uint32_t slot, int listener);
  /// Attaches to the SO_REUSEPORT group that `listener` is of; the group then holds the program.
  [[nodiscard]] Result<void> attach(int listener);

 private:
  Parts parts_;
};

}  // namespace weir::steering
