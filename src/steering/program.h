// Program: one loaded instance of the steering program with its socket array, and the only file
// that calls libbpf. What libbpf has to say goes to the log at debug level.
#pragma once

#include <cstdint>
#include <memory>

#include "weir/base/result.h"

struct steer_bpf;  // bpftool's skeleton

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

  /// Lent until this is destroyed.
  [[nodiscard]] int table_map() const noexcept;
  [[nodiscard]] int clients_map() const noexcept;
  [[nodiscard]] int fd() const noexcept;

  /// Makes `listener`, a listening SO_REUSEPORT socket that is in no other array, the slot's.
  [[nodiscard]] Result<void> set_listener(std::uint32_t slot, int listener);
  /// Attaches to the SO_REUSEPORT group that `listener` is of; the group then holds the program.
  [[nodiscard]] Result<void> attach(int listener);

 private:
  struct Close {
    void operator()(steer_bpf* skeleton) const noexcept;
  };
  explicit Program(steer_bpf* skeleton) noexcept : skeleton_{skeleton} {}

  std::unique_ptr<steer_bpf, Close> skeleton_;
};

}  // namespace weir::steering
