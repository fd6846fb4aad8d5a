// The opening handshake, server side: an HTTP/1.1 request head in, the response out. RFC 6455,
// section 4.2.
//
// No sockets and no clock: how long a handshake may take is the session's to watch. No
// subprotocol and no extension is negotiated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weir/base/units.h"

namespace weir::wire {

/// What the operator allows. One for all handshakes.
struct UpgradeRules {
  /// The request line and all header lines, line ends and the empty line included. Also bounds
  /// the memory that a handshake can hold, which is a small multiple of it. Not 0.
  std::size_t header_bytes_max = 8_KiB;
  /// The paths served, compared byte for byte with the request's path without its query. Empty:
  /// every path.
  std::vector<std::string> paths{};
};

/// What was asked for, as sent: nothing is percent-decoded.
struct UpgradeRequest {
  std::string target;  // "/chat?room=1"
  std::string path;    // "/chat": the target up to its query
  std::string host;    // "example.com:9000"
  std::string origin;  // of the page that opened the connection; empty outside browsers
  std::string key;     // Sec-WebSocket-Key
};

struct UpgradeRefusal;  // upgrade.cpp's own

/// Does ahead of the first handshake, on the thread of the handshakes, what would read files in it:
/// OpenSSL looks up SHA-1, and its configuration for that. Call it before entering a sandbox.
void prepare_upgrades() noexcept;

/// One per handshake: heavy, so made for it and freed after it. Movable.
class UpgradeParser {
 public:
  // need_more --whole head--> accepted or refused --limit passed--> refused
  enum class Progress : std::uint8_t { need_more, accepted, refused };

  /// `rules` is borrowed and must outlive the parser.
  explicit UpgradeParser(const UpgradeRules& rules) noexcept : rules_{&rules} {}

  /// Takes bytes from the front of `in`, which it advances, up to the end of the request head.
  ///
  /// - need_more: all of `in` is taken, the head goes on.
  /// - accepted: request() and response() are set; what is left in `in` is the peer's first
  ///   frames, should it have sent them early.
  /// - refused: status() and response() say why. Send the response and close.
  ///
  /// Once it has said accepted or refused it takes nothing and says the same again. How the bytes
  /// were cut makes no difference. Throws nothing; running out of memory ends the process.
  Progress feed(std::span<std::byte>& in) noexcept;

  /// Set once accepted.
  [[nodiscard]] const UpgradeRequest& request() const noexcept { return request_; }
  /// The whole response, ready to send: 101, or the refusal. Lent for the parser's life; empty
  /// before.
  [[nodiscard]] std::string_view response() const noexcept { return response_; }
  /// The response's status: 101, 400, 404, 405, 413, 414, 426, 431, 500 or 505; 0 before.
  [[nodiscard]] unsigned status() const noexcept { return status_; }

 private:
  Progress read_head();
  Progress accept(UpgradeRequest request);
  Progress refuse(const UpgradeRefusal& refusal);

  const UpgradeRules* rules_;
  Progress progress_ = Progress::need_more;
  unsigned status_ = 0;
  std::string head_;  // what has arrived of a head that came in pieces
  UpgradeRequest request_;
  std::string response_;
};

}  // namespace weir::wire
