// TLS between the socket and the session: ciphertext received becomes plaintext taken, and what is
// queued becomes ciphertext just before it is sent, so that a turn's frames share their records.

#include <utility>

#include "peer_name.h"
#include "weir/base/log.h"
#include "weir/session/sessions.h"

namespace weir::session {

using wire::CloseCode;
using Kind = tls::Stream::Kind;

namespace {

class BlockSink final : public tls::Sink {
 public:
  BlockSink(BlockPool& pool, Block& block) noexcept : pool_{pool}, block_{block} {}
  void put(std::span<const std::byte> ciphertext) override { pool_.append(block_, ciphertext); }

 private:
  BlockPool& pool_;
  Block& block_;
};

/// TLS begins with a record of type 22; a request line with a letter.
bool begins_http(std::byte first) noexcept {
  const auto c = std::to_integer<char>(first);
  return c >= 'A' && c <= 'Z';
}

// 37 bytes of body.
constexpr std::string_view kSpeakTls =
    "HTTP/1.1 400 Bad Request\r\n"
    "Connection: close\r\n"
    "Content-Type: text/plain\r\n"
    "Content-Length: 37\r\n"
    "\r\n"
    "this port takes TLS: https:// wss://\n";

}  // namespace

void Sessions::take_ciphertext(Session& session, std::span<std::byte> in, Instant now) {
  Secure& secure = *session.secure;
  if (in.empty() || secure.failed) return;
  if (!std::exchange(secure.begun, true) && begins_http(in.front()))
    return answer_plain_http(session, now);

  BlockSink sink{blocks_, secure.wire};
  secure.stream->feed(in);
  Kind kind = Kind::data;
  while (kind == Kind::data && session.state != State::releasing) {
    const auto read = secure.stream->read(plaintext_, sink);
    kind = read.kind;
    if (secure.stream->established() && !std::exchange(secure.established, true)) {
      ++traffic_.tls_established;
      if (secure.stream->resumed()) ++traffic_.tls_resumed;
    }
    if (kind == Kind::data) take_plaintext(session, std::span{plaintext_}.first(read.bytes), now);
  }
  if (session.state == State::releasing) return;
  if (secure.wire.size > 0) list_for_flush(session);
  if (kind == Kind::failed) {
    ++traffic_.tls_failed;
    spdlog::debug("{}: TLS failed: {}", PeerName{session}, secure.stream->why());
    secure.failed = true;
    blocks_.give_back(session.queued);  // there is nothing left that could carry it
    session.lead = 0;
  }
  // Without a closing handshake before, close_notify and failure are an end of the stream like any.
  if (kind != Kind::need_more && session.state != State::lingering)
    linger(session, CloseCode::abnormal, now);
}

/// The most likely mistake, http:// for https://, gets an answer that its maker can read.
void Sessions::answer_plain_http(Session& session, Instant now) {
  ++traffic_.rejected;
  session.secure.reset();
  send_raw(session, kSpeakTls);
  linger(session, CloseCode::abnormal, now);
}

/// Moves what is queued to the wire. False if the stream breaks on it.
bool Sessions::seal(Session& session) {
  Secure& secure = *session.secure;
  if (session.queued.size == 0 || secure.failed) return true;
  BlockSink sink{blocks_, secure.wire};
  const bool written =
      secure.stream->write(session.queued.bytes().subspan(std::exchange(session.lead, 0)), sink);
  blocks_.give_back(session.queued);
  return written;
}

/// Says close_notify after the last of the output, once. Whether there is something to send now.
bool Sessions::close_tls(Session& session) {
  Secure& secure = *session.secure;
  if (secure.failed || std::exchange(secure.closed, true)) return false;
  BlockSink sink{blocks_, secure.wire};
  secure.stream->close(sink);
  return secure.wire.size > 0;
}

}  // namespace weir::session
