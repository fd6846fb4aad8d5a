// The opening handshake, server side: an HTTP/1.1 request head in, the response out. RFC 6455,
// section 4.2. Subprotocol and compression are agreed here; a health check is answered here too,
// since it comes the same way.
//
// No sockets and no clock: how long a handshake may take is the session's to watch. Nothing is
// allocated for a request that comes whole and is accepted: clients that reconnect all at once are
// when a server is busiest.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <forward_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weir/base/units.h"
#include "weir/wire/deflate.h"
#include "weir/wire/hash_on.h"

namespace weir::wire {

/// What the operator allows. One for all handshakes; may change from one feed() to the next.
struct UpgradeRules {
  /// The request line and all header lines, line ends and the empty line included. Also bounds
  /// the memory that a handshake can hold, which is a small multiple of it. Not 0.
  std::size_t header_bytes_max = 8_KiB;
  /// The request line alone, without its CR LF. Over it: 414, as soon as it is over.
  std::size_t request_line_bytes_max = 4_KiB;
  /// The paths served, compared byte for byte with the request's path without its query. Empty:
  /// every path. Others: 404.
  std::vector<std::string> paths{};
  /// The pages that may connect, as a browser spells them in Origin: "https://example.com",
  /// "http://localhost:3000", "null". Compared without regard to case, since an origin is a
  /// scheme, a host and a port. Empty: any. A request without Origin is from no browser, and
  /// passes. Others: 403.
  std::vector<std::string> origins{};
  /// The subprotocols served, compared byte for byte. The first of the client's list, which is in
  /// its order of preference, that is among them is selected (RFC 6455, 4.2.2, /5/). If there is
  /// none, the 101 names none, and it is the client's to go on without or to close.
  std::vector<std::string> subprotocols{};
  /// A GET or HEAD of this path that asks for no upgrade is a health check: 200 "ok", or 503
  /// "draining". Checked before `paths`, and taken in HTTP/1.0 too, which load balancers speak.
  /// Empty: none.
  std::string health_path{};
  DeflateRules compression{};
  /// What UpgradeRequest::hashed_on is taken from.
  HashOn hash_on{};
  /// An upgrade that would be accepted is answered 503 with Retry-After instead.
  bool draining = false;
};

/// What was asked for, as sent: nothing is percent-decoded. And what was agreed. Lent, as
/// UpgradeParser::request() says.
struct UpgradeRequest {
  std::string_view head;         // all of the request, its empty line included
  std::string_view target;       // "/chat?room=1"
  std::string_view path;         // "/chat": the target up to its query
  std::string_view host;         // "example.com:9000"
  std::string_view origin;       // of the page that opened the connection; empty outside browsers
  std::string_view key;          // Sec-WebSocket-Key
  std::string_view subprotocol;  // the one selected; empty: none
  std::optional<DeflateTerms> deflate;        // agreed for both directions; nothing: no compression
  std::optional<std::string_view> hashed_on;  // what the rules hash on; nothing: it is not there
};

/// Room in place for any 101, its subprotocol's name up to 64 bytes long; what is longer, as an
/// answer that lists many paths, goes to the heap.
using UpgradeResponse = fmt::basic_memory_buffer<char, 384>;

struct UpgradeAnswer;  // upgrade_response.h, src/wire's own

/// One per handshake. A request that comes whole is read where it lies and costs no allocation, so
/// that the parser may stand on the stack: it is to be kept, and its head gathered, only while it
/// says need_more. Movable, which leaves what it moved from good for nothing.
class UpgradeParser {
 public:
  // need_more --whole head--> accepted or answered
  //     \------ limit passed, time out ------^
  enum class Progress : std::uint8_t { need_more, accepted, answered };

  /// `rules` is borrowed and must outlive the parser.
  explicit UpgradeParser(const UpgradeRules& rules) noexcept : rules_{&rules} {}

  /// Takes bytes from the front of `in`, which it advances, up to the end of the request head.
  ///
  /// - need_more: all of `in` is taken, the head goes on.
  /// - accepted: request() and response() are set; what is left in `in` is the peer's first
  ///   frames, should it have sent them early.
  /// - answered: response() is all that this connection gets, be it a refusal or the answer to a
  ///   health check. Send it and close.
  ///
  /// Once it has said accepted or answered it takes nothing and says the same again. How the bytes
  /// were cut makes no difference. Throws nothing; running out of memory ends the process.
  Progress feed(std::span<std::byte>& in) noexcept;

  /// For the session's handshake deadline: the request did not come in time. Progress is answered
  /// from here on, with a 408 (RFC 9110, 15.5.9). Changes nothing after accepted or answered.
  void time_out() noexcept;

  /// Set once accepted. Lent until the bytes last fed are written to or given up, or the parser
  /// goes, wherever it was moved.
  [[nodiscard]] const UpgradeRequest& request() const noexcept { return request_; }
  /// The whole response, ready to send. Lent for the parser's life; empty before.
  [[nodiscard]] std::string_view response() const noexcept {
    return {response_.data(), response_.size()};
  }
  /// The response's status: 101; 200 for a health check; 400, 403, 404, 405, 408, 413, 414, 426,
  /// 431, 503 or 505; 0 before.
  [[nodiscard]] unsigned status() const noexcept { return status_; }

 private:
  [[nodiscard]] bool request_line_too_long(std::string_view head, std::size_t from) noexcept;
  Progress read(std::string_view text);
  Progress answer(const UpgradeAnswer& answer, std::string_view head);

  const UpgradeRules* rules_;
  Progress progress_ = Progress::need_more;
  bool line_ended_ = false;  // the request line's CR LF has come
  std::uint16_t status_ = 0;
  std::string gathered_;                     // of a head that did not come whole
  std::forward_list<std::string> unfolded_;  // values that came folded over several lines
  UpgradeRequest request_;
  UpgradeResponse response_;
};
static_assert(sizeof(UpgradeParser) <= 640, "what a handshake that dawdles may cost");

}  // namespace weir::wire
