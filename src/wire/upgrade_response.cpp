#include "upgrade_response.h"

#include <fmt/format.h>

#include <iterator>

namespace weir::wire {

namespace http = boost::beast::http;

std::string to_response(const UpgradeAnswer& answer, bool to_head) {
  // An Upgrade field has to be named in Connection (RFC 9110, 7.8).
  const bool names_upgrade = answer.status == http::status::upgrade_required;
  std::string response = fmt::format(
      "HTTP/1.1 {} {}\r\n"
      "Connection: close{}\r\n"
      "Content-Type: text/plain\r\n"
      "Content-Length: {}\r\n"
      "{}\r\n",
      static_cast<unsigned>(answer.status), std::string_view{http::obsolete_reason(answer.status)},
      names_upgrade ? ", Upgrade" : "", answer.body.size() + 1, answer.fields);
  if (!to_head) response.append(answer.body).append("\n");
  return response;
}

std::string switching_protocols(std::string_view accept_key, std::string_view subprotocol,
                                std::string_view extensions) {
  std::string response = fmt::format(
      "HTTP/1.1 101 Switching Protocols\r\n"
      "Upgrade: websocket\r\n"
      "Connection: Upgrade\r\n"
      "Sec-WebSocket-Accept: {}\r\n",
      accept_key);
  const auto out = std::back_inserter(response);
  if (!subprotocol.empty()) fmt::format_to(out, "Sec-WebSocket-Protocol: {}\r\n", subprotocol);
  if (!extensions.empty()) fmt::format_to(out, "Sec-WebSocket-Extensions: {}\r\n", extensions);
  return response.append("\r\n");
}

}  // namespace weir::wire
