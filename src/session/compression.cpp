// Compression: whole messages through permessage-deflate, in both directions.
#include <algorithm>
#include <utility>

#include "weir/session/sessions.h"
#include "weir/wire/utf8.h"

namespace weir::session {

using wire::FrameError;
using wire::Opcode;

namespace {

/// What a message is first given room for, as a multiple of what came; then the room doubles.
constexpr std::size_t kGuess = 4;
constexpr std::size_t kRoomMin = 1'024;

}  // namespace

void Sessions::agree_on(Session& session, const wire::DeflateTerms& terms) {
  session.compressing = true;
  session.window_bits = terms.server_window_bits & 0xf;
  if (terms.server_no_context_takeover && terms.client_no_context_takeover) return;
  session.contexts = std::make_unique<Contexts>();
  if (!terms.server_no_context_takeover)
    session.contexts->out.emplace(terms.server_window_bits, true);
  if (!terms.client_no_context_takeover)
    session.contexts->in.emplace(terms.client_window_bits, true);
}

void Sessions::inflate(Session& session, Opcode opcode, std::span<const std::byte> payload) {
  using Kind = wire::Inflater::Step::Kind;
  const bool own = session.contexts && session.contexts->in;
  if (!own && !inflater_) inflater_.emplace(wire::kWindowBitsMax, false);
  wire::Inflater& inflater = own ? *session.contexts->in : *inflater_;

  // One byte of room past the limit tells a message that fills it from one that passes it.
  const std::size_t room_max = rules_.message_bytes_max + 1;
  Block message;
  std::size_t room = std::max(payload.size() * kGuess, kRoomMin);
  Kind kind = Kind::more_room;
  while (kind == Kind::more_room && message.size < room_max) {
    const std::span out = blocks_.extend(message, std::min(room, room_max - message.size));
    const auto step = inflater.inflate(payload, true, out);
    message.size -= static_cast<std::uint32_t>(out.size() - step.bytes);
    kind = step.kind;
    room = std::max<std::size_t>(message.size, kRoomMin);
  }
  FrameError error = FrameError::none;
  if (kind == Kind::corrupt)
    error = FrameError::inflate_failed;
  else if (message.size > rules_.message_bytes_max)
    error = FrameError::message_too_big;
  else if (opcode == Opcode::text && !wire::is_utf8(message.bytes()))
    error = FrameError::invalid_utf8;

  if (error == FrameError::none) {
    ++traffic_.compressed_in;
    deliver(session, opcode, message.bytes());
  } else {
    if (!own) inflater.reset();
    fail_on(session, error, now_);
  }
  blocks_.give_back(message);
}

/// False where the message would not get smaller, and nothing was queued.
bool Sessions::send_compressed(Session& session, Opcode opcode,
                               std::span<const std::byte> payload) {
  const bool own = session.contexts && session.contexts->out;
  const std::uint8_t bits = session.window_bits;
  std::optional<wire::Deflater>& shared = deflaters_[bits];
  if (!own && !shared) shared.emplace(bits, false);
  wire::Deflater& deflater = own ? *session.contexts->out : *shared;

  Block deflated;
  const std::span out = blocks_.extend(deflated, deflater.bound(payload.size()));
  const std::size_t bytes = deflater.deflate(payload, out);
  // What a context has seen must be sent: the other end's has to see the same.
  const bool pays = own || bytes < payload.size();
  if (pays) {
    ++traffic_.compressed_out;
    send_frame(session, opcode, out.first(bytes), true);
  }
  blocks_.give_back(deflated);
  return pays;
}

}  // namespace weir::session
