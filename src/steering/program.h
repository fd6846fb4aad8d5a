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
  /// Loads the program. `shared_table` is the table map of an earlier instance to use, borrowed
  /// for the call; -1 makes a new one. The error says whether it is the privilege or the kernel.
  [[nodiscard]] static Result<Program> load(int shared_table = -1);

  /// Lent until this is destroyed.
  [[nodiscard]] int table_map() const noexcept;
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
