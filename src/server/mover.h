// Mover: a worker's end of the inboxes: takes in the sessions that other workers give to it, posts
// those that it gives, and does what the master orders: to give some, to know of slots that come
// and go, to hand all over. Knows what a session costs in the load table, which moves with it; what
// a session is, Sessions knows. Made when the slot is this worker's.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "acceptor.h"
#include "weir/base/clock.h"
#include "weir/base/unique_fd.h"
#include "weir/io/ring.h"
#include "weir/process/inbox.h"
#include "weir/server/worker_rules.h"
#include "weir/session/carrier.h"
#include "weir/session/sessions.h"
#include "weir/steering/worker_slot.h"

namespace weir::server {

class Mover final : public session::Carrier {
 public:
  /// `reader` is the slot's own and borrowed; `writers` are those of all slots, owned from here on;
  /// -1 where a slot is about to go. `acceptor` is told which listeners come and go. Has `sessions`
  /// carry by this.
  Mover(io::Ring& ring, session::Sessions& sessions, steering::WorkerSlot& slot, Acceptor& acceptor,
        int reader, const std::vector<int>& writers);

  /// A completion of Op::inbox.
  void on_letters(const io::Completion& completion, Instant now);
  /// Once a turn of the loop: goes on with letters that there was no room or time for.
  void look(Instant now);
  /// The newest rules that the master has told since the last call; null: none.
  [[nodiscard]] std::unique_ptr<WorkerRules> take_rules() noexcept { return std::move(rules_); }
  /// The last that the master has told of recordings since the last call: that one has begun, with
  /// the pipe to write to, or, without, that it ends.
  [[nodiscard]] std::optional<process::RecordingEnd> take_recording() noexcept {
    return std::exchange(recording_, std::nullopt);
  }
  /// When look() has something to do, beside what completions bring.
  [[nodiscard]] std::optional<Instant> next() const noexcept { return look_at_; }

  /// What the master has ordered, once it has: no letter is read from then on.
  [[nodiscard]] const std::optional<process::HandOverOrder>& hand_over() const noexcept {
    return hand_over_;
  }
  /// After the last session went: tells the successor what was counted since the slot was let go.
  void post_sums(const weir_row& sums) noexcept;
  /// What former workers of the slot posted as such since this was last asked.
  [[nodiscard]] std::unique_ptr<weir_row> take_sums() noexcept { return std::move(sums_); }

  /// The master has taken this worker's slot out: it is to end once nothing is left that can move.
  [[nodiscard]] bool slot_is_gone() const noexcept { return slot_is_gone_; }

  [[nodiscard]] session::Carried carry(int fd, std::span<const std::byte> parcel,
                                       std::uint32_t target) noexcept override;

 private:
  static constexpr int kLettersPerTurn = 32;  // so that a wave of them holds up nobody

  void read_letters(Instant now);
  void read(process::Letter letter, Instant now);
  void take_session(process::Letter letter, Instant now);
  void give(const process::GiveOrder& order);
  void add(const weir_row& sums) noexcept;
  void note_rules(const process::Letter& letter);
  void join(process::Letter letter);
  void part(const process::SlotParted& parted);
  void arm();
  [[nodiscard]] bool reaches(std::uint32_t slot) const noexcept {
    return slot < writers_.size() && writers_[slot];
  }

  io::Ring& ring_;
  session::Sessions& sessions_;
  steering::WorkerSlot& slot_;
  Acceptor& acceptor_;
  int reader_;
  std::vector<UniqueFd> writers_;  // by slot
  process::Inbox inbox_;
  std::optional<process::HandOverOrder> hand_over_;
  std::unique_ptr<weir_row> sums_;                  // posted, and not taken
  std::unique_ptr<WorkerRules> rules_;              // told, and not taken
  std::optional<process::RecordingEnd> recording_;  // likewise

  bool slot_is_gone_ = false;
  std::optional<Instant> look_at_;
  std::optional<Instant> complained_at_;
};

}  // namespace weir::server
