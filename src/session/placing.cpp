// Placing: sessions that go to another worker in their opening. Its request is read and found good
// where the connection was accepted, and not answered: it goes to its worker as it came, with what
// came right behind it, by the same way as an open session (transfer.cpp), and is read and answered
// there. Until it has gone it can still be answered here, which ends every attempt that fails.
//
// It goes once. Who takes it in answers it, whoever's it may be by then.

#include <algorithm>
#include <utility>
#include <vector>

#include "weir/session/sessions.h"

namespace weir::session {

/// Whether the session goes to another worker; else it is to be answered here.
bool Sessions::goes_elsewhere(Session& session, const wire::UpgradeRequest& request, Instant now) {
  using Verdict = Placement::Kind;
  if (session.placed) return false;
  const Placement placement = placer_->place(request, now);
  switch (placement.kind) {
    case Verdict::here: return false;
    case Verdict::no_key: ++traffic_.hash_no_key; return false;
    case Verdict::there:
      if (session.secure) {
        ++traffic_.hash_tls;
        return false;
      }
      if (carrier_ == nullptr) break;
      session.target = static_cast<std::uint16_t>(placement.slot);
      return true;
    case Verdict::stays: break;
  }
  ++traffic_.hash_stayed;
  return false;
}

/// on_receive() has it leave once nothing of it is in the kernel: at the earliest when it is done
/// with what it is in the midst of.
void Sessions::begin_placing(Session& session, std::string_view request,
                             std::span<const std::byte> behind) {
  auto opening = std::make_unique<Opening>();  // the old one may hold `request`
  opening->pending.reserve(request.size() + behind.size());
  const auto head = std::as_bytes(std::span{request});
  opening->pending.assign(head.begin(), head.end());
  opening->pending.insert(opening->pending.end(), behind.begin(), behind.end());
  session.opening = std::move(opening);
  session.placed = true;
  session.leaving = true;
  if (session.receive_armed) ring_.cancel(receive_tag(session));
}

/// What came before the receive was cancelled.
void Sessions::add_pending(Session& session, std::span<const std::byte> in) {
  std::vector<std::byte>& pending = session.opening->pending;
  pending.insert(pending.end(), in.begin(), in.end());
}

/// It could not go, and is answered here. What came behind the request lies in no receive buffer,
/// and nothing is forwarded from where it lies: the answer is queued before it.
void Sessions::stop_placing(Session& session) {
  ++traffic_.hash_stayed;
  const std::unique_ptr<Opening> opening = std::move(session.opening);
  take_plaintext(session, opening->pending, now_);
  keep_receiving(session);
}

void Sessions::arrive_opening(UniqueFd& fd, const Parcel& parcel, bool came_back, Instant now) {
  Session& session = take_in(std::move(fd), now);
  session.placed = true;
  session.state = State::handshaking;
  session.since = std::min(parcel.since, now);
  session.heard_at = std::min(parcel.heard_at, now);
  if (parcel.client) session.client = std::make_unique<SocketAddress>(*parcel.client);
  take_over_account(session, now);
  ++traffic_.arrived;
  if (came_back) ++traffic_.hash_stayed;
  timers_.arm(session.slot, deadline(session));
  std::vector<std::byte> pending{parcel.request.begin(), parcel.request.end()};
  take_plaintext(session, pending, now);
  keep_receiving(session);
}

}  // namespace weir::session
