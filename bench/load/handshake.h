// The opening handshake as every client of the load makes it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace weir::bench {

/// More than any server answers an upgrade request with.
inline constexpr std::size_t kUpgradeAnswerBytesMax = 16U << 10;

/// A whole upgrade request for `target`. `deflate` offers permessage-deflate, each message by
/// itself.
[[nodiscard]] std::string upgrade_request(std::string_view target, bool deflate);

/// `head` is the answer to such a request, without the empty line at its end. Throws Wrong unless
/// it is the 101 of RFC 6455, section 4.2.2, that agrees to permessage-deflate just as it was
/// offered.
void check_upgrade_answer(std::string_view head, bool deflate);

}  // namespace weir::bench
