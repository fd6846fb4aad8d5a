// ClientTable: the clients' accounts (clients.h) as the master holds them; ClientDesk: a worker's
// hand on them, which admits each connection once its client's address is known.
//
// Shared memory, like the load table, so that a limit holds for a client over all workers and
// nobody makes a system call for it. So that a worker that dies takes its connections out of the
// accounts, each worker notes, for every place a session can have, which account it counted in;
// the master undoes what the dead one noted.
//
// The notes are a file in memory, by slot, then bank, then place; each slot's begin at a page. A
// slot has two banks, so that a worker and its successor can count side by side. The file grows
// with the slots and never shrinks: what workers have mapped stays where it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "weir/base/clock.h"
#include "weir/base/result.h"
#include "weir/base/socket_address.h"
#include "weir/base/unique_fd.h"
#include "weir/steering/abi.h"
#include "weir/steering/clients.h"

namespace weir::steering {

/// What each client may have. 0: no limit.
struct ClientLimits {
  std::uint32_t open_max = 0;  // connections open at once, below 2^24
  std::uint32_t rate = 0;      // connections a second
  std::uint32_t burst = 0;     // at once before the rate tells; 0: as many as the rate

  [[nodiscard]] bool any() const noexcept { return open_max != 0 || rate != 0; }
};

/// Sets for so many connections, each of another client: twice the ways that they need. Where there
/// is no limit to keep, no more than a MiB of them: there may be one later.
[[nodiscard]] std::uint32_t client_sets_for(const ClientLimits& limits,
                                            std::uint64_t connections) noexcept;

class ClientTable {
 public:
  static constexpr std::uint32_t kBanks = 2;  // of notes, each slot's

  /// `places` notes for each bank of `slots` workers. The sets are in a file in memory, or in the
  /// mmapable array map of that many `sets`; the descriptor is borrowed for the call.
  [[nodiscard]] static Result<ClientTable> in_shared_memory(std::uint32_t sets, std::uint32_t slots,
                                                            std::uint32_t places);
  [[nodiscard]] static Result<ClientTable> over_map(int map_fd, std::uint32_t sets,
                                                    std::uint32_t slots, std::uint32_t places);
  /// Another process's: the accounts' map or file, and the file of the notes, both taken, as its
  /// sets_fd() and notes_fd(). `sets` and `places` are what that one was made with.
  [[nodiscard]] static Result<ClientTable> inherit(UniqueFd accounts, UniqueFd notes,
                                                   std::uint32_t sets, std::uint32_t slots,
                                                   std::uint32_t places);
  ClientTable(ClientTable&& other) noexcept;
  ClientTable& operator=(ClientTable&&) = delete;
  ~ClientTable();

  /// Notes for more slots, up to `slots` in all; what is mapped stays where it is. Where it fails
  /// there are as many as before.
  [[nodiscard]] Result<void> grow(std::uint32_t slots);

  /// After the worker died that had this bank of `slot`: takes what it noted out of the accounts. A
  /// connection that it was counting in or out in its last instant may stay counted, or be counted
  /// out twice.
  void forget(std::uint32_t slot, std::uint32_t bank) noexcept;

  /// After the rate was changed: what clients have paid ahead at the old one is forgotten, which
  /// may be more than the new one lets anyone.
  void forgive(Instant now) noexcept;

  [[nodiscard]] std::uint32_t set_mask() const noexcept { return sets_ - 1; }
  [[nodiscard]] weir_client_set* sets() noexcept { return set_; }
  /// The notes of one worker, by session place: which way of the table, counted from 1; 0: none.
  [[nodiscard]] std::span<std::uint32_t> notes(std::uint32_t slot, std::uint32_t bank) noexcept {
    return {notes_[slot] + std::size_t{bank} * places_, places_};
  }
  /// The file that the accounts are in; -1 where they are in a map. Lent.
  [[nodiscard]] int sets_fd() const noexcept { return accounts_.get(); }
  /// The file that the notes are in. Lent.
  [[nodiscard]] int notes_fd() const noexcept { return file_.get(); }

 private:
  ClientTable() noexcept = default;
  [[nodiscard]] static Result<ClientTable> map(int accounts, UniqueFd notes, std::uint32_t sets,
                                               std::uint32_t slots, std::uint32_t places);

  /// The notes of some slots, as they were mapped.
  struct Mapping {
    void* at;
    std::size_t bytes;
  };
  [[nodiscard]] std::size_t slot_bytes() const noexcept;

  weir_client_set* set_ = nullptr;     // owned mapping
  UniqueFd accounts_;                  // none where they are in a map
  UniqueFd file_;                      // of the notes
  std::vector<Mapping> mappings_;      // owned
  std::vector<std::uint32_t*> notes_;  // by slot
  std::uint32_t sets_ = 0;
  std::uint32_t places_ = 0;
};

enum class Verdict : std::uint8_t {
  admitted = WEIR_ADMITTED,
  too_many = WEIR_TOO_MANY,
  too_fast = WEIR_TOO_FAST,
};

/// One worker's. Its counters of refusals are those of the worker's row.
class ClientDesk {
 public:
  /// All are borrowed and must outlive this. `bank`: which of the slot's notes are this worker's.
  ClientDesk(weir_table& table, ClientTable& clients, std::uint32_t slot,
             std::uint32_t bank = 0) noexcept;

  /// Whether any limit is set: else there is no need to ask, nor to know the address.
  [[nodiscard]] bool on() const noexcept { return weir_admission_on(table_) != 0; }

  /// Counts a connection in for its client, at the session's `place`, or says why not. The exact
  /// limit holds over all workers; a refused connection costs no token.
  [[nodiscard]] Verdict admit(std::uint32_t place, const SocketAddress& client,
                              Instant now) noexcept;
  /// Counts in a connection that another worker has admitted and counted out, whatever the limits
  /// say by now: it is neither refused nor paid for again.
  void take_over(std::uint32_t place, const SocketAddress& client, Instant now) noexcept;
  /// Counts out what was counted in at `place`, if anything was.
  void leave(std::uint32_t place) noexcept;

 private:
  struct Claim {
    weir_client* client = nullptr;
    std::uint32_t note = 0;  // as it stands in the notes
    std::uint64_t open = 0;  // connections of this client, the new one among them
  };
  [[nodiscard]] Claim claim(weir_client_id client, Instant now) noexcept;

  weir_table* table_;
  weir_row* row_;
  weir_client_set* sets_;
  std::span<std::uint32_t> notes_;
};

}  // namespace weir::steering
