// The head of the request is gathered here, within the limits, and parsed by Beast once it is
// whole; what it is answered with is upgrade_checks.cpp's.
#include "weir/wire/upgrade.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <optional>
#include <stdexcept>
#include <utility>
#include <variant>

#include "accept_key.h"
#include "upgrade_checks.h"
#include "upgrade_response.h"

namespace weir::wire {

namespace http = boost::beast::http;

namespace {

using http::status;

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kHeadEnd = "\r\n\r\n";

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

UpgradeAnswer over_the_limit(status status, const UpgradeRules& rules) {
  return {status, fmt::format("the request line and the header lines may have {} bytes in all",
                              rules.header_bytes_max)};
}

/// Why Beast would not parse `head`.
UpgradeAnswer answer_to(boost::beast::error_code error, std::string_view head,
                        const UpgradeRules& rules) {
  if (error == http::error::header_limit) {  // its own, on a value folded over many lines
    return over_the_limit(status::request_header_fields_too_large, rules);
  }
  if (error == http::error::bad_version && has_http_version(head)) {
    return {status::http_version_not_supported, "HTTP/1.1 is the version served here"};
  }
  return {status::bad_request, fmt::format("malformed request: {}", error.message())};
}

/// Where to go on looking for `mark`, whose front may have come with what was there before.
std::size_t look_from(std::size_t bytes_before, std::string_view mark) {
  return bytes_before - std::min(bytes_before, mark.size() - 1);
}

}  // namespace

UpgradeParser::Progress UpgradeParser::feed(std::span<std::byte>& in) noexcept {
  if (progress_ != Progress::need_more || in.empty()) return progress_;
  const std::size_t bytes_before = head_.size();
  const std::size_t room = rules_->header_bytes_max - bytes_before;
  head_.append(reinterpret_cast<const char*>(in.data()), std::min(in.size(), room));

  const std::size_t end = head_.find(kHeadEnd, look_from(bytes_before, kHeadEnd));
  if (end != head_.npos) head_.resize(end + kHeadEnd.size());
  in = in.subspan(head_.size() - bytes_before);

  if (!may_begin_a_request(head_.front())) {
    return answer({status::bad_request, "this is not an HTTP request"});
  }
  if (request_line_too_long(look_from(bytes_before, kLineEnd))) {
    return answer({status::uri_too_long, fmt::format("the request line may have {} bytes",
                                                     rules_->request_line_bytes_max)});
  }
  if (end != head_.npos) return read_head();
  if (head_.size() < rules_->header_bytes_max) return Progress::need_more;
  return answer(over_the_limit(
      line_ended_ ? status::request_header_fields_too_large : status::uri_too_long, *rules_));
}

/// `from`: before it there is no line end.
bool UpgradeParser::request_line_too_long(std::size_t from) noexcept {
  if (line_ended_) return false;
  const std::size_t max = rules_->request_line_bytes_max;
  const std::size_t end = head_.find(kLineEnd, from);
  line_ended_ = end <= max;
  if (line_ended_ || head_.size() <= max) return false;
  // A CR just past the limit may be the line's end, half arrived.
  return head_.size() > max + 1 || head_[max] != kLineEnd.front();
}

/// Answers the head, which is whole.
UpgradeParser::Progress UpgradeParser::read_head() {
  http::request_parser<http::empty_body> parser;
  parser.header_limit(static_cast<std::uint32_t>(head_.size()));
  parser.body_limit(boost::none);  // bodies are refused by what they declare
  boost::beast::error_code error;
  try {
    parser.put({head_.data(), head_.size()}, error);
  } catch (const std::length_error&) {  // a field past 64 KiB, which Beast cannot hold
    return answer(over_the_limit(status::request_header_fields_too_large, *rules_));
  }
  if (error) return answer(answer_to(error, head_, *rules_));

  auto judgement = judge(parser.get(), *rules_);
  if (const auto* no = std::get_if<UpgradeAnswer>(&judgement)) return answer(*no);
  auto& agreed = std::get<AgreedUpgrade>(judgement);
  const std::optional<AcceptKey> key = accept_key(agreed.request.key);
  if (!key) return answer({status::internal_server_error, "this host's OpenSSL offers no SHA-1"});
  request_ = std::move(agreed.request);
  response_ =
      switching_protocols({key->data(), key->size()}, request_.subprotocol, agreed.extensions);
  status_ = static_cast<unsigned>(status::switching_protocols);
  return progress_ = Progress::accepted;
}

void UpgradeParser::time_out() noexcept {
  if (progress_ != Progress::need_more) return;
  answer({status::request_timeout, "the request did not come in time"});
}

UpgradeParser::Progress UpgradeParser::answer(const UpgradeAnswer& answer) {
  status_ = static_cast<unsigned>(answer.status);
  response_ = to_response(answer, head_.starts_with("HEAD "));
  return progress_ = Progress::answered;
}

void prepare_upgrades() noexcept {
  (void)accept_key("dGhlIHNhbXBsZSBub25jZQ==");  // RFC 6455, 1.3
}

}  // namespace weir::wire
