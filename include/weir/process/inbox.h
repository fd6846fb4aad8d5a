// Inboxes: how the worker of a slot is handed sessions by other workers, and orders by the master.
// One pair of connected SOCK_SEQPACKET sockets a slot, made by the master before it forks and kept
// open by it: any process posts at one end, the worker of the slot reads at the other.
//
// A letter is one datagram, descriptors included, so posting is one step: before it the sender has
// the session, after it the kernel's queue has it. The queue belongs to the slot, not to a process.
// So nothing need be acknowledged: a letter that the worker of the slot does not live to read is
// read by its successor. The reader looks first and takes the letter off the queue when it has all
// that it needs, before it touches the socket in it: should it die between the two, the letter is
// still there. At every moment exactly one process may read from and write to a session's socket.
//
// A session of more than kInlineBytesMax travels in a file in memory beside its socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "weir/base/result.h"
#include "weir/base/unique_fd.h"
#include "weir/process/estate.h"

namespace weir::process {

class Inboxes {
 public:
  [[nodiscard]] static Result<Inboxes> open(std::uint32_t slots);
  /// Those of an estate, with what is in them.
  [[nodiscard]] static Result<Inboxes> inherit(std::uint32_t slots, Estate& estate);

  /// The end at which the worker of `slot` reads. Lent.
  [[nodiscard]] int reader(std::uint32_t slot) const noexcept { return readers_[slot].get(); }
  /// The end at which letters to `slot` are posted. Lent.
  [[nodiscard]] int writer(std::uint32_t slot) const noexcept { return writers_[slot].get(); }
  /// All of these, by slot. Lent.
  [[nodiscard]] std::vector<int> writers() const;

 private:
  std::vector<UniqueFd> readers_;
  std::vector<UniqueFd> writers_;
};

/// What a letter is.
enum class LetterKind : std::uint32_t {
  session = 1,    // a socket and its session's parcel
  returned = 2,   // the same, from one who could not take it
  give = 3,       // a GiveOrder
  hand_over = 4,  // a HandOverOrder
  sums = 5,       // a weir_row: what a worker counted after it had handed over
};

/// To the worker of the slot: give so many sessions to the worker of slot `target`.
struct GiveOrder {
  std::uint32_t target;
  std::uint32_t count;
};

/// To the worker of the slot: its successor waits. Let the slot go, give it every session, end.
/// Whoever reads this reads no further letter: they are the successor's.
struct HandOverOrder {
  /// Of the parcels that the successor reads; 0: of none that this worker writes.
  std::uint32_t parcel_version;
};

struct Letter {
  LetterKind kind{};
  std::uint32_t from = 0;              // slot of who posted it; of the reader, for orders
  std::span<const std::byte> content;  // lent until the next look
  UniqueFd fd;                         // the session's socket
};

enum class Posted : std::uint8_t {
  posted,   // the letter is the kernel's
  no_room,  // the queue is full, or too many descriptors are on their way: try again
  failed,   // this letter cannot be posted; errno says why
};

/// Posts at `writer`. `fd`: a socket to go with it, -1 for none; the caller keeps its own.
[[nodiscard]] Posted post(int writer, LetterKind kind, std::uint32_t from,
                          std::span<const std::byte> content, int fd = -1) noexcept;

/// The reading end, used by one thread.
class Inbox {
 public:
  static constexpr std::size_t kInlineBytesMax = 64 * 1'024;

  /// Borrows the descriptor.
  explicit Inbox(int reader);

  enum class Look : std::uint8_t {
    letter,
    empty,
    no_room,  // no descriptor or memory to take it with just now; it stays where it is
    damaged,  // no letter of ours; take_off() removes it
  };
  /// Looks at the next letter, which stays in the queue.
  [[nodiscard]] Look look(Letter& letter);
  /// Takes off the queue what look() saw.
  void take_off() noexcept;

 private:
  int reader_;
  std::vector<std::byte> bytes_;  // of the letter
  std::vector<std::byte> file_;   // of its file
};

}  // namespace weir::process
