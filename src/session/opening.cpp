// Opening: what a connection goes through before it is a session: the PROXY header, then the
// upgrade. TLS, which lies between the two, is in secure.cpp.
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "call_handler.h"
#include "peer_name.h"
#include "weir/base/log.h"
#include "weir/session/sessions.h"

namespace weir::session {

using wire::CloseCode;

namespace {

/// Makes closing a reset: nothing that is sent or received any more matters.
void reset_on_close(int fd) noexcept {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

Opening& opening_of(Session& session) {
  if (!session.opening) session.opening = std::make_unique<Opening>();
  return *session.opening;
}

}  // namespace

void Sessions::adopt(UniqueFd fd, Door door, Instant now) {
  Session& session = take_in(std::move(fd), now);
  session.awaits_proxy = door.proxy;
  enter(session, State::handshaking, now);

  if (door.tls) {
    session.secure = std::make_unique<Secure>();
    if (tls_ != nullptr) session.secure->stream = tls_->open();
    if (!session.secure->stream) return refuse(session, "no memory for its TLS");
    plaintext_.resize(kRecordBytesMax);
  }
  if (door.proxy || gate_.asks()) {
    const std::optional<SocketAddress> peer = SocketAddress::peer_of(session.fd);
    const auto trusted = [&](const Cidr& network) { return peer && network.contains(*peer); };
    if (door.proxy && std::ranges::none_of(rules_.proxy_from, trusted)) {
      ++traffic_.proxy_refused;
      return refuse(session, "not one of the proxies");
    }
    // A peer that is gone already shows so at the first receive.
    if (!door.proxy && peer && !gate_.admit(session.slot, *peer, now))
      return refuse(session, "more connections than one client may have or make");
  }
  keep_receiving(session);
}

Session& Sessions::take_in(UniqueFd fd, Instant now) {
  Session& session = take_place();
  const std::uint32_t slot = session.slot;
  const std::uint32_t generation = session.generation + 1;
  session = Session{};
  session.slot = slot;
  session.generation = generation;
  session.fd = fd.release();
  session.heard_at = now;
  ++count_;
  return session;
}

/// Ends a connection that is no session yet, by a reset.
void Sessions::refuse(Session& session, std::string_view why) {
  spdlog::debug("{}: reset: {}", PeerName{session}, why);
  reset_on_close(session.fd);
  release(session, CloseCode::abnormal);
}

/// False while the header is not whole, and when the connection had to be refused.
bool Sessions::take_proxy_header(Session& session, std::span<std::byte>& in, Instant now) {
  using Progress = wire::ProxyParser::Progress;
  std::optional<wire::ProxyParser>& parser = opening_of(session).proxy;
  if (!parser) parser.emplace();
  switch (parser->feed(in)) {
    case Progress::need_more: return false;
    case Progress::refused:
      ++traffic_.proxy_refused;
      refuse(session, wire::to_string(parser->error()));
      return false;
    case Progress::done: break;
  }
  session.awaits_proxy = false;
  // Without an address the connection is the proxy's own, a check of its: no client's.
  if (parser->source()) {
    session.client = std::make_unique<SocketAddress>(*parser->source());
    if (gate_.asks() && !gate_.admit(session.slot, *session.client, now)) {
      refuse(session, "more connections than one client may have or make");
      return false;
    }
  }
  parser.reset();
  return true;
}

void Sessions::take_upgrade(Session& session, std::span<std::byte>& in, Instant now) {
  using Progress = wire::UpgradeParser::Progress;
  if (in.empty()) return;
  if (session.leaving) return add_pending(session, in);
  // Nearly every request comes whole: only one that does not has its parser kept.
  const bool has_begun = session.opening && session.opening->upgrade;
  std::optional<wire::UpgradeParser> fresh;
  wire::UpgradeParser& parser =
      has_begun ? *session.opening->upgrade : fresh.emplace(upgrade_rules_);
  switch (parser.feed(in)) {
    case Progress::need_more:
      if (fresh) opening_of(session).upgrade = std::move(fresh);
      return;
    case Progress::accepted:
      if (!goes_elsewhere(session, parser.request(), now)) return open(session, parser, now);
      return begin_placing(session, parser.request().head, std::exchange(in, {}));
    case Progress::answered: break;
  }
  send_raw(session, parser.response());
  if (parser.status() >= 400) {
    ++traffic_.rejected;
    spdlog::debug("{}: answered {}", PeerName{session}, parser.status());
  }
  linger(session, CloseCode::abnormal, now);
}

void Sessions::open(Session& session, const wire::UpgradeParser& accepted, Instant now) {
  const std::unique_ptr<Opening> opening = std::move(session.opening);  // may hold `accepted`
  send_raw(session, accepted.response());
  const auto& terms = accepted.request().deflate;
  if (terms) agree_on(session, *terms);
  session.decoder =
      wire::FrameDecoder{wire::Role::server, rules_.message_bytes_max, terms.has_value()};
  session.messages_paid = now;
  ++traffic_.upgraded;
  ++open_count_;
  session.counted_open = true;
  session.opened = true;
  enter(session, State::open, now);
  if (witness_ != nullptr) witness_->came(session, session.backlog_bytes());
  call_handler(session, [this](Peer& peer) { handler_.on_open(peer); });
}

/// A request that has begun is told; who has sent nothing, or nothing but TLS, is not listening
/// for HTTP.
void Sessions::handshake_expired(Session& session, Instant now) {
  ++traffic_.handshake_timeouts;
  spdlog::debug("{}: no upgrade request in time", PeerName{session});
  if (!session.opening || !session.opening->upgrade) return release(session, CloseCode::abnormal);
  session.opening->upgrade->time_out();
  send_raw(session, session.opening->upgrade->response());
  linger(session, CloseCode::abnormal, now);
}

}  // namespace weir::session
