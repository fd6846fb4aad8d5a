#include "upgrade_response.h"

#include <iterator>

#include "weir/base/format.h"

namespace weir::wire {

namespace http = boost::beast::http;

namespace {

void append(UpgradeResponse& out, std::string_view text) {
  out.append(text.data(), text.data() + text.size());
}

}  // namespace

void append_answer(const UpgradeAnswer& answer, bool to_head, UpgradeResponse& out) {
  // An Upgrade field has to be named in Connection (RFC 9110, 7.8).
  const bool names_upgrade = answer.status == http::status::upgrade_required;
  fmt::format_to(std::back_inserter(out),
                 "HTTP/1.1 {} {}\r\n"
                 "Connection: close{}\r\n"
                 "Content-Type: text/plain\r\n"
                 "Content-Length: {}\r\n"
                 "{}\r\n",
                 static_cast<unsigned>(answer.status),
                 std::string_view{http::obsolete_reason(answer.status)},
                 names_upgrade ? ", Upgrade" : "", answer.body.size() + 1, answer.fields);
  if (to_head) return;
  append(out, answer.body);
  append(out, "\n");
}

void append_switching_protocols(std::string_view accept_key, std::string_view subprotocol,
                                std::string_view extensions, UpgradeResponse& out) {
  append(out,
         "HTTP/1.1 101 Switching Protocols\r\n"
         "Upgrade: websocket\r\n"
         "Connection: Upgrade\r\n"
         "Sec-WebSocket-Accept: ");
  append(out, accept_key);
  if (!subprotocol.empty()) {
    append(out, "\r\nSec-WebSocket-Protocol: ");
    append(out, subprotocol);
  }
  if (!extensions.empty()) {
    append(out, "\r\nSec-WebSocket-Extensions: ");
    append(out, extensions);
  }
  append(out, "\r\n\r\n");
}

}  // namespace weir::wire
