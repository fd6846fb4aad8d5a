// CloseCode: why a WebSocket connection ended, as a close frame says it. RFC 6455, section 7.4,
// and the codes registered with IANA since.
#pragma once

#include <cstdint>

namespace weir::wire {

/// Holds any 16-bit code: 3000 to 4999 belong to frameworks and applications and have no name.
enum class CloseCode : std::uint16_t {
  normal = 1000,
  going_away = 1001,
  protocol_error = 1002,
  unsupported_data = 1003,
  no_status = 1005,  // never sent: the close frame had no payload
  abnormal = 1006,   // never sent: the connection ended without a close frame
  invalid_payload = 1007,
  policy_violation = 1008,
  message_too_big = 1009,
  mandatory_extension = 1010,
  internal_error = 1011,
  service_restart = 1012,
  try_again_later = 1013,
  bad_gateway = 1014,
  tls = 1015,  // never sent: the TLS handshake failed
};

/// Whether a close frame may carry `code`: 1000 to 1003, 1007 to 1014, 3000 to 4999. The rest is
/// reserved, or stands for what no frame can say (RFC 6455, 7.4.1 and 7.4.2).
[[nodiscard]] constexpr bool allowed_on_the_wire(std::uint16_t code) noexcept {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

}  // namespace weir::wire
