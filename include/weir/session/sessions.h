// Sessions: all sessions of one worker. It turns completions into bytes, bytes into messages for
// the handler, and the handler's messages into sends; it keeps the deadlines and ends each
// session in good order. It accepts nothing and owns neither ring nor loop.
//
// What a session may have in the kernel at once: one multishot receive, one send, and one cancel.
// A session's place is reused only after both have completed, so a completion never meets a
// stranger.
//
// Nothing is allocated per message: input lies in the receive buffer it arrived in unless a
// message came in pieces, output in pooled blocks. Output is gathered per session and sent by
// flush(), once per loop and session.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "weir/base/clock.h"
#include "weir/base/unique_fd.h"
#include "weir/io/buffer_ring.h"
#include "weir/io/ring.h"
#include "weir/io/timer_wheel.h"
#include "weir/session/block_pool.h"
#include "weir/session/handler.h"
#include "weir/session/session.h"

namespace weir::session {

struct SessionRules {
  wire::UpgradeRules upgrade;
  std::uint64_t message_bytes_max = 1_MiB;
  Duration handshake_timeout = std::chrono::seconds{10};
  Duration idle_timeout = std::chrono::seconds{120};  // nothing heard; 0: off
  Duration ping_interval = std::chrono::seconds{30};  // nothing heard, then a ping; 0: off
  Duration close_timeout = std::chrono::seconds{5};   // for the peer to finish the close
  /// Over this much unsent output a session is not read from, until it is down to half.
  std::size_t high_water_bytes = 256_KiB;
};

/// Running totals of one worker.
struct Traffic {
  std::uint64_t messages_in = 0;  // whole data messages
  std::uint64_t messages_out = 0;
  std::uint64_t bytes_in = 0;  // on the wire: handshake and frame headers included
  std::uint64_t bytes_out = 0;
  std::uint64_t ended = 0;  // connections closed, of those adopted
};

class Sessions {
 public:
  /// All are borrowed and must outlive this, but for `now`.
  Sessions(io::Ring& ring, io::BufferRing& buffers, Handler& handler, const SessionRules& rules,
           Instant now);
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;
  /// Closes what is left without ceremony. The ring must not be entered any more.
  ~Sessions();

  /// Takes a connected socket and begins its handshake.
  void adopt(UniqueFd fd, Instant now);

  /// The completions of the operations that this queued: Op::receive and Op::send.
  void on_receive(const io::Completion& completion, Instant now);
  void on_send(const io::Completion& completion, Instant now);

  [[nodiscard]] std::optional<Instant> next_deadline() const noexcept { return timers_.next(); }
  void run_deadlines(Instant now);

  /// Queues at most one send per session with output. Once per loop, before the ring is entered.
  void flush(Instant now);

  /// Begins the closing handshake on every open session; ends the others.
  void close_all(wire::CloseCode code, std::string_view reason, Instant now);

  /// Connections adopted and not ended.
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] const Traffic& traffic() const noexcept { return traffic_; }

 private:
  friend class Peer;
  static constexpr std::size_t kSlabChunk = 256;  // sessions allocated together

  // The slab.
  [[nodiscard]] Session& at(std::uint32_t slot) noexcept {
    return (*slab_[slot / kSlabChunk])[slot % kSlabChunk];
  }
  [[nodiscard]] Session& of(io::Tag tag) noexcept;
  [[nodiscard]] Session& take_place();

  // Receiving (receive.cpp).
  void take(Session& session, std::span<std::byte> in, Instant now);
  void take_handshake(Session& session, std::span<std::byte>& in, Instant now);
  void take_frames(Session& session, std::span<std::byte> in, Instant now);
  void take_data(Session& session, const wire::Event& event);
  void deliver(Session& session, wire::Opcode opcode, std::span<std::byte> bytes);
  void receive_ended(Session& session, int result, Instant now);
  void keep_receiving(Session& session);

  // Sending (send.cpp).
  void send_frame(Session& session, wire::Opcode opcode, std::span<const std::byte> payload);
  void send_raw(Session& session, std::string_view bytes);
  void send_close(Session& session, wire::CloseCode code, std::string_view reason);
  void list_for_flush(Session& session);
  void start_send(Session& session);
  void send_finished(Session& session);

  // Life (sessions.cpp).
  void enter(Session& session, State state, Instant now);
  void begin_close(Session& session, wire::CloseCode code, std::string_view reason, Instant now);
  void linger(Session& session, wire::CloseCode code, Instant now);
  void release(Session& session, wire::CloseCode code);
  void tell_closed(Session& session, wire::CloseCode code);
  void free_if_done(Session& session);
  void expire(Session& session, Instant now);
  [[nodiscard]] Instant deadline(const Session& session) const noexcept;

  io::Ring& ring_;
  io::BufferRing& buffers_;
  Handler& handler_;
  const SessionRules& rules_;
  BlockPool blocks_;
  io::TimerWheel timers_;
  std::vector<std::unique_ptr<std::array<Session, kSlabChunk>>> slab_;
  std::vector<std::uint32_t> free_places_;
  std::vector<std::uint32_t> to_flush_;
  std::size_t count_ = 0;
  Instant now_;  // of the loop's turn; for what handlers cause
  Traffic traffic_;
};

}  // namespace weir::session
