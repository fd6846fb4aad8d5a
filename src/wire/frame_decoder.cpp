// The receiving half of the frame codec. next() is the ordinary case straight down: a header
// that lies whole in the input, then its payload. Pieces are gathered beside it.
#include <algorithm>

#include "frame_header.h"
#include "weir/wire/frame.h"

namespace weir::wire {
namespace {

// The first byte of a header (RFC 6455, 5.2).
constexpr unsigned kFin = 0x80;
constexpr unsigned kReserved = 0x70;
constexpr unsigned kRsv1 = 0x40;
constexpr unsigned kOpcode = 0x0f;
constexpr unsigned kControl = 0x08;  // of the opcode

/// Bit n: opcode n has a meaning.
constexpr unsigned kKnownOpcodes = 0b0000'0111'0000'0111;

/// Removes the first `size` bytes of `in` and returns them.
std::span<std::byte> take(std::span<std::byte>& in, std::size_t size) noexcept {
  const std::span<std::byte> taken = in.first(size);
  in = in.subspan(size);
  return taken;
}

}  // namespace

FrameDecoder::FrameDecoder(Role role, std::uint64_t message_bytes_max, bool deflate) noexcept
    : message_bytes_max_{message_bytes_max}, role_{role}, deflate_{deflate} {}

// Its arguments and its result stay in registers. What is stored in parts and loaded whole a moment
// later, as a returned Event is, costs the processor more than the rest of this.
WholeMessage FrameDecoder::take_whole(std::byte* at, const std::byte* end) noexcept {
  const auto bytes = static_cast<std::size_t>(end - at);
  const bool is_text = *at == kWholeText;
  std::size_t length = to_unsigned(at[1]) ^ kMasked;  // too large for one without a mask
  std::size_t header = kShortHeaderBytes;
  if (length == kLength16) {
    length = read_big_endian(at + 2, 2);
    header += 2;
    if (length < kLength16) return {};
  } else if (length > kLength16) {
    return {};
  }
  if (bytes < header + length || length > message_bytes_max_) return {};

  MaskKey key;
  std::copy_n(at + header - key.size(), key.size(), key.begin());
  const std::span payload{at + header, length};
  const bool is_ascii = apply_mask(payload, key, 0);
  if (is_text && !is_ascii && !is_utf8(payload)) [[unlikely]] {
    apply_mask(payload, key, 0);  // as it was
    return {};
  }
  return {.begin = payload.data(),
          .size = static_cast<std::uint32_t>(length),
          .opcode = is_text ? Opcode::text : Opcode::binary};
}

Event FrameDecoder::next(std::span<std::byte>& in) noexcept {
  switch (stage_) {
    case Stage::header:
      if (const WholeMessage whole = next_whole(in.data(), in.data() + in.size()); whole.begin) {
        in = {whole.begin + whole.size, in.data() + in.size()};
        return {.kind = Event::Kind::data,
                .opcode = whole.opcode,
                .first = true,
                .last = true,
                .bytes = {whole.begin, whole.size}};
      }
      break;
    case Stage::payload: return take_payload(in);
    case Stage::control: return take_control(in);
    case Stage::lent:
      control_.reset();
      stage_ = Stage::header;
      break;
    case Stage::finished:
      control_.reset();
      in = {};
      return {};
  }
  while (true) {
    const std::byte* header = in.data();
    if (header_bytes_ == 0 && in.size() >= 2 && in.size() >= header_size(in[1])) [[likely]] {
      take(in, header_size(in[1]));
    } else {
      if (!gather_header(in)) return {};
      header = header_.data();
    }
    if (const FrameError error = begin_frame(header); error != FrameError::none) return fail(error);
    if (stage_ == Stage::control) return take_control(in);
    const bool is_silent = frame_bytes_left_ == 0 && !frame_fin_;  // neither payload nor an end
    if (!is_silent) return take_payload(in);
    stage_ = Stage::header;
  }
}

/// Adds to a header that comes in pieces; true once it is whole.
bool FrameDecoder::gather_header(std::span<std::byte>& in) noexcept {
  const auto gather_to = [&](std::size_t size) {
    if (header_bytes_ >= size) return true;
    const auto piece = take(in, std::min(size - header_bytes_, in.size()));
    std::ranges::copy(piece, header_.begin() + header_bytes_);
    header_bytes_ = static_cast<std::uint8_t>(header_bytes_ + piece.size());
    return header_bytes_ == size;
  };
  if (!gather_to(2) || !gather_to(header_size(header_[1]))) return false;
  header_bytes_ = 0;
  return true;
}

/// Reads a whole header and enters the payload or the control stage.
FrameError FrameDecoder::begin_frame(const std::byte* header) noexcept {
  const unsigned first = to_unsigned(header[0]);
  const unsigned second = to_unsigned(header[1]);
  const bool is_masked = (second & kMasked) != 0;
  const bool is_control = (first & kControl) != 0;
  if (first & kReserved) [[unlikely]] {
    const bool begins_message = !is_control && (first & kOpcode) != 0;
    const unsigned allowed = deflate_ && begins_message ? kRsv1 : 0;  // RFC 7692, 6
    if (first & kReserved & ~allowed) return FrameError::reserved_bits;
  }
  if ((kKnownOpcodes >> (first & kOpcode) & 1) == 0) return FrameError::reserved_opcode;
  if (!is_masked && role_ == Role::server) return FrameError::unmasked;
  if (is_masked && role_ == Role::client) return FrameError::masked;
  frame_fin_ = (first & kFin) != 0;
  if (is_control && !frame_fin_) return FrameError::control_fragmented;

  std::uint64_t length = second & kLength;
  if (is_control && length > kControlPayloadBytesMax) return FrameError::control_too_long;
  if (length == kLength16) {
    length = read_big_endian(header + 2, 2);
    if (length < kLength16) return FrameError::length_not_minimal;
  } else if (length == kLength64) {
    length = read_big_endian(header + 2, 8);
    if (length >> 63 != 0) return FrameError::length_too_big;
    if (length <= 0xffff) return FrameError::length_not_minimal;
  }

  frame_opcode_ = static_cast<Opcode>(first & kOpcode);
  frame_bytes_left_ = length;
  if (is_masked) {
    const std::byte* const key = header + header_size(header[1]) - sizeof(MaskKey);
    std::copy_n(key, sizeof(MaskKey), key_.begin());
    key_phase_ = 0;
  }
  if (is_control) {
    control_bytes_ = 0;
    stage_ = Stage::control;
    return FrameError::none;
  }
  stage_ = Stage::payload;
  return begin_data_frame(frame_opcode_, (first & kRsv1) != 0, length);
}

/// Opens a message or goes on with the one that is open.
FrameError FrameDecoder::begin_data_frame(Opcode opcode, bool rsv1,
                                          std::uint64_t payload_bytes) noexcept {
  if (opcode == Opcode::continuation) {
    if (!inside_message()) return FrameError::unexpected_continuation;
  } else {
    if (inside_message()) return FrameError::expected_continuation;
    message_opcode_ = opcode;
    message_bytes_ = 0;
    message_begun_ = false;  // text_ is between characters: a text that ends elsewhere is refused
    message_compressed_ = rsv1;
  }
  std::uint64_t bytes_max = message_bytes_max_;
  if (message_compressed_) [[unlikely]]
    bytes_max = compressed_bytes_max(bytes_max);
  // What was declared may be over a limit that was lowered since.
  if (payload_bytes > bytes_max || message_bytes_ > bytes_max - payload_bytes)
    return FrameError::message_too_big;
  message_bytes_ += payload_bytes;
  return FrameError::none;
}

/// Delivers what there is of a data frame's payload.
Event FrameDecoder::take_payload(std::span<std::byte>& in) noexcept {
  if (frame_bytes_left_ > 0 && in.empty()) return {};
  const std::span<std::byte> piece =
      take(in, static_cast<std::size_t>(std::min<std::uint64_t>(frame_bytes_left_, in.size())));
  frame_bytes_left_ -= piece.size();
  bool is_ascii = false;
  if (role_ == Role::server) {
    is_ascii = apply_mask(piece, key_, key_phase_);
    key_phase_ = static_cast<std::uint8_t>((key_phase_ + piece.size()) & 3);
  }

  Event event{.kind = Event::Kind::data,
              .opcode = message_opcode_,
              .first = !message_begun_,
              .last = frame_fin_ && frame_bytes_left_ == 0,
              .compressed = message_compressed_,
              .bytes = piece};
  if (message_opcode_ == Opcode::text && !message_compressed_) {
    const bool is_plain = is_ascii && text_.complete();
    if (!is_plain && !text_.feed(piece)) return fail(FrameError::invalid_utf8);
    if (event.last && !text_.complete()) return fail(FrameError::invalid_utf8);
  }
  message_begun_ = true;
  if (frame_bytes_left_ == 0) stage_ = Stage::header;
  if (event.last) message_opcode_ = Opcode::continuation;
  return event;
}

/// Reports a control frame once its payload is whole: where it lies, or else gathered.
Event FrameDecoder::take_control(std::span<std::byte>& in) noexcept {
  if (!control_) {
    if (in.size() >= frame_bytes_left_) {
      return control_event(take(in, static_cast<std::size_t>(frame_bytes_left_)));
    }
    if (in.empty()) return {};  // nothing is allocated for a payload that is only declared
    control_ = std::make_unique<ControlPayload>();
  }
  const auto left = static_cast<std::size_t>(frame_bytes_left_);
  const std::span<std::byte> piece = take(in, std::min(left, in.size()));
  std::ranges::copy(piece, control_->begin() + control_bytes_);
  control_bytes_ = static_cast<std::uint8_t>(control_bytes_ + piece.size());
  frame_bytes_left_ -= piece.size();
  if (frame_bytes_left_ > 0) return {};
  return control_event(std::span{*control_}.first(control_bytes_));
}

/// Leaves the control stage with what a whole control frame says.
Event FrameDecoder::control_event(std::span<std::byte> payload) noexcept {
  if (role_ == Role::server) apply_mask(payload, key_, 0);
  if (frame_opcode_ != Opcode::close) {
    stage_ = control_ ? Stage::lent : Stage::header;
    const bool is_ping = frame_opcode_ == Opcode::ping;
    return {.kind = is_ping ? Event::Kind::ping : Event::Kind::pong, .bytes = payload};
  }

  if (payload.size() == 1) return fail(FrameError::close_payload_of_one_byte);
  Event event{.kind = Event::Kind::close, .code = CloseCode::no_status, .bytes = payload};
  if (!payload.empty()) {
    const auto code = static_cast<std::uint16_t>(read_big_endian(payload.data(), 2));
    if (!allowed_on_the_wire(code)) return fail(FrameError::close_code_invalid);
    event.code = CloseCode{code};
    event.bytes = payload.subspan(2);
    if (!is_utf8(event.bytes)) return fail(FrameError::close_reason_invalid_utf8);
  }
  stage_ = Stage::finished;
  return event;
}

Event FrameDecoder::fail(FrameError error) noexcept {
  stage_ = Stage::finished;
  return {.kind = Event::Kind::error, .error = error, .code = close_code_for(error)};
}

}  // namespace weir::wire
