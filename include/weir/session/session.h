// Session: the state of one connection. Plain data; Sessions is what acts on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "weir/base/clock.h"
#include "weir/base/socket_address.h"
#include "weir/session/block_pool.h"
#include "weir/tls/stream.h"
#include "weir/wire/deflate.h"
#include "weir/wire/frame.h"
#include "weir/wire/proxy_protocol.h"
#include "weir/wire/upgrade.h"

namespace weir::session {

// free --adopt--> handshaking --101 queued--> open --our close queued--> closing
//                      |                       |  --peer's close, bad frame, end of stream--\ . |
//                      |                                             v |                       |
//                      closing --peer's close--> lingering
//                      \--answer queued, end of stream-----------------------------------^
// handshaking: the PROXY header where one is due, then the TLS handshake, then the upgrade.
// lingering: output drains, then we half-close, then the peer's end of stream is awaited, so that
//   no reset can overtake what was sent (RFC 9112, section 9.6); input is dropped.
// lingering --drained and peer's end of stream--> releasing
// any --deadline or transport error--> releasing --last operation completed--> free
enum class State : std::uint8_t { free, handshaking, open, closing, lingering, releasing };

/// What only a connection that is not a session yet has, and few need: a request that comes whole
/// is answered without.
struct Opening {
  std::optional<wire::ProxyParser> proxy;      // from its first byte on
  std::optional<wire::UpgradeParser> upgrade;  // of a request that has begun and is not whole
  /// While leaving: the request, which was found good, and what has come behind it.
  std::vector<std::byte> pending;
};

/// The TLS of a connection.
struct Secure {
  std::unique_ptr<tls::Stream> stream;
  Block wire;                // ciphertext that becomes `sending` next
  bool begun = false;        // the first byte has come
  bool established = false;  // and was counted as that
  bool closed = false;       // our close_notify is on its way
  bool failed = false;
};

/// The compression contexts that a session keeps to itself; nothing in a direction without
/// context takeover, which the worker's own serve.
struct Contexts {
  std::optional<wire::Deflater> out;
  std::optional<wire::Inflater> in;
};

struct Session {
  int fd = -1;
  std::uint32_t slot = 0;        // its place in the worker's slab
  std::uint32_t generation = 0;  // counts the slot's uses; 24 bits of it ride in the tags
  State state = State::free;

  bool opened : 1 = false;           // on_open() was called and on_close() was not
  bool counted_open : 1 = false;     // one of Sessions::open_count()
  bool receive_armed : 1 = false;    // a multishot receive or, in bulk, poll is in the kernel
  bool bulk : 1 = false;             // takes much at a time: see Sessions
  bool receive_paused : 1 = false;   // output is over the high-water mark
  bool send_in_flight : 1 = false;   // `sending` is in the kernel
  bool half_closed : 1 = false;      // we have ended our direction
  bool end_of_stream : 1 = false;    // the peer has ended its direction
  bool awaits_proxy : 1 = false;     // the PROXY header has not come
  bool compressing : 1 = false;      // permessage-deflate was agreed
  bool leaving : 1 = false;          // goes to `target` once nothing of it is in the kernel
  bool waits : 1 = false;            // is in Sessions::waiting_to_leave_
  bool left : 1 = false;             // has gone to `target`
  bool stays : 1 = false;            // could not go where it was to
  bool placed : 1 = false;           // goes, went or came by its request, which happens once
  std::uint8_t window_bits : 4 = 0;  // of what is sent compressed
  std::uint8_t gathered_bits = 0;    // the largest message that was gathered is below 2^this
  std::uint8_t small_reads = 0;      // in a row, in bulk
  std::uint8_t lead = 0;             // bytes at the front of `queued` that are no output
  std::uint16_t target = 0;          // slot of another worker
  std::uint32_t listed = 0;  // its place in Sessions::to_flush_, from 1; 0: flush() passes it over
  std::uint32_t sent = 0;    // bytes of `sending` that the kernel has taken, and its lead
  Block sending;             // stays put while send_in_flight
  Block queued;              // plaintext; becomes `sending` when that is done, through TLS if any
  Block gathered;            // a message that came in pieces, so far, behind kHeadroom

  Instant since;          // entered this state; while open, or last sent a ping of our own
  Instant heard_at;       // last received anything
  Instant messages_paid;  // up to when its messages are paid for, where their rate is limited

  std::unique_ptr<Opening> opening;       // while handshaking
  std::unique_ptr<Secure> secure;         // with TLS
  std::unique_ptr<Contexts> contexts;     // with context takeover
  std::unique_ptr<SocketAddress> client;  // as a proxy told it; else the socket's own peer
  wire::FrameDecoder decoder{wire::Role::server, 0};

  /// Unsent output in blocks: without the message that leaves from where it lies.
  [[nodiscard]] std::size_t backlog_bytes() const noexcept {
    return sending.size - sent + std::size_t{queued.size} - lead + (secure ? secure->wire.size : 0);
  }
};
static_assert(sizeof(Session) <= 256 - 12, "what an idle session may cost, its timer included");

}  // namespace weir::session
