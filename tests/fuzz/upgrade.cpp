// The opening handshake: one answer however the request is cut, within the limits, and nothing in
// it that the rules do not allow. Input: four bytes that choose the rules, two that choose the
// cuts, then a request and what follows it.
#include "weir/wire/upgrade.h"

#include <optional>

#include "fuzzing.h"

namespace weir::fuzz {
namespace {

using wire::UpgradeParser;
using wire::UpgradeRules;
using Progress = UpgradeParser::Progress;

UpgradeRules rules_of(Input& input) {
  const std::uint8_t has = input.byte();
  const std::uint8_t compression = input.byte();
  const std::uint8_t lines = input.byte();
  UpgradeRules rules;
  if ((has & 1) != 0) rules.paths = {"/chat", "/"};
  if ((has & 2) != 0) rules.origins = {"https://example.com", "null"};
  if ((has & 4) != 0) rules.subprotocols = {"chat", "superchat"};
  if ((has & 8) != 0) rules.health_path = "/healthz";
  rules.draining = (has & 16) != 0;
  constexpr std::string_view kHashOn[] = {"path", "query:room", "header:X-Room", "cookie:sid"};
  rules.hash_on = *wire::parse_hash_on(kHashOn[has >> 5 & 3]);
  rules.compression.mode = static_cast<wire::Compression>(compression % 3);
  rules.compression.window_bits = static_cast<std::uint8_t>(9 + (compression >> 2) % 7);
  // Mostly room for any request that is worth a try, and now and then as little as there can be.
  if ((lines & 0x80) != 0) rules.header_bytes_max = 256 + (lines & 0x7fU);
  if (const std::uint8_t line = input.byte(); (line & 0x80) != 0) {
    rules.request_line_bytes_max = 64 + (line & 0x7fU);
  }
  return rules;
}

struct Outcome {
  Progress progress = Progress::need_more;
  unsigned status = 0;
  std::string response;
  std::size_t taken = 0;  // of what goes on; what is answered is read no further
  std::string asked;      // request(), in one text

  bool operator==(const Outcome&) const = default;
};

std::string to_text(const wire::UpgradeRequest& request) {
  std::string text;
  for (const std::string_view field : {request.target, request.path, request.host, request.origin,
                                       request.key, request.subprotocol}) {
    text.append(std::to_string(field.size())).append(":").append(field).append(",");
  }
  text += request.hashed_on ? "hashed on " + std::string{*request.hashed_on} : "no hash";
  return text + (request.deflate ? "compressed" : "");
}

bool is_among(const std::vector<std::string>& allowed, std::string_view value) {
  return std::ranges::find(allowed, value) != allowed.end();
}

std::string lower(std::string_view sent) {
  std::string text{sent};
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

/// Head and body, as the one Content-Length of the head parts them.
void judge_response(std::string_view response, unsigned status) {
  check(response.starts_with("HTTP/1.1 " + std::to_string(status) + " "), "the status is sent");
  const std::size_t end = response.find("\r\n\r\n");
  check(end != response.npos, "a response has a head");
  for (const char c : response.substr(0, end)) {
    check((c >= ' ' && c < 0x7f) || c == '\r' || c == '\n', "a response's head is plain ASCII");
  }
  if (status == 101) check(end + 4 == response.size(), "a 101 has no body");
  if (status != 101) {
    check(response.find("\r\nConnection: close") < end, "what is not upgraded is closed");
  }
}

void judge_accepted(const UpgradeParser& parser, const UpgradeRules& rules) {
  const wire::UpgradeRequest& request = parser.request();
  check(parser.status() == 101, "accepted is 101");
  check(!rules.draining, "nobody is let in while draining");
  check(rules.paths.empty() || is_among(rules.paths, request.path), "the path is served");
  check(request.target.find(request.path) != request.target.npos, "the path is the target's");
  const auto& hashed_on = request.hashed_on;
  const bool of_target = rules.hash_on.part <= wire::HashOn::Part::query;
  check(rules.hash_on.part != wire::HashOn::Part::path || hashed_on == request.path,
        "every request has a path to hash on");
  check(!hashed_on || hashed_on->find_first_of("\r\n") == hashed_on->npos,
        "what is hashed on is of one line");
  check(!of_target || !hashed_on || request.target.find(*hashed_on) != request.target.npos,
        "a path and an argument are the target's");
  check(rules.origins.empty() || request.origin.empty() ||
            is_among(rules.origins, lower(request.origin)),
        "the page may connect");
  check(request.subprotocol.empty() || is_among(rules.subprotocols, request.subprotocol),
        "the subprotocol is served");
  check(request.key.size() == 24, "a key is 16 bytes in base 64");
  const std::string_view response = parser.response();
  check(response.find("\r\nSec-WebSocket-Accept: ") != response.npos, "a 101 proves that it read");
  check((response.find("\r\nSec-WebSocket-Extensions: ") != response.npos) ==
            request.deflate.has_value(),
        "what is agreed is said");
  check(!request.deflate || rules.compression.mode != wire::Compression::off,
        "compression is agreed where it is wanted");
}

Outcome feed(const UpgradeRules& rules, std::string_view text, const Cut& cut) {
  UpgradeParser parser{rules};
  Outcome outcome;
  std::optional<Piece> last;  // request() may point into it
  for (const std::size_t size : cut) {
    Piece& piece = last.emplace(text, size);
    std::span<std::byte> in = piece.all();
    outcome.progress = parser.feed(in);
    check(in.data() + in.size() == piece.all().data() + size, "`in` is advanced from its front");
    outcome.taken += size - in.size();
    if (outcome.progress != Progress::need_more) break;
    check(in.empty(), "need_more means that all input is taken");
    check(parser.response().empty() && parser.status() == 0, "there is no answer before its time");
  }
  check(outcome.taken <= rules.header_bytes_max, "a head has its bound");
  if (outcome.progress == Progress::need_more) {
    parser.time_out();
    check(parser.status() == 408, "what does not come in time is answered 408");
  }
  const std::string response{parser.response()};
  outcome.asked = to_text(parser.request());
  judge_response(response, parser.status());
  if (outcome.progress == Progress::accepted) judge_accepted(parser, rules);

  parser.time_out();
  std::string_view more = "GET / HTTP/1.1\r\n\r\n";
  Piece piece{more, more.size()};
  std::span<std::byte> in = piece.all();
  const Progress expected =
      outcome.progress == Progress::accepted ? Progress::accepted : Progress::answered;
  check(parser.feed(in) == expected, "an answer stays");
  check(in.size() == piece.all().size(), "nothing is taken after the answer");
  check(parser.response() == response, "a response stays");
  if (outcome.progress == Progress::answered) outcome.taken = 0;
  outcome.status = parser.status();
  outcome.response = response;
  check(to_text(parser.request()) == outcome.asked, "what was asked stays");
  return outcome;
}

}  // namespace
}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir::fuzz;
  Input input{data, size};
  const weir::wire::UpgradeRules rules = rules_of(input);
  const std::size_t seed = input.number();
  const std::string_view text = input.rest();
  const std::vector<Cut> cuts = cuts_of(text.size(), seed);
  const Outcome whole = feed(rules, text, cuts.front());
  for (const Cut& cut : cuts) {
    check(feed(rules, text, cut) == whole, "the cuts make no difference");
  }
  return 0;
}
