// Sending: frames into a session's queue, and queues into the ring, once per loop.
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "peer_name.h"
#include "weir/base/log.h"
#include "weir/session/sessions.h"

namespace weir::session {

using wire::CloseCode;
using wire::Opcode;

bool Peer::send(Opcode opcode, std::span<const std::byte> bytes) {
  return session_.state == State::open && sessions_.send_message(session_, opcode, bytes);
}

void Peer::close(CloseCode code, std::string_view reason) {
  sessions_.begin_close(session_, code, reason, sessions_.now_);
}

bool Peer::forward(const Message& message) {
  return session_.state == State::open &&
         sessions_.forward_message(session_, message.opcode, message.bytes);
}

std::size_t Peer::backlog_bytes() const noexcept {
  return session_.backlog_bytes() +
         (session_.listed != 0 ? sessions_.to_flush_[session_.listed - 1].size : 0);
}

bool Sessions::may_send(Session& session) {
  if (session.backlog_bytes() <= rules_.backlog_bytes_max) [[likely]]
    return true;
  if (rules_.slow_consumer == SlowConsumer::drop) {
    ++traffic_.dropped;
    return false;
  }
  close_overloaded(session);
  return false;
}

void Sessions::close_overloaded(Session& session) {
  ++traffic_.overloaded;
  spdlog::debug("{}: closed: does not take its output", PeerName{session});
  begin_close(session, CloseCode::try_again_later, "slow consumer", now_);
}

bool Sessions::send_message(Session& session, Opcode opcode, std::span<const std::byte> payload) {
  if (!may_send(session)) return false;
  ++traffic_.messages_out;
  const bool worth_trying = session.compressing && payload.size() >= rules_.compress_from_bytes;
  if (!worth_trying || !send_compressed(session, opcode, payload))
    send_frame(session, opcode, payload);
  return true;
}

bool Sessions::forward_message(Session& session, Opcode opcode, std::span<std::byte> bytes) {
  const bool lies = lying_.begin != nullptr && bytes.data() >= lying_.begin &&
                    bytes.data() + bytes.size() <= lying_.end;
  if (lies && lying_.block == nullptr && receiving_.held && receiving_.holder == session.listed) {
    ++traffic_.messages_out;
    send_behind(to_flush_[session.listed - 1], opcode, bytes);
    return true;
  }
  // Before it there must be nothing, or it would overtake that: neither queued nor on its way, nor
  // the rest of a send that was taken back for a move.
  const bool first = session.backlog_bytes() == 0 && !session.send_in_flight;
  if (!lies || !first || session.secure || session.compressing)
    return send_message(session, opcode, bytes);
  ++traffic_.messages_out;
  const bool left = lying_.block != nullptr ? send_from_block(session, opcode, bytes)
                                            : send_from_buffer(session, opcode, bytes);
  if (!left) send_frame(session, opcode, bytes);
  return true;
}

bool Sessions::send_from_block(Session& session, Opcode opcode, std::span<std::byte> bytes) {
  std::byte* const begin = bytes.data() - wire::server_header_bytes(bytes.size());
  const auto lead = static_cast<std::size_t>(begin - lying_.block->data);  // kHeadroom and less
  if (session.listed != 0 || lead > std::numeric_limits<std::uint8_t>::max()) return false;
  wire::put_server_header(begin, opcode, bytes.size());
  session.queued = std::exchange(*lying_.block, Block{});
  session.queued.size =
      static_cast<std::uint32_t>(bytes.data() + bytes.size() - session.queued.data);
  session.lead = static_cast<std::uint8_t>(lead);
  lying_ = {};
  list_for_flush(session);
  return true;
}

/// An earlier message of the same buffer is on its way too: this one moves up behind it. One send
/// for both, and still no other memory than that which the peer's bytes are in.
void Sessions::send_behind(Outgoing& out, Opcode opcode, std::span<std::byte> bytes) {
  const std::size_t header = wire::server_header_bytes(bytes.size());
  std::byte* const begin = out.data + out.size;
  std::memmove(begin + header, bytes.data(), bytes.size());
  wire::put_server_header(begin, opcode, bytes.size());
  out.size += static_cast<std::uint32_t>(header + bytes.size());
}

bool Sessions::send_from_buffer(Session& session, Opcode opcode, std::span<std::byte> bytes) {
  if (receiving_.held) return false;  // by another session's output
  const std::size_t header = wire::server_header_bytes(bytes.size());
  Outgoing& out = outgoing_of(session);
  if (out.buffer != kNoBuffer) return false;  // it has one from before
  // The header that this message came with may lie in an earlier buffer, up to its last byte: then
  // what is before the message is not ours to write to.
  if (static_cast<std::size_t>(bytes.data() - receiving_.begin) < header) return false;
  out.data = bytes.data() - header;
  wire::put_server_header(out.data, opcode, bytes.size());
  out.buffer = receiving_.buffer;
  out.size = static_cast<std::uint32_t>(header + bytes.size());
  receiving_.held = true;
  receiving_.holder = session.listed;
  return true;
}

void Sessions::send_frame(Session& session, Opcode opcode, std::span<const std::byte> payload,
                          bool compressed) {
  const std::size_t header = wire::server_header_bytes(payload.size());
  const std::span out = queue_room(session, header + payload.size());
  wire::put_server_header(out.data(), opcode, payload.size());
  if (compressed) out[0] |= wire::kCompressed;
  std::ranges::copy(payload, out.subspan(header).begin());
}

void Sessions::send_raw(Session& session, std::string_view bytes) {
  std::ranges::copy(std::as_bytes(std::span{bytes}), queue_room(session, bytes.size()).begin());
}

void Sessions::send_close(Session& session, CloseCode code, std::string_view reason) {
  std::array<std::byte, wire::kControlPayloadBytesMax> payload{};
  const std::size_t bytes = wire::encode_close_payload(payload, code, reason);
  send_frame(session, Opcode::close, std::span{payload}.first(bytes));
}

/// Behind all output so far: what lies in a receive buffer is copied to the queue first.
std::span<std::byte> Sessions::queue_room(Session& session, std::size_t bytes) {
  Outgoing& out = outgoing_of(session);
  if (out.buffer != kNoBuffer) {
    blocks_.append(session.queued, {out.data, out.size});
    leave_buffer(out);
  }
  return blocks_.extend(session.queued, bytes);
}

/// Listed by this where it was not.
Sessions::Outgoing& Sessions::outgoing_of(Session& session) {
  if (session.listed == 0) {
    to_flush_.push_back({.slot = session.slot});
    session.listed = static_cast<std::uint32_t>(to_flush_.size());
  }
  return to_flush_[session.listed - 1];
}

void Sessions::unlist(Session& session) noexcept {
  if (session.listed != 0) leave_buffer(to_flush_[session.listed - 1]);
  session.listed = 0;
}

void Sessions::leave_buffer(Outgoing& out) noexcept {
  if (out.buffer == kNoBuffer) return;
  if (out.buffer == receiving_.buffer)
    receiving_.held = false;  // on_receive() is not done with it
  else
    buffers_.give_back(out.buffer);
  out.buffer = kNoBuffer;
  out.size = 0;
}

void Sessions::flush(Instant now) {
  now_ = now;
  for (std::size_t i = 0; i < to_flush_.size(); ++i) {  // by index: a TLS close lists once more
    const Outgoing out = to_flush_[i];
    Session& session = at(out.slot);
    if (session.listed != i + 1) continue;  // released since, and its place perhaps taken anew
    session.listed = 0;
    if (session.leaving) {
      if (out.buffer != kNoBuffer) {
        blocks_.append(session.queued, {out.data, out.size});
        buffers_.give_back(out.buffer);
      }
      leave_if_ready(session);
      continue;
    }
    if (out.buffer != kNoBuffer) {
      send_now(session, out);
      continue;
    }
    if (session.send_in_flight) continue;
    if (session.secure && !seal(session)) {
      ++traffic_.tls_failed;
      release(session, CloseCode::abnormal);
      continue;
    }
    Block& next = session.secure ? session.secure->wire : session.queued;
    if (next.size > 0) {
      start_send(session, next);
    } else {
      send_finished(session);
    }
  }
  to_flush_.clear();
}

void Sessions::start_send(Session& session, Block& next) {
  session.sending = std::exchange(next, Block{});
  session.sent = std::exchange(session.lead, 0);
  // Whoever has something else to do once this has gone must hear of it: the loop may sleep.
  if (session.state != State::open || session.receive_paused) return send_on(session);
  const std::span bytes = session.sending.bytes().subspan(session.sent);
  send_now(session, {.slot = session.slot,
                     .size = static_cast<std::uint32_t>(bytes.size()),
                     .data = bytes.data()});
}

void Sessions::send_now(Session& session, Outgoing out) {
  session.send_in_flight = true;
  ring_.send_now(session.fd, {out.data, out.size},
                 io::Tag::of(io::Op::short_send, static_cast<std::uint32_t>(sent_.size())));
  sent_.push_back(out);
}

/// What lies in the large buffer, which is about to be received into again.
void Sessions::send_at_once(Outgoing& listed) {
  Outgoing out = std::exchange(listed, {.slot = listed.slot});
  Session& session = at(out.slot);
  const ssize_t taken = ::send(session.fd, out.data, out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
  out.result = taken < 0 ? -errno : static_cast<std::int32_t>(taken);
  if (taken == static_cast<ssize_t>(out.size)) {
    traffic_.bytes_out += out.size;
    return;
  }
  fell_short(session, out);
}

void Sessions::begin_batch(const io::Completions& batch) noexcept {
  std::uint32_t brought = 0;
  for (unsigned i = 0; i < batch.size(); ++i) {
    const io::Completion completion = batch[i];
    if (completion.buffer()) ++brought;
    if (completion.tag.operation() == io::Op::short_send)
      sent_[completion.tag.slot].result = completion.result;
  }
  buffers_.begin_batch(brought);
}

void Sessions::finish_sends(Instant now) {
  if (sent_.empty() || !ring_.everything_answered()) return;
  now_ = now;
  for (const Outgoing& out : sent_) {
    Session& session = at(out.slot);
    session.send_in_flight = false;
    if (out.result != kWhole) [[unlikely]] {
      fell_short(session, out);
      continue;
    }
    traffic_.bytes_out += out.size;
    if (out.buffer != kNoBuffer) buffers_.give_back(out.buffer);
    sent_whole(session);
  }
  sent_.clear();
}

/// The rest of what was tried is in `sending` from here on, and waits for room.
void Sessions::fell_short(Session& session, Outgoing out) {
  const std::uint32_t taken = out.result > 0 ? static_cast<std::uint32_t>(out.result) : 0;
  traffic_.bytes_out += taken;
  if (out.buffer != kNoBuffer && out.size - taken > rules_.backlog_bytes_max)
    leave_out_excess(session, out, taken);
  if (out.buffer == kNoBuffer)
    session.sent += taken;
  else
    blocks_.append(session.sending, {out.data + taken, out.size - taken});
  if (out.buffer < kBulkBuffer) buffers_.give_back(out.buffer);
  if (out.result < 0 && out.result != -EAGAIN) return send_failed(session, -out.result);
  if (session.state == State::releasing) return free_if_done(session);
  if (session.leaving) return leave_if_ready(session);
  send_on(session);
}

/// One receive may bring more than a backlog may be, and while there is room for the answers none
/// of it is one. Now that there is not: messages that come behind a backlog over the limit are left
/// out, or the session is closed in their stead.
void Sessions::leave_out_excess(Session& session, Outgoing& out, std::uint32_t taken) {
  if (session.state != State::open) return;
  std::uint32_t kept = out.size;
  std::uint64_t left_out = 0;
  for (std::uint64_t at = 0; at < out.size; at += wire::server_frame_bytes(out.data + at)) {
    if (at <= taken || at - taken <= rules_.backlog_bytes_max) continue;
    if (left_out++ == 0) kept = static_cast<std::uint32_t>(at);
  }
  if (left_out == 0) return;
  // Counted as sent in this very turn: what one receive of another turn brought is less.
  traffic_.messages_out -= left_out;
  out.size = kept;
  if (rules_.slow_consumer == SlowConsumer::drop)
    traffic_.dropped += left_out;
  else
    close_overloaded(session);
}

void Sessions::send_on(Session& session) {
  session.send_in_flight = true;
  // What is last leaves in one packet with our end of the stream, which follows its completion.
  ring_.send(session.fd, session.sending.bytes().subspan(session.sent),
             io::Tag::of(io::Op::send, session.slot, session.generation),
             session.state == State::lingering);
}

void Sessions::on_send(const io::Completion& completion, Instant now) {
  now_ = now;
  Session& session = of(completion.tag);
  session.send_in_flight = false;
  if (completion.result == -ECANCELED && session.state != State::releasing) {  // for a move
    if (session.leaving) return leave_if_ready(session);
    return send_on(session);  // which is off: it ends here
  }
  if (completion.result < 0) return send_failed(session, -completion.result);
  traffic_.bytes_out += static_cast<std::uint64_t>(completion.result);
  session.sent += static_cast<std::uint32_t>(completion.result);
  if (session.state == State::releasing) return free_if_done(session);
  if (session.sent < session.sending.size) {  // a signal cut it short, or our cancel
    if (session.leaving) return leave_if_ready(session);
    return send_on(session);
  }
  sent_whole(session);
}

void Sessions::send_failed(Session& session, int error) {
  switch (error) {
    case ECANCELED:  // our own release
    case EPIPE:      // the peer reset, or never reads and left
    case ECONNRESET:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH: break;
    default: spdlog::error("send on descriptor {} failed: errno {}", session.fd, error);
  }
  release(session, CloseCode::abnormal);
  free_if_done(session);
}

/// What was on its way has gone.
void Sessions::sent_whole(Session& session) {
  blocks_.give_back(session.sending);
  session.sent = 0;
  if (session.state == State::releasing) return free_if_done(session);
  if (session.leaving) return leave_if_ready(session);
  if (session.queued.size > 0 || (session.secure && session.secure->wire.size > 0)) {
    list_for_flush(session);
  } else {
    send_finished(session);
  }
  if (session.receive_paused && session.backlog_bytes() <= rules_.high_water_bytes / 2) {
    session.receive_paused = false;
    keep_receiving(session);
  }
}

void Sessions::send_finished(Session& session) {
  if (session.state != State::lingering) return;
  if (session.secure && close_tls(session)) return list_for_flush(session);
  if (session.end_of_stream) return release(session, CloseCode::abnormal);
  if (session.half_closed) return;
  session.half_closed = true;
  // A system call of its own: in a ring, shutdown always takes the way through a helper thread.
  ::shutdown(session.fd, SHUT_WR);
}

}  // namespace weir::session
