// Version 1 of the PROXY protocol: one line of text (haproxy.org, doc/proxy-protocol.txt, 2.1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "weir/base/socket_address.h"

namespace weir::wire {

struct ProxyLine {
  // cut: right as far as it goes. wrong: no continuation could make it right.
  enum class Kind : std::uint8_t { cut, whole, wrong };
  Kind kind = Kind::cut;
  std::size_t bytes = 0;                // whole: of the line, CR LF included
  std::optional<SocketAddress> source;  // whole: nothing for UNKNOWN
};

/// Reads the line at the front of `text`, from its beginning: what a line is cut into makes no
/// difference. How long it may be is not looked at.
[[nodiscard]] ProxyLine read_proxy_line(std::string_view text) noexcept;

}  // namespace weir::wire
