// Inboxes: how the worker of a slot is handed sessions by other workers, and orders by the master.
// One pair of connected SOCK_SEQPACKET sockets a slot, made by the master before it forks and kept
// open by it as long as there is the slot: any process posts at one end, the worker of the slot
// reads at the other.
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
#include "weir/base/units.h"
#include "weir/process/estate.h"
#include "weir/process/recording.h"

namespace weir::process {

class Inboxes {
 public:
  [[nodiscard]] static Result<Inboxes> open(std::uint32_t slots);
  /// Those of an estate, with what is in them. In the place of one that was shut there is a new
  /// one, which has the letters of the old: who posts there has to be told (LetterKind::joined).
  [[nodiscard]] static Result<Inboxes> inherit(std::uint32_t slots, Estate& estate);

  /// Inboxes of more slots, up to `slots` in all. Where it fails there are as many as before.
  [[nodiscard]] Result<void> grow(std::uint32_t slots);
  /// Closes those of the slots from `slots` on.
  void shrink(std::uint32_t slots) noexcept;
  /// From here on posting to `slot` fails, in every process; what was posted can be read.
  void shut(std::uint32_t slot) noexcept;

  [[nodiscard]] std::uint32_t slots() const noexcept {
    return static_cast<std::uint32_t>(readers_.size());
  }
  /// The end at which the worker of `slot` reads. Lent.
  [[nodiscard]] int reader(std::uint32_t slot) const noexcept { return readers_[slot].get(); }
  /// The end at which letters to `slot` are posted. Lent.
  [[nodiscard]] int writer(std::uint32_t slot) const noexcept { return writers_[slot].get(); }
  /// All of these, by slot. Lent.
  [[nodiscard]] std::vector<int> writers() const;

 private:
  [[nodiscard]] Result<void> replace_shut(std::uint32_t slot);

  std::vector<UniqueFd> readers_;
  std::vector<UniqueFd> writers_;
};

/// What a letter is.
enum class LetterKind : std::uint32_t {
  session = 1,      // a socket and its session's parcel
  returned = 2,     // the same, from one who could not take it
  give = 3,         // a GiveOrder
  hand_over = 4,    // a HandOverOrder
  sums = 5,         // a weir_row: what a worker counted after it had handed over
  joined = 6,       // a SlotJoined, with its descriptors
  parted = 7,       // a SlotParted
  rules = 8,        // what the worker is to keep to from now on; made and read by its server part
  record = 9,       // a RecordOrder, with the pipe's writing end
  record_end = 10,  // a RecordOrder: that one ends
};

/// To the worker of the slot: give so many sessions to the worker of slot `target`.
struct GiveOrder {
  std::uint32_t target;
  std::uint32_t count;
};

/// To the worker of the slot: its successor waits. Let the slot go, give it every session, end.
/// Whoever reads this reads no further letter: they are the successor's.
struct HandOverOrder {
  /// The worker that is meant: should it not live to read this, its successor does.
  std::int32_t worker;
  /// Of the parcels that the successor reads; 0: of none that this worker writes.
  std::uint32_t parcel_version;
};

/// There is a slot more. With it come the writing end of its inbox, where `address` is 0, and its
/// listeners from that listen address on, as many as there are in this letter. Sent before anyone
/// is told to give sessions to that slot.
struct SlotJoined {
  std::uint32_t slot;
  std::uint32_t address;
};

/// There is that slot no more: its inbox takes nothing, its listeners are closed. To the worker of
/// the slot itself: it is to end once it has no session left that can move.
struct SlotParted {
  std::uint32_t slot;
};

/// Descriptors that one letter may carry (SCM_MAX_FD of the kernel).
inline constexpr std::size_t kLetterDescriptorsMax = 253;

struct Letter {
  LetterKind kind{};
  std::uint32_t from = 0;              // slot of who posted it; of the reader, for orders
  std::span<const std::byte> content;  // lent until the next look
  UniqueFd fd;                         // the session's socket, or the pipe of a recording
  std::vector<UniqueFd> joined;        // the descriptors of a SlotJoined
};

enum class Posted : std::uint8_t {
  posted,   // the letter is the kernel's
  no_room,  // the queue is full, or too many descriptors are on their way: try again
  failed,   // this letter cannot be posted; errno says why
};

/// Posts at `writer`. `fds`: what goes with it, at most kLetterDescriptorsMax, and one less where
/// the content is too long to travel inline; the caller keeps its own.
[[nodiscard]] Posted post(int writer, LetterKind kind, std::uint32_t from,
                          std::span<const std::byte> content, std::span<const int> fds) noexcept;
/// `fd`: the one descriptor that goes with it, -1 for none.
[[nodiscard]] Posted post(int writer, LetterKind kind, std::uint32_t from,
                          std::span<const std::byte> content, int fd = -1) noexcept;

/// An order's bytes, as a letter has them.
template <class Order>
[[nodiscard]] std::span<const std::byte> content_of(const Order& order) noexcept {
  return std::as_bytes(std::span{&order, 1});
}

/// The reading end, used by one thread.
class Inbox {
 public:
  static constexpr std::size_t kInlineBytesMax = 64_KiB;

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
