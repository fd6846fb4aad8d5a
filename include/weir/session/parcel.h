// Parcel: one session in transit from one process to another, as plain data and as bytes. The
// descriptor travels beside it; who sends what when is not decided here.
//
// The two ends may be different versions of weir, for a session moves in an upgrade of the binary,
// and in the way back from one that failed. Hence the rule of versions: a reader takes
// kParcelOldest to kParcelNewest, a writer can be asked for any of these, and who is to send asks
// the target first. A version that the reader does not know is refused by name, and its session
// is drained where it is. Every version has "weir", version, size and checksum in these places. A
// layout, once released, stays: what is to be added makes a new version.
//
// Version 1. All numbers are little-endian. What has no meaning in a session's state is 0.
//
//   offset size  meaning
//        0    4  "weir"
//        4    2  version
//        6    1  state: 1 handshaking, 2 open, 3 closing
//        7    1  flags: 1 admitted by the gate, 2 keeps a compression context for what it sends
//        8    8  size of the parcel in bytes, all of it
//       16    8  when it entered its state   |
//       24    8  last received anything      | nanoseconds of CLOCK_MONOTONIC: same host, same boot
//       32    8  last sent a ping of our own |
//       40    8  messages paid up to         |
//       48    2  door: index of the listen address
//       50    2  close code that was sent; 1005 for a close frame without one (closing)
//       52    1  window bits of what is sent compressed, 8 to 15; 0: no compression agreed
//       53    1  window bits of the context kept for what it receives, 8 to 15; 0: none kept
//       54    2  client as a proxy told it: port
//       56    1  and family: 4, 6, or 0 where none did
//       57    1  decoder: stage: 0 header, 1 payload, 2 control
//       58    1    opcode of the message in progress; 0: none
//       59    1    opcode of the control frame in progress; 0: none
//       60    1    flags: 1 the message is compressed, 2 the data frame in progress has FIN
//       61    1    phase of the mask key, 0 to 3
//       62    3    open UTF-8 sequence: bytes it lacks, least and greatest value of the next
//       65    1    bytes of a header or of a control payload that came in pieces: P
//       66    2  bytes of the app's name: N
//       68    4  decoder: mask key, in network order
//       72    8    bytes that the message in progress has declared
//       80    8    bytes left of the frame in progress
//       88   16  client's address, in network order; IPv4 in the first 4
//      104    4  bytes of the upgrade request: R
//      108    4  bytes gathered of the message in progress: G
//      112    4  bytes of unsent output: O
//      116    4  bytes of the window of what is sent: S
//      120    4  bytes of the window of what is received: T
//      124    4  bytes of the app's state: A
//      128    P  pieces of a header or a control payload, then R, G, O, S, T, N and A bytes
//        -4   4  CRC-32 (zlib's) of all before it
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weir/base/clock.h"
#include "weir/base/result.h"
#include "weir/base/socket_address.h"
#include "weir/base/units.h"
#include "weir/wire/close_code.h"
#include "weir/wire/deflate.h"
#include "weir/wire/frame.h"

namespace weir::session {

inline constexpr std::uint16_t kParcelOldest = 1;
inline constexpr std::uint16_t kParcelNewest = 1;

/// What a session is without its descriptor. All bytes are borrowed: from the session by who
/// packs, from the input by who unpacks.
struct Parcel {
  /// States that can move. The others are on their way out, and end where they are.
  ///   handshaking  the upgrade request, whole or not, and nothing else; the PROXY header, should
  ///                one be due, has come
  ///   open         everything but `request` and `close_code`
  ///   closing      our close is sent or in `output`, the peer's is awaited: what the peer says in
  ///                the meantime is dropped, and the app has been told. No gathered bytes, windows
  ///                or app
  enum class State : std::uint8_t { handshaking = 1, open = 2, closing = 3 };
  using Bytes = std::span<const std::byte>;

  State state = State::open;
  bool admitted = false;                  // by the gate: counts among its client's connections
  std::uint16_t door = 0;                 // index of the listen address it came in by
  wire::CloseCode close_code{};           // closing: ours, or no_status; else 0
  std::optional<SocketAddress> client{};  // as a proxy told it

  Instant since{};  // entered its state
  Instant heard_at{};
  Instant pinged_at{};
  Instant messages_paid{};

  Bytes request{};  // as it came, with what came behind it

  wire::FrameDecoder::State decoder{};  // a server's; tells whether compression was agreed
  Bytes gathered{};                     // of the message in progress, as much as was delivered
  /// Not taken by the kernel yet, from the first such byte on: the one run, then the other, as a
  /// session has it. unpack() gives one run.
  std::array<Bytes, 2> output{};

  /// A compression context of the session's own: its window, Deflater::window() and Inflater's.
  struct Context {
    std::uint8_t window_bits;
    Bytes window;
  };
  std::uint8_t window_bits = 0;  // of what is sent compressed; 0: no compression was agreed
  std::optional<Bytes> out{};    // the window, where it keeps a context for what it sends
  std::optional<Context> in{};   // and for what it receives

  std::string_view app{};  // whose session it is; the target has the same app, or refuses
  Bytes app_state{};       // as Handler::pack() wrote it
};

/// The most that unpack() takes of each run of bytes: what the target may hold.
struct ParcelLimits {
  std::uint64_t message_bytes_max = 1_MiB;  // SessionRules::message_bytes_max
  /// Of unsent output. A backlog passes its limit by the last message that was queued.
  std::size_t output_bytes_max = 32_MiB;
  /// UpgradeRules::header_bytes_max, and what one receive may bring behind the head.
  std::size_t request_bytes_max = 128_KiB;
  std::size_t app_state_bytes_max = 1_MiB;
  std::uint16_t doors = 1;  // listen addresses there are
};

/// No later time is taken: it is 146 years of uptime, and far enough from the end of Instant that
/// any timeout can be added.
inline constexpr Instant kParcelInstantMax{Duration{std::int64_t{1} << 62}};
inline constexpr std::size_t kParcelAppNameBytesMax = 64;

/// The size of `parcel` packed.
[[nodiscard]] std::size_t packed_size(const Parcel& parcel, std::uint16_t version = kParcelNewest);
/// Writes `parcel` to `out`, which has packed_size() bytes, each of its bytes copied once.
/// `version` is kParcelOldest to kParcelNewest; each run of bytes is below 4 GiB, and the decoder's
/// `deflate` says what window_bits does. No limits are looked at: they are the target's.
void pack(const Parcel& parcel, std::span<std::byte> out, std::uint16_t version = kParcelNewest);
[[nodiscard]] std::vector<std::byte> pack(const Parcel& parcel,
                                          std::uint16_t version = kParcelNewest);

/// Why bytes are no parcel that can be taken. None of these is the peer's doing: the session goes
/// on at its source, which drains it.
struct ParcelError {
  enum class Kind : std::uint8_t {
    truncated,        // value: the bytes that are there
    not_a_parcel,     // does not begin as one
    version_unknown,  // value: the version
    checksum,         // not what was packed
    field,            // `field` has what no session has, or more than a limit
  };
  Kind kind;
  std::string_view field{};  // a literal: "close code"
  std::uint64_t value = 0;

  bool operator==(const ParcelError&) const = default;
};
/// One line: "a parcel with a bad value: close code".
[[nodiscard]] std::string to_string(const ParcelError& error);

/// Reads one parcel that is all of `in`; its bytes are views into that, and nothing is allocated
/// for them. What it gives packs to the same bytes again, and its decoder state can be restored.
[[nodiscard]] Result<Parcel, ParcelError> unpack(std::span<const std::byte> in,
                                                 const ParcelLimits& limits);

}  // namespace weir::session
