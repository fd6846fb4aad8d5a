// Tenure: whose a slot is. A slot outlives its workers, and at a handover two of them are there at
// once, the one that leaves with its last sessions and its successor: the word says which of them
// writes the slot's row, accepts from its queues and reads its inbox.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace weir::steering {

struct Tenure {
  pid_t pid = 0;
  /// Of the two banks of notes on clients that a slot has: those of a worker that still leaves
  /// must not be its successor's.
  std::uint32_t bank = 0;

  [[nodiscard]] std::uint64_t word() const noexcept {
    return std::uint64_t{bank} << 32 | static_cast<std::uint32_t>(pid);
  }
  [[nodiscard]] static std::optional<Tenure> of(std::uint64_t word) noexcept {
    if (word == 0) return std::nullopt;
    return Tenure{.pid = static_cast<pid_t>(word & 0xffff'ffffU),
                  .bank = static_cast<std::uint32_t>(word >> 32) & 1U};
  }
};

}  // namespace weir::steering
