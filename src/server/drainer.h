// Drainer: ends a worker's sessions in good order, and with the last its accepting. Made when a
// signal says so, and run by the worker's loop until nothing is left.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "acceptor.h"
#include "drain_schedule.h"
#include "weir/base/clock.h"
#include "weir/session/sessions.h"
#include "weir/steering/worker_slot.h"

namespace weir::server {

/// What a drain is for.
enum class DrainFor : std::uint8_t {
  service_end,  // close 1001; who knocks is told 503 while sessions are left
  successor,    // close 1012; what is on its way to this worker is still taken in, until the end
  handover,     // close 1012, those that cannot be given to the successor, which serves already
};

class Drainer {
 public:
  /// Begins. Sessions and acceptor are borrowed. `count`: so many sessions are to be closed;
  /// `timeout`: the closes are spread over it; `close_timeout`: what is still handshaking, or has
  /// found no room at the successor, after both is dropped.
  Drainer(DrainFor purpose, session::Sessions& sessions, Acceptor& acceptor,
          steering::WorkerSlot& slot, std::size_t count, Duration timeout, Duration close_timeout,
          Instant now);

  /// Closes what is due; once a turn of the loop, before what is queued is flushed.
  void close_due(Instant now);
  /// Stops accepting once that is no use any more; once a turn, after what ended was freed.
  void finish(Instant now);
  /// When close_due() or finish() has something to do next, beside what completions bring.
  [[nodiscard]] std::optional<Instant> next() const noexcept;

 private:
  void close(std::size_t count, Instant now);

  DrainFor purpose_;
  session::Sessions& sessions_;
  Acceptor& acceptor_;
  DrainSchedule schedule_;
  Instant patience_ends_;
  Instant ran_at_;
  std::uint64_t closed_ = 0;
  std::optional<std::uint64_t> opened_;  // in all, when every open session was closed
  bool finished_ = false;
};

}  // namespace weir::server
