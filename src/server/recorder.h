// Recorder: a worker's part in a recording (weir/process/recording.h). It exists while one is under
// way; then the loop has it look before and after each completion that receives or sends, and what
// the sessions' totals have grown by in between is the one session's. Nobody counts by session
// otherwise.
//
// What a session's messages cost is the time that their completions took, and an even share, for
// each completion, of what else the turn took of this thread's CPU, the kernel's part for sending
// and receiving above all. That is known once the next turn has begun; so nothing is written
// before then. All that is shared out is CPU time: what a completion took is by the clock, and is
// reduced where this thread did not have the CPU all the while.
//
// Never blocks: what the pipe does not take waits, and beyond kWaitingMax is left out and counted.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "weir/admin/recording.h"
#include "weir/base/clock.h"
#include "weir/base/unique_fd.h"
#include "weir/process/inbox.h"
#include "weir/session/sessions.h"
#include "weir/session/witness.h"

namespace weir::server {

class Recorder final : public session::Witness {
 public:
  static constexpr std::size_t kWaitingMax = 1'024;  // pieces that are to be written
  /// Between two tries to write what the pipe did not take, or what no turn has come for.
  static constexpr Duration kWriteAgain = std::chrono::milliseconds{10};
  /// The end is given up on where nobody reads for so long.
  static constexpr Duration kEndWithin = std::chrono::seconds{10};

  /// Begins with the sessions that there are. `pipe` is non-blocking. `sessions` is borrowed, has
  /// this for a witness from here on, and must outlive it.
  Recorder(session::Sessions& sessions, UniqueFd pipe, process::RecordOrder order, Instant now);
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;
  /// Writes what the pipe takes of what is left, the open sessions as they are.
  ~Recorder() override;

  [[nodiscard]] const process::RecordOrder& order() const noexcept { return order_; }

  /// Once a turn, between Sessions::begin_batch() and Sessions::finish_sends(): counts what was
  /// sent.
  void begin_turn(Instant now);
  /// Around what is done for a completion that receives or sends.
  void before(std::uint32_t place);
  void after();

  /// The recording ends: what is told from now on is what there is.
  void end(Instant now);
  /// Whether it is over: all is written and told, or nobody reads any more.
  [[nodiscard]] bool is_over() const noexcept { return over_; }
  /// Whether the loop has to turn again within kWriteAgain.
  [[nodiscard]] bool waits() const noexcept { return !waiting_.empty() || ending_; }

  void came(const session::Session& session, std::size_t handshake_bytes) override;
  void went(const session::Session& session) override;

 private:
  struct Tally {
    bool open = false;
    admin::SessionPiece piece;
    /// Of the answer to its handshake, which is none of its bytes. With TLS that is sent in a
    /// record, whose overhead is not known here and counts as the session's.
    std::size_t unsent = 0;
  };
  /// A completion of the turn that is looked at, or was last.
  struct Work {
    std::uint32_t place = 0;
    std::uint64_t session = 0;  // 0: none was open
    Duration took{};
  };
  struct Counts {
    std::uint64_t messages = 0;
    std::uint64_t received = 0;
    std::uint64_t sent = 0;
  };

  [[nodiscard]] Counts counts() const noexcept;
  [[nodiscard]] Tally& tally_at(std::uint32_t place);
  void open(const session::Session& session, std::uint64_t began_ns, std::size_t unsent);
  void attribute();
  void count_sends();
  void share_turn();
  [[nodiscard]] admin::SessionPiece* find(const Work& work) noexcept;
  void close(Tally& tally);
  void close_more();
  void write_waiting();
  [[nodiscard]] bool write_line(const std::string& line);

  session::Sessions& sessions_;
  UniqueFd pipe_;
  process::RecordOrder order_;
  std::vector<Tally> tallies_;               // by place
  std::deque<admin::SessionPiece> waiting_;  // to be written
  std::size_t fresh_ = 0;                    // of those, which the turn has added at the end
  std::vector<Work> turn_;
  bool looking_ = false;  // between before() and after(), at turn_'s last
  Counts seen_;
  Instant looked_at_;
  std::uint64_t cpu_ns_;  // of this thread, when the turn began
  std::uint64_t missing_ = 0;
  std::size_t close_next_ = 0;  // at the end: the place to look at next
  bool ending_ = false;
  bool over_ = false;
  Instant give_up_at_{};
};

}  // namespace weir::server
