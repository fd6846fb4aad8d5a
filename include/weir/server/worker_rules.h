// WorkerRules: what a worker keeps to and can be told anew while it serves, as plain data and as
// the bytes of the letter that tells it (process/inbox.h).
//
// A letter holds all of the rules, not what has changed of them, so that whoever missed one lacks
// nothing once it has the next. It may wait in the inbox of a worker that hangs and be read by its
// successor, who knows better: hence the time at which rules were made. The later ones hold.
//
// The layout has a version, because the two ends may be different versions of weir while the
// binary is replaced; a reader refuses any but its own. Version 3. All numbers are little-endian.
//
//   offset size  meaning
//        0    4  "wrul"
//        4    4  version
//        8    8  size of the letter in bytes, all of it
//       16    8  when the rules were made  |
//       24    8  hang threshold            |
//       32    8  drain timeout             | nanoseconds; the first of CLOCK_MONOTONIC
//       40    8  handshake timeout         |
//       48    8  idle timeout              |
//       56    8  ping interval             |
//       64    8  close timeout             |
//       72    8  busy polling              |
//       80    8  bytes of a request at the most
//       88    8  of its request line
//       96    8  of a message
//      104    8  of the smallest message that is compressed
//      112    8  of a backlog
//      120    8  of the high-water mark
//      128    4  messages a second; 0: any number
//      132    4  messages at once
//      136    1  log level: 0 trace, 1 debug, 2 info, 3 warn, 4 error
//      137    1  compression: 0 off, 1 shared, 2 dedicated
//      138    1  window bits of dedicated compression, 9 to 15
//      139    1  slow consumer: 0 close, 1 drop
//      140    4  bytes of the health path: H
//      144    4  how many paths,
//      148    4    origins,
//      152    4    subprotocols
//      156    4    and networks of proxies there are
//      160    4  what uri-hash goes by: 0 path, 1 query, 2 header, 3 cookie
//      164    4  bytes of the name of that: K
//      168    H  health path, K of that name, then each of these in turn: 4 bytes of length, and as
//                many as that; a network is written as Cidr::to_string() does
//       -4    4  CRC-32 (zlib's) of all before it
#pragma once

#include <spdlog/common.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "weir/base/clock.h"
#include "weir/base/result.h"
#include "weir/session/sessions.h"

namespace weir::server {

struct WorkerRules {
  Instant made_at{};               // of two, the later one holds
  session::SessionRules sessions;  // the app's name is not in the letter: it stays
  Duration hang_threshold = std::chrono::milliseconds{50};  // 0: no signs of life needed
  Duration busy_poll{};                                     // looked before a sleep; 0: never
  Duration drain_timeout = std::chrono::seconds{10};        // that closes are spread over
  spdlog::level::level_enum log_level = spdlog::level::info;
};

/// The letter.
[[nodiscard]] std::vector<std::byte> pack(const WorkerRules& rules);

/// What a letter says. Refuses another version, and whatever pack() could not have written.
[[nodiscard]] Result<WorkerRules> unpack_rules(std::span<const std::byte> letter);

}  // namespace weir::server
