// The head of the request is brought together here, within the limits; what it is answered with
// once it is whole is upgrade_checks.cpp's. It nearly always is whole in the first bytes fed, and
// then is read where it lies.
#include "weir/wire/upgrade.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/http/error.hpp>
#include <variant>

#include "accept_key.h"
#include "request_head.h"
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
  if (error == http::error::header_limit) {  // of one field
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
  const std::size_t bytes_before = gathered_.size();
  // Nothing, where the limit was lowered since it began.
  const std::size_t room = std::max(rules_->header_bytes_max, bytes_before) - bytes_before;
  std::string_view head{reinterpret_cast<const char*>(in.data()), std::min(in.size(), room)};
  if (bytes_before > 0) head = gathered_.append(head);

  const std::size_t end = head.find(kHeadEnd, look_from(bytes_before, kHeadEnd));
  const bool is_whole = end != head.npos;
  if (is_whole) head = head.substr(0, end + kHeadEnd.size());
  in = in.subspan(head.size() - bytes_before);

  if (!may_begin_a_request(head.front())) {
    return answer({status::bad_request, "this is not an HTTP request"}, head);
  }
  if (request_line_too_long(head, look_from(bytes_before, kLineEnd))) {
    return answer({status::uri_too_long, fmt::format("the request line may have {} bytes",
                                                     rules_->request_line_bytes_max)},
                  head);
  }
  if (is_whole) return read(head);
  if (head.size() >= rules_->header_bytes_max) {
    return answer(
        over_the_limit(line_ended_ ? status::request_header_fields_too_large : status::uri_too_long,
                       *rules_),
        head);
  }
  if (bytes_before == 0) gathered_ = head;
  return Progress::need_more;
}

/// `from`: before it there is no line end.
bool UpgradeParser::request_line_too_long(std::string_view head, std::size_t from) noexcept {
  if (line_ended_) return false;
  const std::size_t max = rules_->request_line_bytes_max;
  const std::size_t end = head.find(kLineEnd, from);
  line_ended_ = end <= max;
  if (line_ended_ || head.size() <= max) return false;
  // A CR just past the limit may be the line's end, half arrived.
  return head.size() > max + 1 || head[max] != kLineEnd.front();
}

/// Answers `text`, which is the whole head.
UpgradeParser::Progress UpgradeParser::read(std::string_view text) {
  RequestHead head;
  if (const auto error = parse_request_head(text, rules_->hash_on, head, unfolded_)) {
    return answer(answer_to(error, text, *rules_), text);
  }
  auto judgement = judge(head, *rules_);
  if (const auto* no = std::get_if<UpgradeAnswer>(&judgement)) return answer(*no, text);
  const auto& agreed = std::get<AgreedUpgrade>(judgement);
  request_ = agreed.request;
  request_.head = text;
  const AcceptKey key = accept_key(request_.key);
  append_switching_protocols({key.data(), key.size()}, request_.subprotocol, agreed.extensions,
                             response_);
  status_ = static_cast<std::uint16_t>(status::switching_protocols);
  return progress_ = Progress::accepted;
}

void UpgradeParser::time_out() noexcept {
  if (progress_ != Progress::need_more) return;
  answer({status::request_timeout, "the request did not come in time"}, gathered_);
}

/// `head`: as much of it as there is.
UpgradeParser::Progress UpgradeParser::answer(const UpgradeAnswer& answer, std::string_view head) {
  status_ = static_cast<std::uint16_t>(answer.status);
  append_answer(answer, head.starts_with("HEAD "), response_);
  return progress_ = Progress::answered;
}

}  // namespace weir::wire
