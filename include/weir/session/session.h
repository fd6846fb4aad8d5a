// Session: the state of one connection. Plain data; Sessions is what acts on it.
#pragma once

#include <cstdint>
#include <memory>

#include "weir/base/clock.h"
#include "weir/session/block_pool.h"
#include "weir/wire/frame.h"
#include "weir/wire/upgrade.h"

namespace weir::session {

// free --adopt--> handshaking --101 queued--> open --our close queued--> closing
//                      |                       |  --peer's close, bad frame, end of stream--\ . |
//                      |                                             v |                       |
//                      closing --peer's close--> lingering
//                      \--refusal queued, end of stream----------------------------------^
// lingering: output drains, then we half-close, then the peer's end of stream is awaited, so that
//   no reset can overtake what was sent (RFC 9112, section 9.6); input is dropped.
// lingering --drained and peer's end of stream--> releasing
// any --deadline or transport error--> releasing --last operation completed--> free
enum class State : std::uint8_t { free, handshaking, open, closing, lingering, releasing };

struct Session {
  int fd = -1;
  std::uint32_t slot = 0;        // its place in the worker's slab
  std::uint32_t generation = 0;  // counts the slot's uses; 24 bits of it ride in the tags
  State state = State::free;

  bool opened : 1 = false;          // on_open() was called and on_close() was not
  bool receive_armed : 1 = false;   // a multishot receive is in the kernel
  bool receive_paused : 1 = false;  // output is over the high-water mark
  bool send_in_flight : 1 = false;  // `sending` is in the kernel
  bool flush_listed : 1 = false;    // Sessions::flush() will look at it
  bool half_closed : 1 = false;     // we have ended our direction
  bool end_of_stream : 1 = false;   // the peer has ended its direction
  wire::Opcode gathering = wire::Opcode::continuation;  // what `gathered` is part of, if anything

  std::uint32_t sent = 0;  // bytes of `sending` that the kernel has taken
  Block sending;           // stays put while send_in_flight
  Block queued;            // becomes `sending` when that is done
  Block gathered;          // a message that came in pieces, so far

  Instant since;      // entered this state
  Instant heard_at;   // last received anything
  Instant pinged_at;  // last sent a ping of our own

  std::unique_ptr<wire::UpgradeParser> upgrade;  // while handshaking, from the first byte on
  wire::FrameDecoder decoder{wire::Role::server, 0};

  [[nodiscard]] std::size_t backlog_bytes() const noexcept {
    return sending.size - sent + std::size_t{queued.size};
  }
};
static_assert(sizeof(Session) <= 256, "what an idle session may cost, its timer included");

}  // namespace weir::session
