// The proof of the opening handshake: what a server makes of the client's key. RFC 6455,
// section 4.2.2.
#pragma once

#include <array>
#include <string_view>

namespace weir::wire {

/// Whether `key` is base64 for 16 bytes: 22 characters and "==". The four bits that the last
/// character has to spare may be anything, as decoders commonly have it (RFC 4648, 3.5).
[[nodiscard]] bool is_handshake_key(std::string_view key) noexcept;

/// Base64 of a SHA-1 digest.
using AcceptKey = std::array<char, 28>;

/// Sec-WebSocket-Accept for `key`, which is_handshake_key().
[[nodiscard]] AcceptKey accept_key(std::string_view key) noexcept;

}  // namespace weir::wire
