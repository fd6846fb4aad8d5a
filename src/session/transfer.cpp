// Transfer: sessions that go to other workers, and those that come from them.
//
// One that is to go is not read from any more: its receive is cancelled, and a send that waits for
// room too. Once neither is in the kernel, what came first has become part of its state, and what
// is unsent is known to the byte; what has not been received yet stays in the socket. Then it is
// packed and carried off in one step, before which it can still go on here, and after which
// nothing of it is left here.

#include <algorithm>
#include <utility>

#include "call_handler.h"
#include "peer_name.h"
#include "weir/base/log.h"
#include "weir/session/parcel.h"
#include "weir/session/sessions.h"

namespace weir::session {

bool Sessions::may_leave(Session& session) {
  if (session.state != State::open || session.leaving || session.stays || session.secure ||
      carrier_ == nullptr)
    return false;
  return handler_.can_move(Peer{*this, session});
}

std::size_t Sessions::give(std::size_t count, std::uint32_t target) {
  const std::size_t places = slab_.size() * kSlabChunk;
  std::size_t given = 0;
  for (std::size_t looked = 0; looked < places && given < count; ++looked) {
    give_next_ = (give_next_ + 1) % places;
    Session& session = at(static_cast<std::uint32_t>(give_next_));
    if (!may_leave(session)) continue;
    begin_leaving(session, target);
    ++given;
  }
  return given;
}

bool Sessions::may_give() {
  if (open_count_ == 0) return false;
  const std::size_t places = slab_.size() * kSlabChunk;
  for (std::size_t looked = 0; looked < places; ++looked) {  // from where give() looks next
    Session& session = at(static_cast<std::uint32_t>((give_next_ + 1 + looked) % places));
    if (session.state == State::open && (session.leaving || may_leave(session))) return true;
  }
  return false;
}

void Sessions::begin_leaving(Session& session, std::uint32_t target) {
  session.leaving = true;
  session.target = static_cast<std::uint16_t>(target);
  session.receive_paused = false;
  if (session.receive_armed) ring_.cancel(receive_tag(session));
  if (session.send_in_flight)  // one that was tried at once is over by itself
    ring_.cancel(io::Tag::of(io::Op::send, session.slot, session.generation));
  leave_if_ready(session);
}

/// The session goes on here.
void Sessions::stop_leaving(Session& session) {
  if (!session.leaving) return;
  session.leaving = false;
  if (session.state == State::handshaking) return stop_placing(session);
  if (session.sending.size > session.sent && !session.send_in_flight) send_on(session);
  if (session.queued.size > 0) list_for_flush(session);
  keep_receiving(session);
}

void Sessions::leave_if_ready(Session& session) {
  if (!session.leaving || session.receive_armed || session.send_in_flight) return;
  // What lies in a receive buffer is copied out by flush().
  if (session.listed != 0 && to_flush_[session.listed - 1].buffer != kNoBuffer) return;
  if (carrier_ == nullptr) return stop_leaving(session);
  const std::span<const std::byte> parcel = pack_up(session);
  switch (carrier_->carry(session.fd, parcel, session.target)) {
    case Carried::taken: return leave(session);
    case Carried::no_room:
      if (session.waits) return;
      session.waits = true;
      waiting_to_leave_.push_back(
          {.slot = session.slot, .generation = session.generation, .until = now_ + kLeaveWithin});
      return;
    case Carried::gone: return stop_leaving(session);
    case Carried::refused:
      session.stays = session.state == State::open;
      stop_leaving(session);
      return;
  }
}

void Sessions::leave(Session& session) {
  if (session.state == State::handshaking) ++traffic_.hash_moved;
  session.leaving = false;
  session.left = true;
  session.state = State::releasing;
  unlist(session);
  if (session.opened) {
    session.opened = false;
    Peer peer{*this, session};
    handler_.on_leave(peer);
  }
  timers_.disarm(session.slot);
  free_if_done(session);
}

void Sessions::leave_at_last() {
  std::erase_if(waiting_to_leave_, [&](const WaitingToLeave& one) {
    Session& session = at(one.slot);
    if (session.generation != one.generation) return true;  // another's place by now
    if (now_ >= one.until)
      stop_leaving(session);
    else
      leave_if_ready(session);
    if (session.leaving) return false;
    session.waits = false;
    return true;
  });
}

std::span<const std::byte> Sessions::pack_up(Session& session) {
  if (!packing_) packing_ = std::make_unique<Packing>();
  Parcel parcel;
  if (session.client) parcel.client = *session.client;
  parcel.admitted = gate_.asks();
  parcel.since = session.since;
  parcel.heard_at = session.heard_at;
  if (session.state == State::handshaking) {
    parcel.state = Parcel::State::handshaking;
    parcel.request = session.opening->pending;
  } else {
    pack_open(session, parcel);
  }
  packing_->parcel.resize(packed_size(parcel, parcel_version_));
  session::pack(parcel, packing_->parcel, parcel_version_);
  return packing_->parcel;
}

void Sessions::pack_open(Session& session, Parcel& parcel) {
  packing_->app_state.clear();
  Peer peer{*this, session};
  handler_.pack(peer, packing_->app_state);

  parcel.state = Parcel::State::open;
  parcel.app = rules_.app;
  parcel.app_state = packing_->app_state;
  parcel.pinged_at = session.since;
  parcel.messages_paid = session.messages_paid;
  parcel.decoder = session.decoder.save();
  if (session.gathered.size > 0) parcel.gathered = session.gathered.bytes().subspan(kHeadroom);
  parcel.output = {session.sending.bytes().subspan(session.sent),
                   session.queued.bytes().subspan(session.lead)};
  if (session.compressing) parcel.window_bits = session.window_bits;
  if (session.contexts && session.contexts->out)
    parcel.out =
        std::span{packing_->out}.first(session.contexts->out->window(std::span{packing_->out}));
  if (session.contexts && session.contexts->in) {
    const wire::Inflater& in = *session.contexts->in;
    parcel.in = Parcel::Context{
        .window_bits = in.window_bits(),
        .window = std::span{packing_->in}.first(in.window(std::span{packing_->in}))};
  }
}

Result<void> Sessions::arrive(UniqueFd& fd, std::span<const std::byte> packed, bool came_back,
                              Instant now) {
  now_ = now;
  // The limit on messages may have been lowered since the one in progress began, here or there.
  const ParcelLimits limits{.message_bytes_max = BlockPool::kBytesMax / 2,
                            .output_bytes_max = BlockPool::kBytesMax / 2,
                            .request_bytes_max = BlockPool::kBytesMax / 2};
  const auto unpacked = unpack(packed, limits);
  if (!unpacked) return Error{to_string(unpacked.error()), "it stays with the worker it is from"};
  const Parcel& parcel = *unpacked;
  if (parcel.state == Parcel::State::handshaking) {
    arrive_opening(fd, parcel, came_back, now);
    return {};
  }
  if (parcel.state != Parcel::State::open)
    return Error{"a session in transit that is closing", "such do not move"};
  if (parcel.app != rules_.app)
    return Error{fmt::format("a session in transit of the app {}", parcel.app),
                 fmt::format("this worker runs {}", rules_.app)};
  auto decoder =
      wire::FrameDecoder::restore(parcel.decoder, wire::Role::server, limits.message_bytes_max);
  if (!decoder) return Error{"a session in transit whose frames are in no possible state", {}};
  decoder->limit_messages(rules_.message_bytes_max);

  Session& session = take_in(std::move(fd), now);
  session.decoder = std::move(*decoder);
  session.stays = came_back;
  session.since = std::min(std::max(parcel.since, parcel.pinged_at), now);
  session.heard_at = std::min(parcel.heard_at, now);
  // Under the rules that it left it was not: it is pinged before it is closed.
  const bool overdue =
      rules_.idle_timeout.count() > 0 && now >= session.heard_at + rules_.idle_timeout;
  if (overdue && rules_.ping_interval.count() > 0) session.heard_at = now - rules_.ping_interval;
  session.messages_paid = parcel.messages_paid;
  if (parcel.client) session.client = std::make_unique<SocketAddress>(*parcel.client);
  session.compressing = parcel.window_bits != 0;
  session.window_bits = parcel.window_bits & 0xf;
  if (parcel.out || parcel.in) {
    session.contexts = std::make_unique<Contexts>();
    if (parcel.out)
      session.contexts->out.emplace(wire::Deflater::restore(parcel.window_bits, *parcel.out));
    if (parcel.in)
      session.contexts->in.emplace(
          wire::Inflater::restore(parcel.in->window_bits, parcel.in->window));
  }
  if (!parcel.gathered.empty()) {
    (void)blocks_.extend(session.gathered, kHeadroom);
    blocks_.append(session.gathered, parcel.gathered);
  }
  for (const Parcel::Bytes run : parcel.output) blocks_.append(session.queued, run);
  if (session.queued.size > 0) list_for_flush(session);

  take_over_account(session, now);
  ++traffic_.arrived;
  ++open_count_;
  session.counted_open = true;
  session.opened = true;
  session.state = State::open;
  timers_.arm(session.slot, deadline(session));
  if (witness_ != nullptr) witness_->came(session, 0);
  call_handler(session, [&](Peer& peer) { handler_.on_arrive(peer, parcel.app_state); });
  keep_receiving(session);
  return {};
}

/// Its place among its client's connections was given up by the worker it is from.
void Sessions::take_over_account(Session& session, Instant now) {
  if (!gate_.asks()) return;
  if (const auto client = session.client ? *session.client : SocketAddress::peer_of(session.fd))
    gate_.take_over(session.slot, *client, now);
}

}  // namespace weir::session
