// PROXY protocol headers: every cut gives the same answer, and not one byte past the header is
// taken. Input: two bytes that choose the cuts, then what a proxy sends.
#include "weir/wire/proxy_protocol.h"

#include <cstring>

#include "fuzzing.h"

namespace weir::fuzz {
namespace {

using wire::ProxyParser;
using Progress = ProxyParser::Progress;

constexpr std::size_t kLineBytesMax = 107;    // version 1
constexpr std::size_t kBlockFixedBytes = 16;  // version 2: signature, two bytes, the length

struct Outcome {
  Progress progress = Progress::need_more;
  wire::ProxyError error = wire::ProxyError::none;
  std::string source;
  std::size_t taken = 0;  // of a whole header; where one is refused, nobody reads on

  bool operator==(const Outcome&) const = default;
};

Outcome feed(std::string_view text, const Cut& cut) {
  ProxyParser parser;
  Outcome outcome;
  for (const std::size_t size : cut) {
    const std::string_view before = text.substr(0, size);
    Piece piece{text, size};
    std::span<std::byte> in = piece.all();
    outcome.progress = parser.feed(in);
    check(in.data() + in.size() == piece.all().data() + size, "`in` is advanced from its front");
    check(to_text(piece.all()) == before, "the input is only read");
    outcome.taken += size - in.size();
    if (outcome.progress != Progress::need_more) break;
    check(in.empty(), "need_more means that all input is taken");
  }
  if (outcome.progress != Progress::need_more) {
    std::string_view more = "PROXY UNKNOWN\r\n";
    Piece piece{more, more.size()};
    std::span<std::byte> in = piece.all();
    check(parser.feed(in) == outcome.progress, "an answer stays");
    check(in.size() == piece.all().size(), "nothing is taken after the answer");
  }
  check(outcome.taken <= ProxyParser::kBytesMax, "a header has its bound");
  if (outcome.progress == Progress::refused) outcome.taken = 0;
  outcome.error = parser.error();
  if (outcome.progress == Progress::done && parser.source())
    outcome.source = parser.source()->to_string();
  return outcome;
}

void judge(const Outcome& outcome, std::string_view text) {
  check((outcome.error != wire::ProxyError::none) == (outcome.progress == Progress::refused),
        "a refusal, and nothing else, names an error");
  if (outcome.progress != Progress::done) return;
  const std::string_view header = text.substr(0, outcome.taken);
  if (header.starts_with("PROXY ")) {
    check(header.size() <= kLineBytesMax && header.ends_with("\r\n"), "a line ends with CR LF");
    return;
  }
  check(header.size() >= kBlockFixedBytes, "a block is at least its fixed part");
  const auto high = static_cast<unsigned char>(header[14]);
  const auto low = static_cast<unsigned char>(header[15]);
  check(header.size() == kBlockFixedBytes + (std::size_t{high} << 8 | low),
        "a block is as long as it says");
}

}  // namespace
}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir::fuzz;
  Input input{data, size};
  const std::size_t seed = input.number();
  const std::string_view text = input.rest();
  const std::vector<Cut> cuts = cuts_of(text.size(), seed);
  const Outcome whole = feed(text, cuts.front());
  judge(whole, text);
  for (const Cut& cut : cuts) check(feed(text, cut) == whole, "the cuts make no difference");
  return 0;
}
