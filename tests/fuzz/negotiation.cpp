// Sec-WebSocket-Extensions of any text: what is agreed is within the rules, and our answer is one
// that a client can take. Input: the rules (a byte), then the header's values, one a line.
#include "fuzzing.h"
#include "weir/wire/deflate.h"

namespace weir::fuzz {
namespace {

using wire::Compression;
using wire::DeflateAnswer;
using wire::DeflateRules;
using wire::DeflateTerms;
using Kind = DeflateAnswer::Kind;
using Lines = std::vector<std::string_view>;

constexpr std::string_view kParameters[] = {
    "permessage-deflate",      "server_no_context_takeover", "client_no_context_takeover",
    "server_max_window_bits=", "client_max_window_bits=",
};

DeflateRules rules_of(std::uint8_t byte) {
  return {.mode = static_cast<Compression>(byte % 3),
          .window_bits = static_cast<std::uint8_t>(9 + (byte >> 2) % 7)};
}

Lines lines_of(std::string_view text) {
  Lines lines;
  while (true) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    if (end == text.size()) return lines;
    text.remove_prefix(end + 1);
  }
}

bool same(const DeflateTerms& a, const DeflateTerms& b) {
  return a.server_no_context_takeover == b.server_no_context_takeover &&
         a.client_no_context_takeover == b.client_no_context_takeover &&
         a.server_window_bits == b.server_window_bits &&
         a.client_window_bits == b.client_window_bits;
}

void judge_response(std::string_view response) {
  while (true) {
    const std::size_t end = std::min(response.find("; "), response.size());
    const std::string_view word = response.substr(0, end);
    check(std::ranges::any_of(kParameters, [&](auto known) { return word.starts_with(known); }),
          "a response is made of what RFC 7692 defines");
    check(word.find_first_of("\r\n,;\" ") == word.npos, "and of whole words");
    if (end == response.size()) return;
    response.remove_prefix(end + 2);
  }
}

void judge(const DeflateAnswer& answer, const DeflateRules& rules) {
  check((answer.kind == Kind::agreed) == !answer.response.empty(), "what is agreed is said");
  if (rules.mode == Compression::off) check(answer.kind != Kind::agreed, "off is off");
  if (answer.kind != Kind::agreed) return;

  const DeflateTerms& terms = answer.terms;
  for (const unsigned bits : {terms.server_window_bits, terms.client_window_bits}) {
    check(bits >= wire::kWindowBitsMin && bits <= wire::kWindowBitsMax, "a window is 8 to 15 bits");
  }
  if (rules.mode == Compression::shared) {
    check(terms.server_no_context_takeover && terms.client_no_context_takeover,
          "shared keeps no context");
  } else {
    check(terms.server_window_bits <= rules.window_bits, "our window is within the rules");
    check(terms.client_no_context_takeover || terms.client_window_bits <= rules.window_bits,
          "theirs is within the rules, or not kept");
  }
  const std::string_view response = answer.response;
  check(response.starts_with("permessage-deflate"), "a response begins with its name");
  judge_response(response);
  // An answer says no more than a client might have asked for: asked for, it is agreed again.
  const DeflateAnswer second = wire::negotiate_deflate({&response, 1}, rules);
  check(second.kind == Kind::agreed && same(second.terms, terms),
        "asking for what was agreed comes to the same");
}

}  // namespace
}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir;
  using namespace weir::fuzz;
  Input input{data, size};
  const DeflateRules rules = rules_of(input.byte());
  const std::string text{input.rest()};
  const Lines lines = lines_of(text);
  const DeflateAnswer answer = wire::negotiate_deflate(lines, rules);
  judge(answer, rules);

  // Lines of a list are one list (RFC 9110, 5.3), unless a quoted string spans them.
  if (text.find('"') != text.npos) return 0;
  std::string joined = text;
  std::ranges::replace(joined, '\n', ',');
  const std::string_view one = joined;
  const DeflateAnswer same_answer = wire::negotiate_deflate({&one, 1}, rules);
  const std::string_view response = answer.response;
  check(same_answer.kind == answer.kind && same_answer.response == response,
        "lines of a list are one list");
  return 0;
}
