// KeyOwners: whose a key is under uri-hash. The workers ask, each for itself, from the load table;
// no other process takes part, and a table that the master has written last serves without it.
//
// The slots' shares are those of the other hashes: the Maglev table that the master builds when
// the slots or their weights change. A slot out of service, or one that hangs, keeps its place in
// it and is passed over, by hashing again: so it moves its own keys only, spread over all others,
// and has them back when it returns. Where the program in the kernel then gives up after four
// slots, for the least loaded will do, this goes on: all workers are to name the same slot.
//
// They do as far as they see the same: two that look while a slot changes may differ, and so a
// session moves once in its opening, never twice.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "weir/base/clock.h"
#include "weir/steering/abi.h"

namespace weir::steering {

/// SipHash of `text` under the key, with so many rounds a word and at the end: weir_siphash() for
/// any length.
[[nodiscard]] std::uint64_t siphash(std::uint64_t key0, std::uint64_t key1, std::string_view text,
                                    int compress, int finish) noexcept;

class KeyOwners {
 public:
  /// The table is borrowed, and only read. `bank`: of the workers of this worker's master.
  KeyOwners(weir_table& table, std::uint32_t bank) noexcept : table_{&table}, bank_{bank} {}

  /// Whether the policy is uri-hash.
  [[nodiscard]] bool on() const noexcept;

  /// The slot whose share has `key` in it, of those that serve and do not hang; nothing where none
  /// does. One pass over the key, then a look into the table and at the slot, and as many more as
  /// slots are passed over.
  [[nodiscard]] std::optional<std::uint32_t> owner_of(std::string_view key,
                                                      Instant now) const noexcept;

  /// Whether the slot's worker is one of the same master, or the next one will be. While a binary
  /// is replaced the others may read parcels of another version.
  [[nodiscard]] bool is_of_our_master(std::uint32_t slot) const noexcept;

  /// Connections that are counted for the slot, those on their way to it among them.
  [[nodiscard]] std::uint64_t connections(std::uint32_t slot) const noexcept;

 private:
  [[nodiscard]] bool is_well(std::uint32_t slot, Instant now) const noexcept;

  weir_table* table_;
  std::uint32_t bank_;
};

}  // namespace weir::steering
