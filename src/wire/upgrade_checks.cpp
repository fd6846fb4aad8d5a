#include "upgrade_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "accept_key.h"
#include "header_lists.h"

namespace weir::wire {

namespace http = boost::beast::http;

namespace {

using http::field;
using http::status;
using Request = http::request<http::empty_body>;
using Answer = UpgradeAnswer;

// A 426 has to say what to ask for (RFC 9110, 15.5.22; RFC 6455, 4.4).
constexpr std::string_view kUpgradeFields = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
// Soon: what is draining is being replaced, or has neighbours that are not.
constexpr std::string_view kRetryFields = "Retry-After: 5\r\n";

bool declares_body(const Request& request) {
  if (request.count(field::transfer_encoding) > 0) return true;
  const auto [first, end] = request.equal_range(field::content_length);
  return std::any_of(first, end, [](const auto& line) {
    return std::string_view{line.value()}.find_first_not_of("0, \t") != std::string_view::npos;
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

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

/// What any request has to be right in, whatever it asks for. A health check may be of HTTP/1.0,
/// which knows no Host.
std::optional<Answer> wrong_request(const Request& request, std::string_view path,
                                    bool to_health_path) {
  const bool is_1_0 = request.version() == 10;
  if (request.version() != 11 && !(is_1_0 && to_health_path)) {
    return Answer{status::http_version_not_supported, "HTTP/1.1 is the version served here"};
  }
  const bool is_get = request.method() == http::verb::get;
  const bool is_head = request.method() == http::verb::head;
  if (to_health_path && !is_get && !is_head) {
    return Answer{status::method_not_allowed, "the method has to be GET or HEAD",
                  "Allow: GET, HEAD\r\n"};
  }
  if (!to_health_path && !is_get) {
    return Answer{status::method_not_allowed, "the method has to be GET", "Allow: GET\r\n"};
  }
  if (!is_1_0 && only_value(request, field::host).value_or("").empty()) {
    return Answer{status::bad_request, "there has to be exactly one Host"};
  }
  if (declares_body(request)) {
    return Answer{status::payload_too_large, "a request that is taken here has no body"};
  }
  if (path.empty()) {
    return Answer{status::bad_request, "the request target has to begin with a slash"};
  }
  return std::nullopt;
}

/// What an opening handshake has to say, beyond being a GET with a Host (RFC 6455, 4.2.1).
std::optional<Answer> wrong_handshake(const Request& request, bool asks_for_upgrade) {
  if (!asks_for_upgrade) {
    return Answer{status::upgrade_required, "this is a WebSocket server: ask for an upgrade",
                  kUpgradeFields};
  }
  if (!lists_token(request, field::connection, "upgrade")) {
    return Answer{status::bad_request, "Connection has to list upgrade"};
  }
  if (only_value(request, field::sec_websocket_version) != "13") {
    return Answer{status::upgrade_required, "Sec-WebSocket-Version has to be 13", kUpgradeFields};
  }
  if (!is_handshake_key(only_value(request, field::sec_websocket_key).value_or(""))) {
    return Answer{status::bad_request,
                  "there has to be exactly one Sec-WebSocket-Key, of 16 bytes in base64"};
  }
  return std::nullopt;
}

std::optional<Answer> wrong_origin(const Request& request,
                                   const std::vector<std::string>& origins) {
  const auto [first, end] = request.equal_range(field::origin);
  if (first == end) return std::nullopt;
  // Which one would count is anyone's guess, and so a way around the list.
  if (std::next(first) != end) return Answer{status::bad_request, "there may be only one Origin"};
  const std::string_view origin = first->value();
  const auto matches = [origin](const std::string& allowed) {
    return boost::beast::iequals(origin, allowed);
  };
  if (origins.empty() || std::ranges::any_of(origins, matches)) return std::nullopt;
  return Answer{status::forbidden, "pages of this origin may not connect here"};
}

/// Sets what is selected in `agreed`.
std::optional<Answer> select_subprotocol(const Request& request, const UpgradeRules& rules,
                                         AgreedUpgrade& agreed) {
  if (request.count(field::sec_websocket_protocol) == 0) return std::nullopt;
  const auto offered = unique_tokens(request, field::sec_websocket_protocol);
  if (!offered) {
    return Answer{status::bad_request,
                  "Sec-WebSocket-Protocol has to be a list of tokens, each there once"};
  }
  const auto served = [&rules](std::string_view name) { return has(rules.subprotocols, name); };
  const auto selected = std::ranges::find_if(*offered, served);
  if (selected != offered->end()) agreed.request.subprotocol = *selected;
  return std::nullopt;
}

/// Sets what is agreed in `agreed`. Asked with compression off, too: a malformed header is an error
/// whether or not anybody would heed it.
std::optional<Answer> agree_on_extensions(const Request& request, const UpgradeRules& rules,
                                          AgreedUpgrade& agreed) {
  const auto offers = values_of(request, field::sec_websocket_extensions);
  if (offers.empty()) return std::nullopt;
  DeflateAnswer deflate = negotiate_deflate(offers, rules.compression);
  switch (deflate.kind) {
    case DeflateAnswer::Kind::none: return std::nullopt;
    case DeflateAnswer::Kind::agreed:
      agreed.request.deflate = deflate.terms;
      agreed.extensions = std::move(deflate.response);
      return std::nullopt;
    case DeflateAnswer::Kind::malformed: break;
  }
  return Answer{status::bad_request, "Sec-WebSocket-Extensions is malformed"};
}

Answer health(bool draining) {
  if (draining) return {status::service_unavailable, "draining"};
  return {status::ok, "ok"};
}

}  // namespace

std::variant<AgreedUpgrade, UpgradeAnswer> judge(const Request& request,
                                                 const UpgradeRules& rules) {
  const std::string_view path = path_of(request.target());
  const bool asks_for_upgrade =
      request.method() == http::verb::get && lists_token(request, field::upgrade, "websocket");
  const bool to_health_path =
      !rules.health_path.empty() && path == rules.health_path && !asks_for_upgrade;

  if (auto wrong = wrong_request(request, path, to_health_path)) return *std::move(wrong);
  if (to_health_path) return health(rules.draining);
  if (!rules.paths.empty() && !has(rules.paths, path)) {
    return Answer{status::not_found,
                  fmt::format("no such path; served: {}", fmt::join(rules.paths, ", "))};
  }
  if (auto wrong = wrong_handshake(request, asks_for_upgrade)) return *std::move(wrong);
  if (auto wrong = wrong_origin(request, rules.origins)) return *std::move(wrong);

  AgreedUpgrade agreed{.request = {.target = request.target(),
                                   .path = std::string{path},
                                   .host = request[field::host],
                                   .origin = request[field::origin],
                                   .key = request[field::sec_websocket_key],
                                   .subprotocol = {},
                                   .deflate = {}},
                       .extensions = {}};
  if (auto wrong = select_subprotocol(request, rules, agreed)) return *std::move(wrong);
  if (auto wrong = agree_on_extensions(request, rules, agreed)) return *std::move(wrong);
  // Last, so that only those hear of a later try whom it would help.
  if (rules.draining) {
    return Answer{status::service_unavailable, "draining: connect again later", kRetryFields};
  }
  return agreed;
}

}  // namespace weir::wire
