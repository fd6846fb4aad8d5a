// The head of the request is gathered here, within the limit, and parsed by Beast once it is
// whole; then one check after another, the first that fails naming the refusal.
#include "weir/wire/upgrade.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <optional>
#include <stdexcept>
#include <utility>

#include "accept_key.h"

namespace weir::wire {

namespace http = boost::beast::http;

struct UpgradeRefusal {
  http::status status;
  std::string why;               // a line that says what is wrong and what would be right
  std::string_view fields = "";  // header lines that this status calls for
  bool has_body = true;          // false: the answer to a HEAD ends with its header
};

namespace {

using Fields = http::fields;
using Request = http::request<http::empty_body>;
using Refusal = UpgradeRefusal;

constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr std::string_view kBlank = " \t";
// A 426 has to say what to ask for (RFC 9110, 15.5.22; RFC 6455, 4.4).
constexpr std::string_view kUpgradeFields = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";

/// The value of a field that has to stand exactly once; nothing if it is missing or repeated.
std::optional<std::string_view> only_value(const Fields& fields, http::field name) {
  const auto [first, end] = fields.equal_range(name);
  if (first == end || std::next(first) != end) return std::nullopt;
  return first->value();
}

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

/// Whether a comma-separated list, which may be spread over several lines of the same name
/// (RFC 9110, 5.3), has `token` in it. Not Beast's token_list: that stops at the first item which
/// is no token, and "h2c/1, websocket" is a lawful Upgrade.
bool lists_token(const Fields& fields, http::field name, std::string_view token) {
  const auto [first, end] = fields.equal_range(name);
  return std::any_of(first, end, [token](const auto& field) {
    std::string_view list = field.value();
    while (true) {
      const std::size_t comma = list.find(',');
      if (boost::beast::iequals(trim(list.substr(0, comma)), token)) return true;
      if (comma == list.npos) return false;
      list.remove_prefix(comma + 1);
    }
  });
}

bool declares_body(const Request& request) {
  if (request.count(http::field::transfer_encoding) > 0) return true;
  const auto [first, end] = request.equal_range(http::field::content_length);
  return std::any_of(first, end, [](const auto& field) {
    return std::string_view{field.value()}.find_first_not_of("0, \t") != std::string_view::npos;
  });
}

/// The path in a target of origin form ("/chat?room=1") or absolute form ("http://host/chat"),
/// which a server has to take as well (RFC 9112, 3.2.2). Empty for any other form.
std::string_view path_of(std::string_view target) {
  if (!target.starts_with('/')) {
    const std::size_t scheme_end = target.find("://");
    if (scheme_end == target.npos) return {};
    const std::size_t path = target.find_first_of("/?", scheme_end + 3);
    if (path == target.npos || target[path] == '?') return "/";
    target.remove_prefix(path);
  }
  return target.substr(0, target.find('?'));
}

/// Whether a request line that Beast would not take is well-formed but for the version's number:
/// then it is the version that is wrong, not the line.
bool has_http_version(std::string_view head) {
  const std::string_view line = head.substr(0, head.find("\r\n"));
  const std::string_view version = line.substr(std::min(line.rfind(' '), line.size()));
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return std::ranges::count(line, ' ') == 2 && version.starts_with(" HTTP/") &&
         version.size() == std::string_view{" HTTP/1.1"}.size() && is_digit(version[6]) &&
         version[7] == '.' && is_digit(version[8]);
}

/// A method begins with a printable character. What does not is another protocol (TLS begins
/// with 0x16), whose client should not have to wait for the handshake's deadline to hear of it.
bool may_begin_a_request(char first) {
  return first > ' ' && first < 0x7f;
}

Refusal over_the_limit(http::status status, const UpgradeRules& rules) {
  return {status, fmt::format("the request line and the header lines may have {} bytes in all",
                              rules.header_bytes_max)};
}

/// Why Beast would not parse `head`.
Refusal refusal_for(boost::beast::error_code error, std::string_view head,
                    const UpgradeRules& rules) {
  if (error == http::error::header_limit) {  // its own, on a value folded over many lines
    return over_the_limit(http::status::request_header_fields_too_large, rules);
  }
  if (error == http::error::bad_version && has_http_version(head)) {
    return {http::status::http_version_not_supported, "HTTP/1.1 is the version served here"};
  }
  return {http::status::bad_request, fmt::format("malformed request: {}", error.message())};
}

/// What is wrong with a well-formed request; nothing if it is an upgrade that is served here.
/// In the order in which a client would put things right: what it talks to, then how.
std::optional<Refusal> why_not(const Request& request, const UpgradeRules& rules) {
  if (request.version() != 11) {
    return Refusal{http::status::http_version_not_supported, "HTTP/1.1 is the version served here"};
  }
  if (request.method() != http::verb::get) {
    return Refusal{http::status::method_not_allowed, "the method has to be GET", "Allow: GET\r\n",
                   request.method() != http::verb::head};
  }
  if (only_value(request, http::field::host).value_or("").empty()) {
    return Refusal{http::status::bad_request, "there has to be exactly one Host"};
  }
  if (declares_body(request)) {
    return Refusal{http::status::payload_too_large, "a request for an upgrade has no body"};
  }
  const std::string_view path = path_of(request.target());
  if (path.empty()) {
    return Refusal{http::status::bad_request, "the request target has to begin with a slash"};
  }
  if (!rules.paths.empty() && std::ranges::find(rules.paths, path) == rules.paths.end()) {
    return Refusal{http::status::not_found,
                   fmt::format("no such path; served: {}", fmt::join(rules.paths, ", "))};
  }

  if (!lists_token(request, http::field::upgrade, "websocket")) {
    return Refusal{http::status::upgrade_required, "this is a WebSocket server: ask for an upgrade",
                   kUpgradeFields};
  }
  if (!lists_token(request, http::field::connection, "upgrade")) {
    return Refusal{http::status::bad_request, "Connection has to list upgrade"};
  }
  if (only_value(request, http::field::sec_websocket_version) != "13") {
    return Refusal{http::status::upgrade_required, "Sec-WebSocket-Version has to be 13",
                   kUpgradeFields};
  }
  if (!is_handshake_key(only_value(request, http::field::sec_websocket_key).value_or(""))) {
    return Refusal{http::status::bad_request,
                   "there has to be exactly one Sec-WebSocket-Key, of 16 bytes in base64"};
  }
  return std::nullopt;
}

}  // namespace

UpgradeParser::Progress UpgradeParser::feed(std::span<std::byte>& in) noexcept {
  if (progress_ != Progress::need_more || in.empty()) return progress_;
  const std::size_t bytes_before = head_.size();
  const std::size_t room = rules_->header_bytes_max - bytes_before;
  head_.append(reinterpret_cast<const char*>(in.data()), std::min(in.size(), room));

  const std::size_t looked_at = bytes_before - std::min(bytes_before, kHeadEnd.size() - 1);
  const std::size_t end = head_.find(kHeadEnd, looked_at);
  if (end != head_.npos) head_.resize(end + kHeadEnd.size());
  in = in.subspan(head_.size() - bytes_before);

  if (!may_begin_a_request(head_.front())) {
    return refuse({http::status::bad_request, "this is not an HTTP request"});
  }
  if (end != head_.npos) return read_head();
  if (head_.size() < rules_->header_bytes_max) return Progress::need_more;
  const bool has_line = head_.find("\r\n") != head_.npos;
  return refuse(over_the_limit(
      has_line ? http::status::request_header_fields_too_large : http::status::uri_too_long,
      *rules_));
}

/// Answers the head, which is whole.
UpgradeParser::Progress UpgradeParser::read_head() {
  http::request_parser<http::empty_body> parser;
  parser.header_limit(static_cast<std::uint32_t>(head_.size()));
  parser.body_limit(boost::none);  // bodies are refused below, by what they declare
  boost::beast::error_code error;
  try {
    parser.put({head_.data(), head_.size()}, error);
  } catch (const std::length_error&) {  // a field past 64 KiB, which Beast cannot hold
    return refuse(over_the_limit(http::status::request_header_fields_too_large, *rules_));
  }
  if (error) return refuse(refusal_for(error, head_, *rules_));

  const Request& request = parser.get();
  if (const auto refusal = why_not(request, *rules_)) return refuse(*refusal);
  return accept({.target = request.target(),
                 .path = std::string{path_of(request.target())},
                 .host = request[http::field::host],
                 .origin = request[http::field::origin],
                 .key = request[http::field::sec_websocket_key]});
}

UpgradeParser::Progress UpgradeParser::accept(UpgradeRequest request) {
  const std::optional<AcceptKey> key = accept_key(request.key);
  if (!key) {
    return refuse({http::status::internal_server_error, "this host's OpenSSL offers no SHA-1"});
  }
  request_ = std::move(request);
  response_ = fmt::format(
      "HTTP/1.1 101 Switching Protocols\r\n"
      "Upgrade: websocket\r\n"
      "Connection: Upgrade\r\n"
      "Sec-WebSocket-Accept: {}\r\n\r\n",
      std::string_view{key->data(), key->size()});
  status_ = 101;
  return progress_ = Progress::accepted;
}

UpgradeParser::Progress UpgradeParser::refuse(const UpgradeRefusal& refusal) {
  status_ = static_cast<unsigned>(refusal.status);
  // An Upgrade field has to be named in Connection (RFC 9110, 7.8).
  const bool names_upgrade = refusal.status == http::status::upgrade_required;
  response_ = fmt::format(
      "HTTP/1.1 {} {}\r\n"
      "Connection: close{}\r\n"
      "Content-Type: text/plain\r\n"
      "Content-Length: {}\r\n"
      "{}\r\n",
      status_, std::string_view{http::obsolete_reason(refusal.status)},
      names_upgrade ? ", Upgrade" : "", refusal.why.size() + 1, refusal.fields);
  if (refusal.has_body) response_.append(refusal.why).append("\n");
  return progress_ = Progress::refused;
}

void prepare_upgrades() noexcept {
  (void)accept_key("dGhlIHNhbXBsZSBub25jZQ==");  // RFC 6455, 1.3
}

}  // namespace weir::wire
