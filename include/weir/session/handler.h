// Handler: what an application is to a worker. One per worker, called from its one thread; what
// it is handed is lent for the call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

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
class Handler {
 public:
  Handler() = default;
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;
  virtual ~Handler() = default;

  virtual void on_open(Peer& /*peer*/) {}
  virtual void on_message(Peer& peer, Message message) = 0;
  /// The session is over: nothing can be sent any more. `code` is the peer's, or ours where we
  /// closed first; abnormal (1006) where there was no closing handshake.
  virtual void on_close(Peer& /*peer*/, wire::CloseCode /*code*/) {}
};

}  // namespace weir::session
