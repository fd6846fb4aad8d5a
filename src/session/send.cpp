// Sending: frames into a session's queue, and queues into the ring, once per loop.
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "peer_name.h"
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

std::size_t Peer::backlog_bytes() const noexcept {
  return session_.backlog_bytes();
}

bool Sessions::send_message(Session& session, Opcode opcode, std::span<const std::byte> payload) {
  if (session.backlog_bytes() > rules_.backlog_bytes_max) {
    if (rules_.slow_consumer == SlowConsumer::drop) {
      ++traffic_.dropped;
      return false;
    }
    ++traffic_.overloaded;
    spdlog::debug("{}: closed: does not take its output", PeerName{session});
    begin_close(session, CloseCode::try_again_later, "slow consumer", now_);
    return false;
  }
  ++traffic_.messages_out;
  const bool worth_trying = session.compressing && payload.size() >= rules_.compress_from_bytes;
  if (!worth_trying || !send_compressed(session, opcode, payload))
    send_frame(session, opcode, payload);
  return true;
}

void Sessions::send_frame(Session& session, Opcode opcode, std::span<const std::byte> payload,
                          bool compressed) {
  std::array<std::byte, wire::kHeaderBytesMax> header{};
  const std::size_t header_bytes =
      wire::encode_header(header, opcode, true, payload.size(), compressed);
  const std::span out = blocks_.extend(session.queued, header_bytes + payload.size());
  std::copy_n(header.begin(), header_bytes, out.begin());
  std::ranges::copy(payload, out.subspan(header_bytes).begin());
  list_for_flush(session);
}

void Sessions::send_raw(Session& session, std::string_view bytes) {
  blocks_.append(session.queued, std::as_bytes(std::span{bytes}));
  list_for_flush(session);
}

void Sessions::send_close(Session& session, CloseCode code, std::string_view reason) {
  std::array<std::byte, wire::kControlPayloadBytesMax> payload{};
  const std::size_t bytes = wire::encode_close_payload(payload, code, reason);
  send_frame(session, Opcode::close, std::span{payload}.first(bytes));
}

void Sessions::list_for_flush(Session& session) {
  if (session.flush_listed) return;
  session.flush_listed = true;
  to_flush_.push_back(session.slot);
}

void Sessions::flush(Instant now) {
  now_ = now;
  for (std::size_t i = 0; i < to_flush_.size(); ++i) {  // by index: a release may not list, but
    Session& session = at(to_flush_[i]);                // a reader should not have to know that
    session.flush_listed = false;
    if (session.state == State::free || session.state == State::releasing) continue;
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
  session.sent = 0;
  session.send_in_flight = true;
  ring_.send(session.fd, session.sending.bytes(),
             io::Tag::of(io::Op::send, session.slot, session.generation));
}

void Sessions::on_send(const io::Completion& completion, Instant now) {
  now_ = now;
  Session& session = of(completion.tag);
  session.send_in_flight = false;
  if (completion.result < 0) {
    switch (-completion.result) {
      case ECANCELED:  // our own release
      case EPIPE:      // the peer reset, or never reads and left
      case ECONNRESET:
      case ETIMEDOUT:
      case EHOSTUNREACH:
      case ENETUNREACH: break;
      default:
        spdlog::error("send on descriptor {} failed: errno {}", session.fd, -completion.result);
    }
    release(session, CloseCode::abnormal);
    return free_if_done(session);
  }
  traffic_.bytes_out += static_cast<std::uint64_t>(completion.result);
  session.sent += static_cast<std::uint32_t>(completion.result);
  if (session.state == State::releasing) return free_if_done(session);
  if (session.sent < session.sending.size) {  // a signal cut it short
    session.send_in_flight = true;
    return ring_.send(session.fd, session.sending.bytes().subspan(session.sent),
                      io::Tag::of(io::Op::send, session.slot, session.generation));
  }
  blocks_.give_back(session.sending);
  session.sent = 0;
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
