#include "recorder.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <ranges>
#include <utility>

#include "weir/base/log.h"
#include "weir/base/socket_address.h"
#include "weir/server/busy_time.h"

namespace weir::server {
namespace {

/// The socket's own number, never given again while the host is up; 0 where there is none.
std::uint64_t cookie_of(int fd) noexcept {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (::getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) != 0) return 0;
  return cookie;
}

/// The client's address without its port.
std::string client_of(const session::Session& session) {
  const auto peer = session.client ? std::optional{*session.client}  //
                                   : SocketAddress::peer_of(session.fd);
  if (!peer || (peer->family() != AF_INET && peer->family() != AF_INET6)) return "unknown";
  std::string text = peer->to_string();
  text.erase(text.rfind(':'));
  return text;
}

}  // namespace

Recorder::Recorder(session::Sessions& sessions, UniqueFd pipe, process::RecordOrder order,
                   Instant now)
    : sessions_{sessions},
      pipe_{std::move(pipe)},
      order_{order},
      looked_at_{now},
      cpu_ns_{thread_cpu_ns()} {
  sessions_.watch_by(this);
  sessions_.each_open(
      [this](const session::Session& session) { open(session, order_.began_ns, 0); });
}

Recorder::~Recorder() {
  sessions_.watch_by(nullptr);
  if (over_) return;
  share_turn();
  for (Tally& tally : tallies_)
    if (tally.open) close(tally);
  ending_ = true;
  close_next_ = tallies_.size();
  write_waiting();
  if (!over_) spdlog::warn("a recording lost {} sessions of this worker", waiting_.size());
}

Recorder::Counts Recorder::counts() const noexcept {
  const session::Traffic& traffic = sessions_.traffic();
  return {.messages = traffic.messages_in, .received = traffic.bytes_in, .sent = traffic.bytes_out};
}

Recorder::Tally& Recorder::tally_at(std::uint32_t place) {
  if (place >= tallies_.size()) tallies_.resize(place + 1);
  return tallies_[place];
}

// --- counting ---------------------------------------------------------------------------------

void Recorder::begin_turn(Instant now) {
  count_sends();
  share_turn();
  if (ending_) {
    close_more();
    if (now >= give_up_at_) over_ = true;
  }
  write_waiting();
  fresh_ = 0;
  cpu_ns_ = thread_cpu_ns();
}

void Recorder::before(std::uint32_t place) {
  const Tally& tally = tally_at(place);
  turn_.push_back({.place = place, .session = tally.open ? tally.piece.session : 0});
  looking_ = true;
  seen_ = counts();
  looked_at_ = monotonic_now();
}

void Recorder::after() {
  attribute();
  looking_ = false;
}

/// What has been counted since the last look is the session's whose completion this is.
void Recorder::attribute() {
  Work& work = turn_.back();
  const Instant now = monotonic_now();
  work.took += now - std::exchange(looked_at_, now);
  const Counts before = std::exchange(seen_, counts());
  Tally& tally = tallies_[work.place];
  if (!tally.open) return;
  tally.piece.messages += seen_.messages - before.messages;
  tally.piece.bytes += seen_.received - before.received;
  const std::uint64_t sent = seen_.sent - before.sent;
  const std::size_t of_handshake = std::min<std::size_t>(tally.unsent, sent);
  tally.unsent -= of_handshake;
  tally.piece.bytes += sent - of_handshake;
}

void Recorder::count_sends() {
  sessions_.each_tried_send([this](std::uint32_t place, std::uint32_t bytes) {
    Tally& tally = tally_at(place);
    if (!tally.open) return;
    const std::size_t of_handshake = std::min<std::size_t>(tally.unsent, bytes);
    tally.unsent -= of_handshake;
    tally.piece.bytes += bytes - of_handshake;
  });
}

/// Shares out the CPU time of the turn that has ended, sends and receives included.
void Recorder::share_turn() {
  Duration took{};
  for (const Work& work : turn_) took += work.took;
  const auto by_clock = static_cast<double>(took.count());
  const auto spent = static_cast<double>(thread_cpu_ns() - cpu_ns_);
  const double had = by_clock > spent ? spent / by_clock : 1;
  const double share =
      turn_.empty() ? 0 : std::max(spent - by_clock, 0.0) / static_cast<double>(turn_.size());
  for (const Work& work : turn_)
    if (admin::SessionPiece* const piece = find(work))
      piece->cost_ns +=
          static_cast<std::uint64_t>(static_cast<double>(work.took.count()) * had + share);
  turn_.clear();
  fresh_ = 0;
}

/// The session of a completion of the turn: still there, or ended since. Null: it was none.
admin::SessionPiece* Recorder::find(const Work& work) noexcept {
  if (work.session == 0) return nullptr;
  Tally& tally = tallies_[work.place];
  if (tally.open && tally.piece.session == work.session) return &tally.piece;
  for (std::size_t back = 1; back <= fresh_; ++back)
    if (waiting_[waiting_.size() - back].session == work.session)
      return &waiting_[waiting_.size() - back];
  return nullptr;
}

// --- sessions ---------------------------------------------------------------------------------

void Recorder::came(const session::Session& session, std::size_t handshake_bytes) {
  if (ending_) return;
  if (looking_) attribute();  // its request is not the session's
  open(session, to_ns(monotonic_now()), handshake_bytes);
}

void Recorder::open(const session::Session& session, std::uint64_t began_ns, std::size_t unsent) {
  const std::uint64_t cookie = cookie_of(session.fd);
  if (cookie == 0) {  // it could not be told from others
    ++missing_;
    return;
  }
  tally_at(session.slot) = {
      .open = true,
      .piece = {.session = cookie, .began_ns = began_ns, .client = client_of(session)},
      .unsent = unsent};
}

void Recorder::went(const session::Session& session) {
  if (session.slot >= tallies_.size() || !tallies_[session.slot].open) return;
  if (looking_ && turn_.back().place == session.slot) attribute();
  close(tallies_[session.slot]);
}

void Recorder::close(Tally& tally) {
  tally.open = false;
  tally.piece.ended_ns = to_ns(monotonic_now());
  if (waiting_.size() >= kWaitingMax && !ending_) {
    ++missing_;
    return;
  }
  waiting_.push_back(std::move(tally.piece));
  ++fresh_;
}

// --- telling ----------------------------------------------------------------------------------

void Recorder::end(Instant now) {
  if (std::exchange(ending_, true)) return;
  give_up_at_ = now + kEndWithin;
}

/// At the end, the sessions that are open, as many as may wait.
void Recorder::close_more() {
  for (; close_next_ < tallies_.size() && waiting_.size() < kWaitingMax; ++close_next_)
    if (tallies_[close_next_].open) close(tallies_[close_next_]);
}

void Recorder::write_waiting() {
  while (!over_ && !waiting_.empty()) {
    if (!write_line(waiting_.front().to_line())) return;
    waiting_.pop_front();
  }
  if (over_ || !ending_ || close_next_ < tallies_.size()) return;
  if (missing_ > 0 && !write_line(admin::missing_line(missing_))) return;
  over_ = true;
}

/// False: the pipe has no room just now, or nobody reads any more, and it is over.
bool Recorder::write_line(const std::string& line) {
  while (::write(pipe_.get(), line.data(), line.size()) < 0) {  // whole or not at all
    switch (errno) {
      case EINTR: continue;
      case EAGAIN: return false;
      case EPIPE: break;  // weirctl is gone
      default: spdlog::error("a recording cannot be written: errno {}", errno);
    }
    over_ = true;
    return false;
  }
  return true;
}

}  // namespace weir::server
