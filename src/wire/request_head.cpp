#include "request_head.h"

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/field.hpp>
#include <cstdint>
#include <functional>

#include "header_lists.h"

namespace weir::wire {

namespace http = boost::beast::http;

namespace {

using boost::beast::error_code;
using boost::beast::string_view;
using http::field;

// No client needs more, whatever --max-header-size is.
constexpr std::size_t kFieldPartBytesMax = 65'533;

/// Content-Length: a list of numbers, which Beast has seen to, of one value.
bool is_zero(std::string_view length) {
  return length.find_first_not_of("0, \t") == length.npos;
}

/// Beast's parser without its containers: fields come in their order, each looked up by name once.
class HeadParser final : public http::basic_parser<true> {
 public:
  HeadParser(std::string_view text, const HashOn& hash_on, RequestHead& head,
             UnfoldedValues& unfolded)
      : text_{text}, hash_on_{hash_on}, head_{head}, unfolded_{unfolded} {
    header_limit(static_cast<std::uint32_t>(text.size()));
    body_limit(boost::none);  // bodies are refused by what they declare
  }

 private:
  void on_request_impl(http::verb method, string_view, string_view target, int version,
                       error_code&) override {
    head_.method = method;
    head_.target = target;
    head_.version = version;
  }

  void on_field_impl(field name, string_view name_text, string_view value,
                     error_code& error) override {
    if (name_text.size() > kFieldPartBytesMax || value.size() > kFieldPartBytesMax) {
      error = http::error::header_limit;
      return;
    }
    if (hash_on_.part != HashOn::Part::path && !head_.hashed_on)
      look_for_hashed(name, name_text, value);
    switch (name) {
      case field::host: return set(head_.host, value);
      case field::origin: return set(head_.origin, value);
      case field::sec_websocket_key: return set(head_.key, value);
      case field::sec_websocket_version: return set(head_.websocket_version, value);
      case field::sec_websocket_protocol: head_.protocols.push_back(kept(value)); return;
      case field::sec_websocket_extensions: head_.extensions.push_back(kept(value)); return;
      case field::upgrade: head_.upgrades_to_websocket |= lists_token(value, "websocket"); return;
      case field::connection: head_.connection_upgrades |= lists_token(value, "upgrade"); return;
      case field::content_length: head_.declares_body |= !is_zero(value); return;
      case field::transfer_encoding: head_.declares_body = true; return;
      default: return;
    }
  }

  /// The first that has it counts, be it a line or a cookie in one.
  void look_for_hashed(field name, string_view name_text, string_view value) {
    if (hash_on_.part == HashOn::Part::header &&
        boost::beast::iequals(name_text, string_view{hash_on_.name}))
      head_.hashed_on = kept(value);
    if (hash_on_.part == HashOn::Part::cookie && name == field::cookie)
      head_.hashed_on = cookie_value(kept(value), hash_on_.name);
  }

  void set(SingleField& field, string_view value) {
    ++field.lines;
    field.value = kept(value);
  }

  /// Beast lends an unfolded value for the call alone; any other is one of the text's.
  std::string_view kept(string_view value) {
    const std::less<> before;
    const bool in_text = !before(value.data(), text_.data()) &&
                         !before(text_.data() + text_.size(), value.data() + value.size());
    return in_text ? std::string_view{value} : unfolded_.emplace_front(value);
  }

  void on_header_impl(error_code&) override {}
  // What follows the head is not parsed; a response never is.
  void on_response_impl(int, string_view, int, error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(string_view, error_code&) override { return 0; }
  void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, string_view, error_code&) override { return 0; }
  void on_finish_impl(error_code&) override {}

  std::string_view text_;
  const HashOn& hash_on_;
  RequestHead& head_;
  UnfoldedValues& unfolded_;
};

}  // namespace

error_code parse_request_head(std::string_view text, const HashOn& hash_on, RequestHead& head,
                              UnfoldedValues& unfolded) {
  HeadParser parser{text, hash_on, head, unfolded};
  error_code error;
  parser.put({text.data(), text.size()}, error);
  return error;
}

}  // namespace weir::wire
