// Frame codec: bytes <-> RFC 6455 frames, one direction of one connection.
//
// No sockets and no clock. Message payload is unmasked where it lies and handed on as it
// arrives: nothing is gathered, so that nothing is allocated for what a peer merely declares.
// Which messages are wanted, when to answer a ping or a close, and what to send is not decided
// here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "weir/wire/close_code.h"
#include "weir/wire/mask.h"
#include "weir/wire/utf8.h"

namespace weir::wire {

/// RFC 6455, section 5.2; the other eight values are reserved.
enum class Opcode : std::uint8_t {
  continuation = 0,
  text = 1,
  binary = 2,
  close = 8,
  ping = 9,
  pong = 10,
};

/// Which end this is. A server takes masked frames only, a client unmasked ones only (5.1).
enum class Role : std::uint8_t { server, client };

/// What is wrong with a frame. The section of RFC 6455 that it breaks stands beside it.
enum class FrameError : std::uint8_t {
  none,
  unmasked,                   // 5.1: a client must mask
  masked,                     // 5.1: a server must not
  reserved_bits,              // 5.2: RSV1 to RSV3 where no extension gives them a meaning
  reserved_opcode,            // 5.2: 3 to 7 and 11 to 15
  length_not_minimal,         // 5.2: a length spelt in more bytes than it needs
  length_too_big,             // 5.2: the top bit of a 64-bit length is set
  control_too_long,           // 5.5: more than 125 bytes
  control_fragmented,         // 5.5
  unexpected_continuation,    // 5.4: no message is open
  expected_continuation,      // 5.4: a new message begins while one is open
  message_too_big,            // 7.4.1: over our own limit
  invalid_utf8,               // 8.1: in a text message, whole or at its end
  close_payload_of_one_byte,  // 5.5.1: a code has two
  close_code_invalid,         // 7.4: one that may not be on the wire
  close_reason_invalid_utf8,  // 5.5.1
  inflate_failed,             // RFC 7692: not DEFLATE data; found by who inflates, not here
};

/// The code to close with: 1009 for message_too_big, 1007 for bad UTF-8 and for compressed data
/// that is none (RFC 7692 has no code of its own), 1002 for all else. Not for FrameError::none.
[[nodiscard]] CloseCode close_code_for(FrameError error) noexcept;

/// What is wrong, in a few words that fit a log line or a close reason.
[[nodiscard]] std::string_view to_string(FrameError error) noexcept;

constexpr std::size_t kHeaderBytesMax = 2 + 8 + 4;    // flags and length, long length, mask key
constexpr std::size_t kServerHeaderBytesMax = 2 + 8;  // a server never masks
constexpr std::size_t kControlPayloadBytesMax = 125;  // RFC 6455, 5.5
constexpr std::size_t kCloseReasonBytesMax = kControlPayloadBytesMax - 2;

/// What FrameDecoder::next() found. `bytes` is lent: a data event's until the caller's buffer is
/// written again, a control event's until that or the next call of next(), whichever is first.
/// The receiver may change the bytes.
struct Event {
  enum class Kind : std::uint8_t {
    need_more,  // all of the input is taken; nothing else is set
    data,       // a piece of a message: opcode, first, last, bytes
    ping,       // bytes: 0 to 125 to send back in a pong
    pong,       // bytes: 0 to 125
    close,      // code (no_status when the frame was empty), bytes: the reason, valid UTF-8
    error,      // error, and in `code` what to close with
  };

  Kind kind = Kind::need_more;
  Opcode opcode = Opcode::continuation;  // of the message: text or binary, never continuation
  bool first = false;                    // the message begins here
  bool last = false;                     // the message ends here
  bool compressed = false;               // the message's payload is DEFLATE data (RFC 7692, 6)
  FrameError error = FrameError::none;
  CloseCode code = CloseCode::no_status;
  std::span<std::byte> bytes{};
};

/// What FrameDecoder::next_whole() found; small enough to travel in registers.
struct WholeMessage {
  std::byte* begin = nullptr;  // of the payload, lent as an event's bytes; null: no such message
  std::uint32_t size = 0;      // of it; the rest of the input begins there
  Opcode opcode = Opcode::continuation;
};

/// What the frames of a compressed message may declare in all, where the message itself may have
/// `message_bytes_max`: an eighth and 1 KiB more, which is above what any compressor in use adds
/// to data that it cannot shrink. UINT64_MAX allows any.
[[nodiscard]] constexpr std::uint64_t compressed_bytes_max(
    std::uint64_t message_bytes_max) noexcept {
  const std::uint64_t more = message_bytes_max / 8 + 1024;
  return message_bytes_max > UINT64_MAX - more ? UINT64_MAX : message_bytes_max + more;
}

/// Takes the bytes that one peer sends after the handshake, in pieces of any size, and says what
/// they mean. How the bytes were cut shows only in how a message's payload is cut into events.
///
/// States, named by what comes next:
///   header --data frame--> payload --its end--> header
///   header --control frame--> control --its end--> lent --next call--> header
///   any --error or close--> finished
class FrameDecoder {
 public:
  enum class Stage : std::uint8_t { header, payload, control, lent, finished };
  struct State;

  /// A message whose frames declare more than `message_bytes_max` bytes in all is refused;
  /// UINT64_MAX allows any.
  ///
  /// `deflate`: permessage-deflate was agreed. RSV1 on the first frame of a message then marks it
  /// compressed (RFC 7692, 6); on a continuation or a control frame it stays reserved. A
  /// compressed message may declare compressed_bytes_max(message_bytes_max): a compressor may
  /// lawfully make data longer. Who inflates it counts what comes out against the real limit.
  FrameDecoder(Role role, std::uint64_t message_bytes_max, bool deflate = false) noexcept;

  /// Takes bytes from the front of `in`, which it advances, up to the next event. Call until
  /// need_more, which means that `in` is used up.
  ///
  /// - A message that lies whole in `in` as one frame is one data event, first and last.
  ///   Otherwise there is one event for each piece of payload that arrives. An event's bytes are
  ///   empty only for an empty message, or to say `last` after all payload has been delivered
  ///   (an empty final fragment).
  /// - Control frames are reported whole, in between the pieces of a message.
  /// - Text is valid UTF-8 as far as delivered; a sequence may be cut between two events. A piece
  ///   with a bad byte is not delivered at all. Compressed text is not looked at: what it
  ///   inflates to is the receiver's to validate.
  /// - message_too_big is reported on the header that goes over the limit, before its payload.
  /// - After `close` or `error` the decoder is finished(): this drops all of `in` and returns
  ///   need_more, for ever (RFC 6455, 5.5.1 and 7.1.7: what follows is to be ignored).
  [[nodiscard]] Event next(std::span<std::byte>& in) noexcept;

  /// The ordinary case by itself, for its speed: a message that the input from `at` to `end` begins
  /// with, whole, in one frame of at most 65,535 bytes, uncompressed. Of anything else and of every
  /// defect it says nothing and leaves all as it was: next() does.
  [[nodiscard]] WholeMessage next_whole(std::byte* at, const std::byte* end) noexcept {
    return may_be_whole(at, end) ? take_whole(at, end) : WholeMessage{};
  }

  [[nodiscard]] bool finished() const noexcept { return stage_ == Stage::finished; }

  /// Another limit from here on. A message in progress may still fill the frame that it has begun;
  /// a further frame of it is held against the new limit, with all that it has declared.
  void limit_messages(std::uint64_t message_bytes_max) noexcept {
    message_bytes_max_ = message_bytes_max;
  }

  /// What is still to come of the payload that the frame in progress declared.
  [[nodiscard]] std::uint64_t frame_bytes_left() const noexcept { return frame_bytes_left_; }

  /// Whether the bytes so far end inside a message (for draining: a good moment to close is
  /// between messages).
  [[nodiscard]] bool inside_message() const noexcept {
    return message_opcode_ != Opcode::continuation;
  }

  /// All that a decoder elsewhere needs to go on as this one would. A control payload that was
  /// lent by the last event counts as done with.
  [[nodiscard]] State save() const noexcept;
  /// A decoder that goes on from `state`. Nothing where no bytes can lead to it in this role, and
  /// where its message has declared more than this limit allows, which the limit of who saved it
  /// may have done.
  [[nodiscard]] static std::optional<FrameDecoder> restore(const State& state, Role role,
                                                           std::uint64_t message_bytes_max);

 private:
  using ControlPayload = std::array<std::byte, kControlPayloadBytesMax>;
  static constexpr std::size_t kShortHeaderBytes = 2 + sizeof(MaskKey);
  static constexpr std::byte kWholeText{0x80 | static_cast<unsigned>(Opcode::text)};  // and FIN
  static constexpr std::byte kWholeBinary{0x80 | static_cast<unsigned>(Opcode::binary)};

  [[nodiscard]] bool may_be_whole(const std::byte* at, const std::byte* end) const noexcept {
    return role_ == Role::server && stage_ == Stage::header && header_bytes_ == 0 &&
           !inside_message() && end - at >= static_cast<std::ptrdiff_t>(kShortHeaderBytes) &&
           (*at == kWholeText || *at == kWholeBinary);
  }
  [[nodiscard]] WholeMessage take_whole(std::byte* at, const std::byte* end) noexcept;
  void load(const State& state);
  bool gather_header(std::span<std::byte>& in) noexcept;
  FrameError begin_frame(const std::byte* header) noexcept;
  FrameError begin_data_frame(Opcode opcode, bool rsv1, std::uint64_t payload_bytes) noexcept;
  Event take_payload(std::span<std::byte>& in) noexcept;
  Event take_control(std::span<std::byte>& in) noexcept;
  Event control_event(std::span<std::byte> payload) noexcept;
  Event fail(FrameError error) noexcept;

  // The message in progress.
  std::uint64_t message_bytes_max_;
  std::uint64_t message_bytes_ = 0;  // that its frames have declared
  // The frame in progress.
  std::uint64_t frame_bytes_left_ = 0;
  std::unique_ptr<ControlPayload> control_;  // a control payload that came in pieces; else none
  MaskKey key_{};
  std::uint8_t key_phase_ = 0;      // of the next payload byte, 0 to 3
  std::uint8_t control_bytes_ = 0;  // of *control_, filled so far
  Opcode frame_opcode_ = Opcode::continuation;
  bool frame_fin_ = false;
  Stage stage_ = Stage::header;
  Role role_;
  Opcode message_opcode_ = Opcode::continuation;  // continuation: no message is open
  bool message_begun_ = false;                    // an event of it has been returned
  bool message_compressed_ = false;
  bool deflate_;  // RSV1 has a meaning
  Utf8Validator text_;
  // A header that came in pieces.
  std::uint8_t header_bytes_ = 0;
  std::array<std::byte, kHeaderBytesMax> header_{};
};
static_assert(sizeof(FrameDecoder) <= 64, "an idle session has 256 bytes for everything");

/// RSV1 of a header's first byte: the message is compressed (RFC 7692, 6).
constexpr std::byte kCompressed{0x40};

/// What the header of a server's frame with so much payload takes: 2 to 10 bytes.
[[nodiscard]] constexpr std::size_t server_header_bytes(std::uint64_t payload_bytes) noexcept {
  return payload_bytes <= 125 ? 2 : payload_bytes <= 0xffff ? 4 : kServerHeaderBytesMax;
}

/// Writes that header, of a whole message, to where server_header_bytes() are free before its
/// payload.
void put_server_header(std::byte* at, Opcode opcode, std::uint64_t payload_bytes) noexcept;

/// What the frame takes, header and payload, whose header that wrote to `at`.
[[nodiscard]] std::uint64_t server_frame_bytes(const std::byte* at) noexcept;

/// A decoder at rest, between two calls of next(). What has no meaning in its stage is 0, so that
/// there is one way to write down each place in a stream. It says nothing of role and limit.
struct FrameDecoder::State {
  Stage stage = Stage::header;  // never lent
  bool deflate = false;         // permessage-deflate was agreed

  // The message in progress, should there be one.
  Opcode message_opcode = Opcode::continuation;  // continuation: none is open
  bool message_compressed = false;
  std::uint64_t message_bytes = 0;  // that its frames have declared so far
  Utf8Validator::State text{};

  // The frame in progress: in the payload and the control stage.
  bool frame_fin = false;                        // of a data frame
  Opcode control_opcode = Opcode::continuation;  // of a control frame
  std::uint64_t frame_bytes_left = 0;            // of its payload
  MaskKey key{};                                 // a server's
  std::uint8_t key_phase = 0;                    // of a data frame's next byte, 0 to 3

  // What came in pieces: in the header stage of a header, in the control stage of a payload,
  // still masked.
  std::uint8_t piece_bytes = 0;
  std::array<std::byte, kControlPayloadBytesMax> piece{};

  /// Of the message in progress, how many bytes data events have carried.
  [[nodiscard]] std::uint64_t bytes_delivered() const noexcept {
    return message_bytes - (stage == Stage::payload ? frame_bytes_left : 0);
  }
  bool operator==(const State&) const = default;
};

/// Writes the header of a frame with `payload_bytes` to follow, its length spelt in the fewest
/// bytes, and returns how many bytes it took: 2 to 10, and 4 more with a `mask` (for a client;
/// the payload is the caller's to mask). `payload_bytes` is below 2^63, and below 126 for a
/// control frame. `compressed` sets RSV1, and is for the first frame of a message alone
/// (RFC 7692, 6).
std::size_t encode_header(std::span<std::byte, kHeaderBytesMax> out, Opcode opcode, bool fin,
                          std::uint64_t payload_bytes, bool compressed = false,
                          std::optional<MaskKey> mask = std::nullopt) noexcept;

/// Writes a close frame's payload and returns its size: the code in network byte order, then as
/// much of `reason` as fits, cut between code points. `reason` is UTF-8. For
/// CloseCode::no_status the payload is empty; any other code must be allowed_on_the_wire().
std::size_t encode_close_payload(std::span<std::byte, kControlPayloadBytesMax> out, CloseCode code,
                                 std::string_view reason) noexcept;

}  // namespace weir::wire
