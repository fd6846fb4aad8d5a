// HashOn: which part of an upgrade request says whose session it is, for --steer uri-hash, and how
// that part is read.
//
// All of it is taken as it was sent: nothing is percent-decoded, no case is folded, no dot segment
// is removed (RFC 3986, 6.2, leaves to each server how far it normalises). Two spellings are two
// keys; what a session costs by that is its neighbours, nothing else. A decoder here would have to
// agree with the application's, which is not known here; and a client spells what it was given.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir::wire {

struct HashOn {
  enum class Part : std::uint8_t {
    path,    // the target up to its first '?'; of the absolute form, from behind the authority
    query,   // what the first argument of that name has behind its first '='
    header,  // the value of the first header line of that name
    cookie,  // what the first cookie of that name has behind its first '='
  };
  Part part = Part::path;
  std::string name{};  // of the argument, the header or the cookie; empty with path

  bool operator==(const HashOn&) const = default;
};

/// "path", "query:room", "header:X-Room" or "cookie:sid". A header's and a cookie's name is a token
/// (RFC 9110, 5.6.2; RFC 6265, 4.1.1), an argument's of any visible characters but & = and #.
[[nodiscard]] std::optional<HashOn> parse_hash_on(std::string_view text);
[[nodiscard]] std::string to_string(const HashOn& hash_on);

/// The value of the first argument called `name`, to the byte, in the query of a request target:
/// arguments stand between '&', a value behind the first '='. Empty where it has none. Nothing
/// where there is no such argument.
[[nodiscard]] std::optional<std::string_view> query_argument(std::string_view target,
                                                             std::string_view name) noexcept;

/// The same of a cookie in the value of a Cookie header (RFC 6265, 4.2.1): cookies stand between
/// ';', and the white space around name and value is none of theirs; quotes are the value's own.
/// What has no '=' is no cookie.
[[nodiscard]] std::optional<std::string_view> cookie_value(std::string_view header,
                                                           std::string_view name) noexcept;

}  // namespace weir::wire
