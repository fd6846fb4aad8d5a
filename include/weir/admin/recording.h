// Recording: what workers tell of their sessions while weirctl records, and the trace that it comes
// to, which bench/sim's steering_sim replays (bench/sim/trace.h).
//
// It travels as lines of text through one pipe, of which each worker has the writing end and
// weirctl alone the other; the master sees none of it. A line is written at once and whole, for it
// is shorter than PIPE_BUF. What a line says:
//   s,SESSION,BEGAN,ENDED,MESSAGES,BYTES,COST,CLIENT   a SessionPiece
//   m,COUNT   so many pieces of this worker are missing: the pipe had no room
//   d,SLOT    the worker of this slot died, and what it knew with it
// The end of the pipe is the end of the recording: every worker has said all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "weir/base/clock.h"

namespace weir::admin {

/// What one worker had of one session: all of it, unless it moved.
struct SessionPiece {
  std::uint64_t session = 0;   // its socket's cookie (SO_COOKIE): the same in every worker
  std::uint64_t began_ns = 0;  // CLOCK_MONOTONIC: it opened or came, or the recording began
  std::uint64_t ended_ns = 0;  // it ended or left, or the recording ended
  std::uint64_t messages = 0;  // that it sent
  std::uint64_t bytes = 0;     // on the wire, both ways, without its handshake
  std::uint64_t cost_ns = 0;   // of the worker's CPU, for all of its messages
  std::string client;          // its address

  bool operator==(const SessionPiece&) const = default;
  [[nodiscard]] std::string to_line() const;
};
[[nodiscard]] std::string missing_line(std::uint64_t pieces);
[[nodiscard]] std::string died_line(std::uint32_t slot);

/// Collects the lines of one recording. Holds every session until the end: the trace is in the
/// order in which they arrived, and a session is told of when it ends.
class Recording {
 public:
  /// Takes up what came out of the pipe, cut anywhere.
  void feed(std::string_view bytes);
  /// Something to say in a comment at the trace's end.
  void remark(std::string text) { remarks_.push_back(std::move(text)); }
  [[nodiscard]] std::size_t sessions() const noexcept { return sessions_.size(); }

  /// The trace, seconds counted from `began`; comments come last.
  [[nodiscard]] std::string trace(Instant began) const;

 private:
  void take(std::string_view line);

  std::string rest_;  // a line that is not whole
  std::unordered_map<std::uint64_t, SessionPiece> sessions_;
  std::vector<std::string> remarks_;
  std::uint64_t missing_ = 0;
  std::uint64_t damaged_ = 0;
};

}  // namespace weir::admin
