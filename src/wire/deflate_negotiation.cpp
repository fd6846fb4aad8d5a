// The opening handshake's part of permessage-deflate: Sec-WebSocket-Extensions is read into
// offers (RFC 6455, 9.1), an offer into what it asks (RFC 7692, 7.1), and that is answered.
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "token.h"
#include "weir/wire/deflate.h"

namespace weir::wire {
namespace {

constexpr std::string_view kExtension = "permessage-deflate";

struct Parameter {
  std::string_view name;
  std::optional<std::string> value;
};

/// What an offer of permessage-deflate asks for.
struct Asked {
  bool server_no_context_takeover = false;
  bool client_no_context_takeover = false;
  std::optional<std::uint8_t> server_max_window_bits{};
  bool client_takes_window_bits = false;  // the client says that it knows client_max_window_bits
  std::optional<std::uint8_t> client_max_window_bits{};
};

// In decimal and without leading zeros (RFC 7692, 7.1.2).
constexpr std::array<std::string_view, 8> kWindowBitsNames{"8",  "9",  "10", "11",
                                                           "12", "13", "14", "15"};

std::optional<std::uint8_t> to_window_bits(std::string_view text) noexcept {
  const auto* const found = std::ranges::find(kWindowBitsNames, text);
  if (found == kWindowBitsNames.end()) return {};
  return static_cast<std::uint8_t>(kWindowBitsMin + (found - kWindowBitsNames.begin()));
}

std::string_view to_text(std::uint8_t window_bits) noexcept {
  return kWindowBitsNames[window_bits - kWindowBitsMin];
}

/// Adds `parameter` to `asked`; false where the offer has to be declined for it.
bool add(const Parameter& parameter, Asked& asked) noexcept {
  const auto& [name, value] = parameter;
  if (name == "server_no_context_takeover") {
    return !value && !std::exchange(asked.server_no_context_takeover, true);
  }
  if (name == "client_no_context_takeover") {
    return !value && !std::exchange(asked.client_no_context_takeover, true);
  }
  if (name == "server_max_window_bits") {
    const bool is_repeated = asked.server_max_window_bits.has_value();
    if (value) asked.server_max_window_bits = to_window_bits(*value);
    return !is_repeated && asked.server_max_window_bits.has_value();
  }
  if (name == "client_max_window_bits") {
    const bool is_repeated = std::exchange(asked.client_takes_window_bits, true);
    if (value) asked.client_max_window_bits = to_window_bits(*value);
    return !is_repeated && (!value || asked.client_max_window_bits.has_value());
  }
  return false;
}

/// What all lines of a request offer.
struct Offers {
  bool any = false;              // of whatever extension
  std::optional<Asked> taken{};  // by the first of permessage-deflate that can be taken
};

/// Reads one line of Sec-WebSocket-Extensions from left to right. White space may stand between
/// any two of its words, and elements of its list may be empty (RFC 2616, 2.1).
class LineReader {
 public:
  explicit LineReader(std::string_view line) noexcept : rest_{line} {}

  /// Adds the line's offers to `offers`; false where it is not of the grammar.
  bool read_into(Offers& offers) {
    while (true) {
      while (take(',')) {
      }
      if (rest_.empty()) return true;
      if (!read_offer(offers)) return false;
      if (!rest_.empty() && !take(',')) return false;
    }
  }

 private:
  bool read_offer(Offers& offers) {
    const std::string_view extension = read_token();
    if (extension.empty()) return false;
    Asked asked;
    bool can_be_taken = extension == kExtension && !offers.taken;
    while (take(';')) {
      const std::optional<Parameter> parameter = read_parameter();
      if (!parameter) return false;
      can_be_taken = can_be_taken && add(*parameter, asked);
    }
    skip_space();
    offers.any = true;
    if (can_be_taken) offers.taken = asked;
    return true;
  }

  std::optional<Parameter> read_parameter() {
    Parameter parameter{.name = read_token(), .value = {}};
    if (parameter.name.empty()) return {};
    if (!take('=')) return parameter;
    parameter.value = next_is('"') ? read_quoted() : std::string{read_token()};
    // What was quoted has to be a token too, once unquoted.
    if (parameter.value->empty()) return {};
    if (!std::ranges::all_of(*parameter.value, is_token_character)) return {};
    return parameter;
  }

  /// Empty where no token stands.
  std::string_view read_token() noexcept {
    skip_space();
    const auto* const end = std::ranges::find_if_not(rest_, is_token_character);
    const auto size = static_cast<std::size_t>(end - rest_.begin());
    const std::string_view token = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return token;
  }

  /// What stands between the quotes, its escapes undone; empty where the second quote is missing.
  std::string read_quoted() {
    std::string text;
    for (std::size_t i = 1; i < rest_.size(); ++i) {
      if (rest_[i] == '"') {
        rest_.remove_prefix(i + 1);
        return text;
      }
      if (rest_[i] == '\\' && ++i == rest_.size()) break;
      text += rest_[i];
    }
    return {};
  }

  bool next_is(char c) noexcept {
    skip_space();
    return rest_.starts_with(c);
  }

  bool take(char c) noexcept {
    if (!next_is(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  void skip_space() noexcept {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t"), rest_.size()));
  }

  std::string_view rest_;
};

/// Terms with no context on either side. A server may ask for both unasked (7.1.1.1, 7.1.1.2).
/// The client's window stays the largest: one inflater serves all.
DeflateTerms shared_terms(const Asked& asked) noexcept {
  return {.server_no_context_takeover = true,
          .client_no_context_takeover = true,
          .server_window_bits = asked.server_max_window_bits.value_or(kWindowBitsMax)};
}

DeflateTerms dedicated_terms(const Asked& asked, std::uint8_t window_bits) noexcept {
  DeflateTerms terms{.server_no_context_takeover = asked.server_no_context_takeover,
                     .client_no_context_takeover = asked.client_no_context_takeover,
                     .server_window_bits =
                         std::min(window_bits, asked.server_max_window_bits.value_or(window_bits)),
                     .client_window_bits = kWindowBitsMax};
  if (asked.client_takes_window_bits) {
    terms.client_window_bits =
        std::min(window_bits, asked.client_max_window_bits.value_or(window_bits));
  } else if (window_bits < kWindowBitsMax) {
    // The client cannot be told of a smaller window (7.1.2.2), but to keep none (7.1.1.2): more
    // than window_bits allows is held for nobody.
    terms.client_no_context_takeover = true;
  }
  return terms;
}

/// What says these terms. A limit that was asked for has to be repeated (7.1.2.1); one that was
/// not may be told of the server's window, and of the client's where client_takes_window_bits.
DeflateResponse response_for(const DeflateTerms& terms, const Asked& asked) {
  DeflateResponse response;
  response.append(kExtension);
  if (terms.server_no_context_takeover) response.append("; server_no_context_takeover");
  if (terms.client_no_context_takeover) response.append("; client_no_context_takeover");
  if (asked.server_max_window_bits || terms.server_window_bits < kWindowBitsMax) {
    response.append("; server_max_window_bits=");
    response.append(to_text(terms.server_window_bits));
  }
  if (terms.client_window_bits < kWindowBitsMax) {
    response.append("; client_max_window_bits=");
    response.append(to_text(terms.client_window_bits));
  }
  return response;
}

}  // namespace

DeflateAnswer negotiate_deflate(std::span<const std::string_view> headers,
                                const DeflateRules& rules) {
  if (headers.empty()) return {};
  Offers offers;
  for (const std::string_view line : headers) {
    if (!LineReader{line}.read_into(offers)) return {.kind = DeflateAnswer::Kind::malformed};
  }
  // The lines are one list (RFC 6455, 9.1), which has an element at least.
  if (!offers.any) return {.kind = DeflateAnswer::Kind::malformed};
  if (rules.mode == Compression::off || !offers.taken) return {};

  const Asked& asked = *offers.taken;
  const DeflateTerms terms = rules.mode == Compression::shared
                                 ? shared_terms(asked)
                                 : dedicated_terms(asked, rules.window_bits);
  return {
      .kind = DeflateAnswer::Kind::agreed, .terms = terms, .response = response_for(terms, asked)};
}

}  // namespace weir::wire
