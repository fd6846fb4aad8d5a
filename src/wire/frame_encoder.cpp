// The sending half of the frame codec: headers and close payloads.
#include <algorithm>
#include <cassert>
#include <cstring>

#include "frame_header.h"
#include "weir/wire/frame.h"

namespace weir::wire {
namespace {

constexpr std::byte kFinBit{0x80};   // of the first byte
constexpr std::byte kMaskBit{0x80};  // of the second

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

void put_server_header(std::byte* at, Opcode opcode, std::uint64_t payload_bytes) noexcept {
  assert(payload_bytes >> 63 == 0);
  *at++ = kFinBit | static_cast<std::byte>(opcode);
  if (payload_bytes <= 125) {
    *at = static_cast<std::byte>(payload_bytes);
  } else if (payload_bytes <= 0xffff) {
    *at++ = std::byte{126};
    put_big_endian(at, payload_bytes, 2);
  } else {
    *at++ = std::byte{127};
    put_big_endian(at, payload_bytes, 8);
  }
}

std::uint64_t server_frame_bytes(const std::byte* at) noexcept {
  const std::size_t header = header_size(at[1]);
  const std::size_t behind = header - 2;
  return header + (behind == 0 ? to_unsigned(at[1]) : read_big_endian(at + 2, behind));
}

std::size_t encode_header(std::span<std::byte, kHeaderBytesMax> out, Opcode opcode, bool fin,
                          std::uint64_t payload_bytes, bool compressed,
                          std::optional<MaskKey> mask) noexcept {
  assert(payload_bytes >> 63 == 0);
  assert((static_cast<unsigned>(opcode) & 8) == 0 ||
         (fin && payload_bytes <= kControlPayloadBytesMax));
  assert(!compressed || opcode == Opcode::text || opcode == Opcode::binary);
  put_server_header(out.data(), opcode, payload_bytes);
  if (!fin) out[0] &= ~kFinBit;
  if (compressed) out[0] |= kCompressed;
  std::size_t bytes = server_header_bytes(payload_bytes);
  if (mask) {
    out[1] |= kMaskBit;
    std::ranges::copy(*mask, out.begin() + static_cast<std::ptrdiff_t>(bytes));
    bytes += mask->size();
  }
  return bytes;
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
