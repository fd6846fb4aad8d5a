// Receiving: completions to bytes, bytes to a handshake or to messages.
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

#include "call_handler.h"
#include "peer_name.h"
#include "weir/base/log.h"
#include "weir/session/sessions.h"

namespace weir::session {

using wire::CloseCode;
using wire::Event;
using wire::Opcode;

void Sessions::on_receive(const io::Completion& completion, Instant now) {
  now_ = now;
  Session& session = of(completion.tag);
  session.receive_armed = completion.more();
  if (completion.result <= 0) {
    receive_ended(session, completion.result, now);
  } else if (const auto buffer = completion.buffer()) {
    const auto bytes = static_cast<std::size_t>(completion.result);
    take_received(session, *buffer, buffers_.bytes_of(*buffer, bytes), now);
    if (!std::exchange(receiving_, {}).held) buffers_.give_back(*buffer);
    if (!session.bulk && bytes == buffers_.buffer_bytes()) change_mode(session, true);
  } else {  // a poll's: the events
    read_bulk(session, completion.result, now);
  }
  keep_receiving(session);
  leave_if_ready(session);
  free_if_done(session);
}

void Sessions::read_bulk(Session& session, int events, Instant now) {
  // The end is told once, and may come with bytes before it: then it has to be read up to.
  const bool ended = (events & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
  if (!bulk_) bulk_ = std::make_unique_for_overwrite<std::byte[]>(kBulkBytes);
  if (session.state == State::releasing) return;
  for (int reads = 0; reads < kBulkReadsMax; ++reads) {
    if (over_high_water(session)) return;
    const ssize_t got = ::recv(session.fd, bulk_.get(), kBulkBytes, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return receive_ended(session, got < 0 ? -errno : 0, now);
    const auto bytes = static_cast<std::size_t>(got);
    take_received(session, kBulkBuffer, {bulk_.get(), bytes}, now);
    if (receiving_.held) send_at_once(to_flush_[receiving_.holder - 1]);
    receiving_ = {};
    if (session.state == State::free || session.state == State::releasing || session.leaving)
      return;
    if (bytes >= buffers_.buffer_bytes()) {
      session.small_reads = 0;
    } else if (++session.small_reads >= kSmallReadsMax) {
      return change_mode(session, false);
    }
    if (bytes < kBulkBytes && !ended) return;
  }
  change_mode(session, false);  // its turn is over; arming a receive looks again for more
}

/// keep_receiving() arms what the mode calls for, once the old operation has ended.
void Sessions::change_mode(Session& session, bool bulk) {
  if (session.state == State::releasing) return;
  if (session.receive_armed) ring_.cancel(receive_tag(session));
  session.bulk = bulk;
  session.small_reads = 0;
}

void Sessions::receive_ended(Session& session, int result, Instant now) {
  if (session.state == State::releasing) return;
  switch (-result) {
    case 0:  // the peer ended its direction: with a closing handshake before, or without
      // Whoever answers its request is told of it again.
      if (session.state == State::handshaking && session.leaving) return;
      session.end_of_stream = true;
      if (session.state == State::lingering) return list_for_flush(session);
      return linger(session, CloseCode::abnormal, now);  // what is queued may still reach it
    case ENOBUFS:  // every buffer was taken in this batch, which ends the multishot
      return buffers_.ran_dry();
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
  const bool wanted = session.state != State::free && session.state != State::releasing &&
                      !session.end_of_stream && !session.leaving;
  if (!wanted) return;
  if (over_high_water(session) && !session.receive_paused) {
    session.receive_paused = true;
    if (session.receive_armed) ring_.cancel(receive_tag(session));
  }
  if (session.receive_paused || session.receive_armed) return;
  session.receive_armed = true;
  if (session.bulk)
    ring_.poll_multishot(session.fd, receive_tag(session));
  else
    ring_.receive_multishot(session.fd, buffers_.group(), receive_tag(session));
}

bool Sessions::over_high_water(const Session& session) const noexcept {
  return session.state != State::lingering && session.backlog_bytes() > rules_.high_water_bytes;
}

/// The caller has the buffer back where receiving_ says afterwards that nothing holds it.
void Sessions::take_received(Session& session, std::uint16_t buffer, std::span<std::byte> in,
                             Instant now) {
  traffic_.bytes_in += in.size();
  session.heard_at = now;
  receiving_ = {.buffer = buffer, .begin = in.data()};
  take(session, in, now);
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
  while (true) {
    in = take_whole_messages(session, in);
    if (session.state != State::open && session.state != State::closing) return;
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

/// The ordinary case by itself; returns what is left of `in`.
std::span<std::byte> Sessions::take_whole_messages(Session& session, std::span<std::byte> in) {
  std::byte* at = in.data();
  std::byte* const end = at + in.size();
  while (session.state == State::open) {
    const wire::WholeMessage whole = session.decoder.next_whole(at, end);
    if (whole.begin == nullptr) break;
    at = whole.begin + whole.size;
    if (within_rate(session)) deliver(session, whole.opcode, {whole.begin, whole.size});
  }
  return {at, end};
}

void Sessions::take_data(Session& session, const Event& event) {
  if (session.state != State::open) return;
  if (event.first && !within_rate(session)) return;
  if (event.first && event.last) {
    if (event.compressed) return inflate(session, event.opcode, event.bytes);
    return deliver(session, event.opcode, event.bytes);
  }
  gather(session, event.bytes);
  if (!event.last) return;
  // Out of the session first: the handler may close it, which gives its blocks back.
  Block message = std::exchange(session.gathered, Block{});
  const std::span bytes = message.bytes().subspan(kHeadroom);
  session.gathered_bits =
      std::max(session.gathered_bits, static_cast<std::uint8_t>(std::bit_width(message.size)));
  if (event.compressed)
    inflate(session, event.opcode, bytes);
  else
    deliver(session, event.opcode, bytes, &message);
  blocks_.give_back(message);
}

/// Room is made for what has come, by doubling, so that nothing is allocated for what a peer
/// merely declares; but at once for as much as this peer has sent in one message before.
void Sessions::gather(Session& session, std::span<const std::byte> piece) {
  Block& gathered = session.gathered;
  const std::uint64_t left = session.decoder.frame_bytes_left();
  if (gathered.size == 0) (void)blocks_.extend(gathered, kHeadroom);
  const std::uint64_t declared = gathered.size + piece.size() + left;
  blocks_.reserve(gathered, std::min(declared, (std::uint64_t{1} << session.gathered_bits)));
  blocks_.append(gathered, piece);
}

// The pieces of a message travel as arguments of their own, in registers: as one struct they would
// be stored in parts and loaded whole, which the processor cannot forward.
void Sessions::deliver(Session& session, Opcode opcode, std::span<std::byte> bytes, Block* block) {
  ++traffic_.messages_in;
  lying_ = {.begin = bytes.data(), .end = bytes.data() + bytes.size(), .block = block};
  call_handler(session, [&](Peer& peer) {
    handler_.on_message(peer, Message{.opcode = opcode, .bytes = bytes});
  });
  lying_.begin = nullptr;
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
