#include "upgrade_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "accept_key.h"
#include "header_lists.h"

namespace weir::wire {

namespace http = boost::beast::http;

namespace {

using http::status;
using Answer = UpgradeAnswer;

// A 426 has to say what to ask for (RFC 9110, 15.5.22; RFC 6455, 4.4).
constexpr std::string_view kUpgradeFields = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
// Soon: what is draining is being replaced, or has neighbours that are not.
constexpr std::string_view kRetryFields = "Retry-After: 5\r\n";

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

/// What a worker is picked by. Of the header lines the head has kept it.
std::optional<std::string_view> hashed_on(const RequestHead& request, std::string_view path,
                                          const HashOn& hash_on) {
  switch (hash_on.part) {
    case HashOn::Part::path: return path;
    case HashOn::Part::query: return query_argument(request.target, hash_on.name);
    case HashOn::Part::header:
    case HashOn::Part::cookie: break;
  }
  return request.hashed_on;
}

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

/// What any request has to be right in, whatever it asks for. A health check may be of HTTP/1.0,
/// which knows no Host.
std::optional<Answer> wrong_request(const RequestHead& request, std::string_view path,
                                    bool to_health_path) {
  const bool is_1_0 = request.version == 10;
  if (request.version != 11 && !(is_1_0 && to_health_path)) {
    return Answer{status::http_version_not_supported, "HTTP/1.1 is the version served here"};
  }
  const bool is_get = request.method == http::verb::get;
  const bool is_head = request.method == http::verb::head;
  if (to_health_path && !is_get && !is_head) {
    return Answer{status::method_not_allowed, "the method has to be GET or HEAD",
                  "Allow: GET, HEAD\r\n"};
  }
  if (!to_health_path && !is_get) {
    return Answer{status::method_not_allowed, "the method has to be GET", "Allow: GET\r\n"};
  }
  if (!is_1_0 && request.host.only_value().empty()) {
    return Answer{status::bad_request, "there has to be exactly one Host"};
  }
  if (request.declares_body) {
    return Answer{status::payload_too_large, "a request that is taken here has no body"};
  }
  if (path.empty()) {
    return Answer{status::bad_request, "the request target has to begin with a slash"};
  }
  return std::nullopt;
}

/// What an opening handshake has to say, beyond being a GET with a Host (RFC 6455, 4.2.1).
std::optional<Answer> wrong_handshake(const RequestHead& request, bool asks_for_upgrade) {
  if (!asks_for_upgrade) {
    return Answer{status::upgrade_required, "this is a WebSocket server: ask for an upgrade",
                  kUpgradeFields};
  }
  if (!request.connection_upgrades) {
    return Answer{status::bad_request, "Connection has to list upgrade"};
  }
  if (request.websocket_version.only_value() != "13") {
    return Answer{status::upgrade_required, "Sec-WebSocket-Version has to be 13", kUpgradeFields};
  }
  if (!is_handshake_key(request.key.only_value())) {
    return Answer{status::bad_request,
                  "there has to be exactly one Sec-WebSocket-Key, of 16 bytes in base64"};
  }
  return std::nullopt;
}

std::optional<Answer> wrong_origin(const RequestHead& request,
                                   const std::vector<std::string>& origins) {
  if (request.origin.lines == 0) return std::nullopt;
  // Which one would count is anyone's guess, and so a way around the list.
  if (request.origin.lines > 1) {
    return Answer{status::bad_request, "there may be only one Origin"};
  }
  const std::string_view origin = request.origin.value;
  const auto matches = [origin](const std::string& allowed) {
    return boost::beast::iequals(origin, allowed);
  };
  if (origins.empty() || std::ranges::any_of(origins, matches)) return std::nullopt;
  return Answer{status::forbidden, "pages of this origin may not connect here"};
}

/// Sets what is selected in `agreed`.
std::optional<Answer> select_subprotocol(const RequestHead& request, const UpgradeRules& rules,
                                         AgreedUpgrade& agreed) {
  if (request.protocols.empty()) return std::nullopt;
  const auto offered = unique_tokens(request.protocols);
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
std::optional<Answer> agree_on_extensions(const RequestHead& request, const UpgradeRules& rules,
                                          AgreedUpgrade& agreed) {
  if (request.extensions.empty()) return std::nullopt;
  const DeflateAnswer deflate = negotiate_deflate(request.extensions, rules.compression);
  switch (deflate.kind) {
    case DeflateAnswer::Kind::none: return std::nullopt;
    case DeflateAnswer::Kind::agreed:
      agreed.request.deflate = deflate.terms;
      agreed.extensions = deflate.response;
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

std::variant<AgreedUpgrade, UpgradeAnswer> judge(const RequestHead& request,
                                                 const UpgradeRules& rules) {
  const std::string_view path = path_of(request.target);
  const bool asks_for_upgrade = request.method == http::verb::get && request.upgrades_to_websocket;
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

  AgreedUpgrade agreed{.request = {.head = {},
                                   .target = request.target,
                                   .path = path,
                                   .host = request.host.value,
                                   .origin = request.origin.value,
                                   .key = request.key.value,
                                   .subprotocol = {},
                                   .deflate = {},
                                   .hashed_on = hashed_on(request, path, rules.hash_on)},
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
