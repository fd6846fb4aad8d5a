#include <fmt/format.h>

#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>

#include "pipe.h"
#include "said.h"

namespace weir::differential {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;

http::request<http::empty_body> upgrade_request() {
  http::request<http::empty_body> request{http::verb::get, "/", 11};
  request.set(http::field::host, "localhost");
  request.set(http::field::upgrade, "websocket");
  request.set(http::field::connection, "Upgrade");
  request.set(http::field::sec_websocket_key, "dGhlIHNhbXBsZSBub25jZQ==");
  request.set(http::field::sec_websocket_version, "13");
  return request;
}

/// The code of the close frame that a server has sent last: unmasked, and short.
unsigned close_code_in(std::string_view sent) {
  std::size_t last = sent.npos;
  for (std::size_t at = 0; at + 2 <= sent.size();) {
    last = at;
    at += 2U + static_cast<unsigned char>(sent[at + 1]);
  }
  if (last == sent.npos || sent.size() < last + 4 || sent[last] != '\x88') return 0;
  return static_cast<unsigned char>(sent[last + 2]) * 256U +
         static_cast<unsigned char>(sent[last + 3]);
}

}  // namespace

Said ask_beast(std::string_view stream, const std::vector<std::size_t>& pieces,
               std::uint64_t message_bytes_max) {
  boost::asio::io_context io;
  websocket::stream<Pipe> server{io};
  beast::error_code error;
  server.accept(upgrade_request(), error);
  if (error) return {{}, error.message()};
  Pipe& pipe = server.next_layer();
  pipe.out.clear();
  pipe.in = stream;
  pipe.pieces = pieces;

  Said said;
  server.read_message_max(message_bytes_max);
  server.control_callback([&](websocket::frame_type kind, beast::string_view payload) {
    if (kind == websocket::frame_type::close) return;
    const bool is_ping = kind == websocket::frame_type::ping;
    said.items.push_back((is_ping ? "ping " : "pong ") + std::string{payload});
  });
  for (beast::flat_buffer message;; message.clear()) {
    server.read(message, error);
    if (error) break;
    said.items.push_back((server.got_text() ? "text " : "binary ") +
                         beast::buffers_to_string(message.data()));
  }
  if (error == websocket::error::closed) {
    const websocket::close_reason& reason = server.reason();
    // Beast has 0 for a close frame without a code.
    const unsigned code = reason.code == 0 ? 1005 : reason.code;
    said.end = fmt::format("close {} {}", code,
                           std::string_view{reason.reason.data(), reason.reason.size()});
  } else if (error != boost::asio::error::eof) {
    said.end = fmt::format("fail {}", close_code_in(pipe.out));
  }
  return said;
}

}  // namespace weir::differential
