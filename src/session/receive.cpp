// Receiving: completions to bytes, bytes to a handshake or to messages.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>

#include "call_handler.h"
#include "peer_name.h"
#include "weir/session/sessions.h"

namespace weir::session {

using wire::CloseCode;
using wire::Event;
using wire::Opcode;

void Sessions::on_receive(const io::Completion& completion, Instant now) {
  now_ = now;
  Session& session = of(completion.tag);
  session.receive_armed = completion.more();
  if (completion.result > 0) {
    const auto bytes = static_cast<std::size_t>(completion.result);
    const std::uint16_t buffer = *completion.buffer();
    traffic_.bytes_in += bytes;
    session.heard_at = now;
    take(session, buffers_.lent(buffer, bytes), now);
    buffers_.give_back(buffer);
  } else {
    receive_ended(session, completion.result, now);
  }
  keep_receiving(session);
  free_if_done(session);
}

void Sessions::receive_ended(Session& session, int result, Instant now) {
  if (session.state == State::releasing) return;
  switch (-result) {
    case 0:  // the peer ended its direction: with a closing handshake before, or without
      session.end_of_stream = true;
      if (session.state == State::lingering) return list_for_flush(session);
      return linger(session, CloseCode::abnormal, now);  // what is queued may still reach it
    case ENOBUFS:    // every buffer was taken in this batch, which ends the multishot
    case ECANCELED:  // paused
      return;        // armed again by keep_receiving()
    case ECONNRESET:
    case EPIPE:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH: return release(session, CloseCode::abnormal);  // ordinary
    default:
      spdlog::error("receive on descriptor {} failed: errno {}", session.fd, -result);
      return release(session, CloseCode::abnormal);
  }
}

void Sessions::keep_receiving(Session& session) {
  const io::Tag tag = io::Tag::of(io::Op::receive, session.slot, session.generation);
  const bool wanted =
      session.state != State::free && session.state != State::releasing && !session.end_of_stream;
  if (!wanted) return;
  const bool over =
      session.state != State::lingering && session.backlog_bytes() > rules_.high_water_bytes;
  if (over && !session.receive_paused) {
    session.receive_paused = true;
    if (session.receive_armed) ring_.cancel(tag);
  }
  if (session.receive_paused || session.receive_armed) return;
  session.receive_armed = true;
  ring_.receive_multishot(session.fd, buffers_.group(), tag);
}

void Sessions::take(Session& session, std::span<std::byte> in, Instant now) {
  if (session.awaits_proxy && session.state == State::handshaking &&
      !take_proxy_header(session, in, now))
    return;
  if (session.secure) return take_ciphertext(session, in, now);
  take_plaintext(session, in, now);
}

void Sessions::take_plaintext(Session& session, std::span<std::byte> in, Instant now) {
  if (session.state == State::handshaking) take_upgrade(session, in, now);
  if (session.state == State::open || session.state == State::closing)
    take_frames(session, in, now);
  // lingering and releasing: dropped
}

void Sessions::take_frames(Session& session, std::span<std::byte> in, Instant now) {
  // The state changes under us when a handler closes: then data is dropped, and what counts is
  // the peer's own close.
  while (session.state == State::open || session.state == State::closing) {
    const Event event = session.decoder.next(in);
    switch (event.kind) {
      case Event::Kind::need_more: return;
      case Event::Kind::data: take_data(session, event); break;
      case Event::Kind::ping:
        if (session.state == State::open && within_rate(session))
          send_frame(session, Opcode::pong, event.bytes);
        break;
      case Event::Kind::pong: break;  // heard_at is what it was for
      case Event::Kind::close:
        // 5.5.1: answered with the same code; not again if the first close was ours.
        if (session.state == State::open) send_close(session, event.code, {});
        return linger(session, event.code, now);
      case Event::Kind::error: return fail_on(session, event.error, now);
    }
  }
}

void Sessions::take_data(Session& session, const Event& event) {
  if (session.state != State::open) return;
  if (event.first && !within_rate(session)) return;
  if (event.first && event.last) {
    if (event.compressed) return inflate(session, event.opcode, event.bytes);
    return deliver(session, event.opcode, event.bytes);
  }
  blocks_.append(session.gathered, event.bytes);
  if (!event.last) return;
  // Out of the session first: the handler may close it, which gives its blocks back.
  Block message = std::exchange(session.gathered, Block{});
  if (event.compressed)
    inflate(session, event.opcode, message.bytes());
  else
    deliver(session, event.opcode, message.bytes());
  blocks_.give_back(message);
}

void Sessions::deliver(Session& session, Opcode opcode, std::span<std::byte> bytes) {
  ++traffic_.messages_in;
  call_handler(session, [&](Peer& peer) {
    handler_.on_message(peer, Message{.opcode = opcode, .bytes = bytes});
  });
}

/// Lets one more message in, or closes. The bucket is kept as in steering's clients.h.
bool Sessions::within_rate(Session& session) {
  const Rate rate = rules_.message_rate;
  if (rate.per_second == 0) return true;
  const Duration interval = Duration{std::chrono::seconds{1}} / rate.per_second;
  const Instant paid = std::max(session.messages_paid, now_) + interval;
  if (paid - now_ <= interval * rate.burst) {
    session.messages_paid = paid;
    return true;
  }
  ++traffic_.too_chatty;
  fail(session, CloseCode::policy_violation, "message rate exceeded", now_);
  return false;
}

}  // namespace weir::session
