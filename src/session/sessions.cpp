// The life of a session: adoption, states, deadlines, release.
#include "weir/session/sessions.h"

#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "peer_name.h"
#include "weir/base/log.h"

namespace weir::session {

using wire::CloseCode;

Sessions::Sessions(io::Ring& ring, io::BufferRing& buffers, Handler& handler, Gate& gate,
                   tls::Context* tls, const SessionRules& rules, Instant now)
    : ring_{ring},
      buffers_{buffers},
      handler_{handler},
      gate_{gate},
      tls_{tls},
      rules_{rules},
      upgrade_rules_{rules.upgrade},
      followed_{.idle_timeout = rules.idle_timeout,
                .ping_interval = rules.ping_interval,
                .message_rate = rules.message_rate},
      timers_{now},
      now_{now} {}

Sessions::~Sessions() {
  for (const auto& chunk : slab_) {
    for (Session& session : *chunk) {
      if (session.state != State::free) ::close(session.fd);
      give_back_blocks(session);
    }
  }
}

void Sessions::give_back_blocks(Session& session) noexcept {
  blocks_.give_back(session.sending);
  blocks_.give_back(session.queued);
  blocks_.give_back(session.gathered);
  if (session.secure) blocks_.give_back(session.secure->wire);
}

Session& Sessions::of(io::Tag tag) noexcept {
  Session& session = at(static_cast<std::uint32_t>(tag.slot));
  assert(session.state != State::free);
  assert((session.generation & 0xff'ffffU) == tag.generation);
  return session;
}

Session& Sessions::take_place() {
  if (free_places_.empty()) {
    const auto first = static_cast<std::uint32_t>(slab_.size() * kSlabChunk);
    slab_.push_back(std::make_unique<std::array<Session, kSlabChunk>>());
    for (std::uint32_t i = kSlabChunk; i-- > 0;) {  // lowest on top
      (*slab_.back())[i].slot = first + i;
      free_places_.push_back(first + i);
    }
  }
  const std::uint32_t slot = free_places_.back();
  free_places_.pop_back();
  return at(slot);
}

void Sessions::enter(Session& session, State state, Instant now) {
  session.state = state;
  session.since = now;
  if (state != State::open) stop_leaving(session);  // it ends here
  timers_.arm(session.slot, deadline(session));
}

Instant Sessions::deadline(const Session& session) const noexcept {
  switch (session.state) {
    case State::handshaking: return session.since + rules_.handshake_timeout;
    case State::open: {
      Instant next = Instant::max();
      if (rules_.idle_timeout.count() > 0)
        next = std::min(next, session.heard_at + rules_.idle_timeout);
      if (rules_.ping_interval.count() > 0)
        next = std::min(next, std::max(session.heard_at, session.since) + rules_.ping_interval);
      return next;
    }
    case State::closing:
    case State::lingering: return session.since + rules_.close_timeout;
    case State::releasing:
    case State::free: break;
  }
  return Instant::max();
}

void Sessions::run_deadlines(Instant now) {
  now_ = now;
  leave_at_last();
  timers_.run_until(now, [&](std::uint32_t slot) { expire(at(slot), now); });
}

void Sessions::expire(Session& session, Instant now) {
  if (session.state == State::free || session.state == State::releasing) return;
  if (now < deadline(session)) {  // heard from since, or over a round of the wheel away
    timers_.arm(session.slot, deadline(session));
    return;
  }
  if (session.state == State::handshaking) {
    // The request of one that leaves came in time.
    return session.leaving ? stop_leaving(session) : handshake_expired(session, now);
  }
  if (session.state != State::open) return release(session, CloseCode::abnormal);
  if (rules_.idle_timeout.count() > 0 && now >= session.heard_at + rules_.idle_timeout) {
    ++traffic_.idle_timeouts;
    spdlog::debug("{}: closed: idle", PeerName{session});
    return begin_close(session, CloseCode::going_away, "idle timeout", now);
  }
  send_frame(session, wire::Opcode::ping, {});
  session.since = now;
  timers_.arm(session.slot, deadline(session));
}

void Sessions::rules_changed(Instant now) {
  now_ = now;
  const bool draining = upgrade_rules_.draining;
  upgrade_rules_ = rules_.upgrade;
  upgrade_rules_.draining = draining;
  const Followed before = std::exchange(followed_, {.idle_timeout = rules_.idle_timeout,
                                                    .ping_interval = rules_.ping_interval,
                                                    .message_rate = rules_.message_rate});
  for (const auto& chunk : slab_)
    for (Session& session : *chunk)
      if (session.state != State::free && session.state != State::releasing)
        follow_rules(session, before, now);
}

void Sessions::follow_rules(Session& session, const Followed& before, Instant now) {
  session.decoder.limit_messages(rules_.message_bytes_max);
  // What it has paid ahead was at another rate, and may be more than this one lets anyone.
  if (rules_.message_rate != before.message_rate)
    session.messages_paid = std::min(session.messages_paid, now);
  // Silence that was in order so far must not end a session that would have answered a ping.
  const bool other_times =
      rules_.idle_timeout != before.idle_timeout || rules_.ping_interval != before.ping_interval;
  if (other_times && rules_.ping_interval.count() > 0)
    session.heard_at = std::max(session.heard_at, now - rules_.ping_interval);
  timers_.arm(session.slot, deadline(session));
}

void Sessions::begin_close(Session& session, CloseCode code, std::string_view reason, Instant now) {
  if (session.state != State::open) return;
  send_close(session, code, reason);
  enter(session, State::closing, now);
  tell_closed(session, code);
}

/// Fails the connection (RFC 6455, 7.1.7): our close, and no waiting for the peer's.
void Sessions::fail(Session& session, CloseCode code, std::string_view reason, Instant now) {
  spdlog::debug("{}: closed with {}: {}", PeerName{session}, static_cast<unsigned>(code), reason);
  if (session.state == State::open) send_close(session, code, reason);
  linger(session, code, now);
}

void Sessions::fail_on(Session& session, wire::FrameError error, Instant now) {
  ++(error == wire::FrameError::message_too_big ? traffic_.too_big : traffic_.protocol_errors);
  fail(session, wire::close_code_for(error), wire::to_string(error), now);
}

void Sessions::linger(Session& session, CloseCode code, Instant now) {
  enter(session, State::lingering, now);
  tell_closed(session, code);
  blocks_.give_back(session.gathered);
  session.opening.reset();
  session.contexts.reset();
  session.receive_paused = false;  // what comes now is dropped, and its end is what we wait for
  list_for_flush(session);
}

void Sessions::release(Session& session, CloseCode code) {
  if (session.state == State::releasing) return;
  session.state = State::releasing;
  session.leaving = false;
  unlist(session);
  tell_closed(session, code);
  timers_.disarm(session.slot);
  if (session.receive_armed || session.send_in_flight) {
    ring_.cancel_all(session.fd);  // free_if_done() follows each completion
  } else {
    free_if_done(session);
  }
}

void Sessions::tell_closed(Session& session, CloseCode code) {
  if (!session.opened) return;
  session.opened = false;
  Peer peer{*this, session};
  handler_.on_close(peer, code);
}

void Sessions::free_if_done(Session& session) {
  if (session.state != State::releasing || session.receive_armed || session.send_in_flight) return;
  if (witness_ != nullptr && session.counted_open) witness_->went(session);
  ring_.close(session.fd);
  session.fd = -1;
  give_back_blocks(session);
  session.opening.reset();
  session.secure.reset();
  session.contexts.reset();
  session.client.reset();
  session.state = State::free;
  gate_.left(session.slot);
  if (session.counted_open) --open_count_;
  free_places_.push_back(session.slot);
  --count_;
  ++(session.left ? traffic_.left : traffic_.ended);
}

std::size_t Sessions::close_some(std::size_t count, CloseCode code, std::string_view reason,
                                 Instant now, Which which) {
  now_ = now;
  const std::size_t places = slab_.size() * kSlabChunk;
  std::size_t closed = 0;
  for (std::size_t looked = 0; looked < places && closed < count; ++looked) {
    Session& session = at(static_cast<std::uint32_t>(close_next_));
    close_next_ = (close_next_ + 1) % places;
    if (session.state != State::open) continue;
    if (which == Which::that_stay && (session.leaving || may_leave(session))) continue;
    begin_close(session, code, reason, now);
    ++closed;
  }
  return closed;
}

void Sessions::drop_handshakes() {
  for (const auto& chunk : slab_)
    for (Session& session : *chunk)
      if (session.state == State::handshaking) release(session, CloseCode::abnormal);
}

}  // namespace weir::session
