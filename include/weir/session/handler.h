// Handler: what an application is to a worker. One per worker, called from its one thread; what
// it is handed is lent for the call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "weir/wire/close_code.h"
#include "weir/wire/frame.h"

namespace weir::session {

class Sessions;
struct Session;

/// A whole message, unfragmented and unmasked; text is valid UTF-8. The bytes are the handler's
/// to change during the call.
struct Message {
  wire::Opcode opcode;  // text or binary
  std::span<std::byte> bytes;
};

/// An open session as a handler sees it. Lent for the call.
class Peer {
 public:
  Peer(Sessions& sessions, Session& session) noexcept : sessions_{sessions}, session_{session} {}

  /// Queues one message, unfragmented, compressed where that was agreed and pays; copied. It
  /// leaves with the loop's one submission. `opcode` is text (then valid UTF-8) or binary. False,
  /// and nothing is queued, once the session is closing, or where its backlog is over the limit
  /// (SessionRules::slow_consumer says what else that means).
  bool send(wire::Opcode opcode, std::span<const std::byte> bytes);
  /// Likewise the message that is being handled, or a part of it, which need not be copied then:
  /// it leaves from where it lies. Its bytes must not be looked at again. May be called for any
  /// one peer; to send a message to several, send() it to the others first.
  bool forward(const Message& message);
  /// Begins the closing handshake (RFC 6455, 7.1.2), after what was queued before.
  void close(wire::CloseCode code, std::string_view reason);
  /// Bytes queued and not yet taken by the kernel.
  [[nodiscard]] std::size_t backlog_bytes() const noexcept;

 private:
  Sessions& sessions_;
  Session& session_;
};

/// Between on_open() and on_close() of a session there are any number of on_message(). A handler
/// that turns input into output for the same peer needs no flow control of its own: a session
/// whose output is over the high-water mark is not read from until it has drained. One that throws
/// loses that session only, which is closed with 1011.
///
/// An open session may move to another worker, and to another process: to the same app there, in
/// this version or another. The peer notices nothing, so it is neither opened nor closed:
///   source   can_move(), pack() --sent, and acknowledged by the target--> on_leave()
///   target   on_arrive()
/// From pack() on the source hears nothing of the session, until on_leave() or, where the target
/// did not take it, until it goes on as if nothing had been. For a while both have its state: what
/// must not be done twice is to be undone in on_leave(), not in pack().
class Handler {
 public:
  Handler() = default;
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;
  virtual ~Handler() = default;

  virtual void on_open(Peer& /*peer*/) {}
  virtual void on_message(Peer& peer, const Message& message) = 0;
  /// The session is over: nothing can be sent any more. `code` is the peer's, or ours where we
  /// closed first; abnormal (1006) where there was no closing handshake.
  virtual void on_close(Peer& /*peer*/, wire::CloseCode /*code*/) {}

  /// Whether this session may move now. One that may not stays, and is closed with 1012 where its
  /// worker has to end.
  [[nodiscard]] virtual bool can_move(const Peer& /*peer*/) { return true; }
  /// Appends to `out` what the app knows of the session; the app's own format, with whatever
  /// on_arrive() needs to tell its versions apart. Changes nothing, and is not to send. The size
  /// that a target takes is limited (ParcelLimits::app_state_bytes_max).
  virtual void pack(Peer& /*peer*/, std::vector<std::byte>& /*out*/) {}
  /// A session that was open elsewhere is open here; in place of on_open(). `state` is what pack()
  /// wrote there, from any version of the app: what it cannot use is a reason to close.
  virtual void on_arrive(Peer& /*peer*/, std::span<const std::byte> /*state*/) {}
  /// The session goes on elsewhere and is over here; in place of on_close(). Nothing can be sent.
  virtual void on_leave(Peer& /*peer*/) {}
};

}  // namespace weir::session
