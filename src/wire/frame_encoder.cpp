// The sending half of the frame codec: headers and close payloads.
#include <bit>
#include <cassert>
#include <cstring>

#include "weir/wire/frame.h"

namespace weir::wire {
namespace {

/// Writes the low `size` bytes of `value` in network byte order; returns where they end.
std::byte* put_big_endian(std::byte* at, std::uint64_t value, std::size_t size) noexcept {
  for (std::size_t i = size; i-- > 0;) *at++ = static_cast<std::byte>(value >> (8 * i));
  return at;
}

/// As much of `text`, which is UTF-8, as `bytes_max` holds without a sequence cut in two.
std::string_view cut_to(std::string_view text, std::size_t bytes_max) noexcept {
  if (text.size() <= bytes_max) return text;
  std::size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

}  // namespace

std::size_t encode_header(std::span<std::byte, kHeaderBytesMax> out, Opcode opcode, bool fin,
                          std::uint64_t payload_bytes, bool compressed,
                          std::optional<MaskKey> mask) noexcept {
  assert(payload_bytes >> 63 == 0);
  assert((static_cast<unsigned>(opcode) & 8) == 0 ||
         (fin && payload_bytes <= kControlPayloadBytesMax));
  assert(!compressed || opcode == Opcode::text || opcode == Opcode::binary);
  const unsigned mask_bit = mask ? 0x80 : 0;
  const unsigned flags = static_cast<unsigned>(fin) << 7 | static_cast<unsigned>(compressed) << 6;
  std::byte* at = out.data();
  *at++ = static_cast<std::byte>(flags | static_cast<unsigned>(opcode));
  if (payload_bytes <= 125) {
    *at++ = static_cast<std::byte>(mask_bit | payload_bytes);
  } else if (payload_bytes <= 0xffff) {
    *at++ = static_cast<std::byte>(mask_bit | 126);
    at = put_big_endian(at, payload_bytes, 2);
  } else {
    *at++ = static_cast<std::byte>(mask_bit | 127);
    at = put_big_endian(at, payload_bytes, 8);
  }
  if (mask) {
    std::memcpy(at, mask->data(), mask->size());
    at += mask->size();
  }
  return static_cast<std::size_t>(at - out.data());
}

std::size_t encode_close_payload(std::span<std::byte, kControlPayloadBytesMax> out, CloseCode code,
                                 std::string_view reason) noexcept {
  if (code == CloseCode::no_status) return 0;
  assert(allowed_on_the_wire(static_cast<std::uint16_t>(code)));
  std::byte* at = put_big_endian(out.data(), static_cast<std::uint16_t>(code), 2);
  const std::string_view text = cut_to(reason, kCloseReasonBytesMax);
  if (!text.empty()) std::memcpy(at, text.data(), text.size());
  return 2 + text.size();
}

}  // namespace weir::wire
