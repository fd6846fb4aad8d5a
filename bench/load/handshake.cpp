#include "handshake.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "wrong.h"

namespace weir::bench {
namespace {

// The nonce of RFC 6455, section 1.3, and its answer: nothing here depends on its being random.
constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view kAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
// Both sides without context: every server then does the same work, whatever it prefers.
constexpr std::string_view kOffer =
    "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
    "client_no_context_takeover\r\n";

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string lower(std::string_view text) {
  std::string result{text};
  std::ranges::transform(result, result.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

}  // namespace

std::string upgrade_request(std::string_view target, bool deflate) {
  return fmt::format(
      "GET {} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n{}\r\n",
      target, kKey, deflate ? kOffer : "");
}

void check_upgrade_answer(std::string_view head, bool deflate) {
  if (!head.starts_with("HTTP/1.1 101 ") || !contains(head, kAccept))
    throw Wrong{fmt::format("the upgrade was answered: {}", head.substr(0, head.find('\r')))};
  if (deflate != contains(lower(head), "permessage-deflate"))
    throw Wrong{"permessage-deflate was not agreed to as it was offered"};
}

}  // namespace weir::bench
