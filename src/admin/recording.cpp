#include "weir/admin/recording.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "weir/base/units.h"

namespace weir::admin {
namespace {

constexpr std::string_view kTraceHeader = "arrival_s,client,lifetime_s,messages,cost_us,bytes\n";

/// The word before the next comma, which is taken off `line` with it.
std::string_view next_word(std::string_view& line) {
  const std::size_t comma = line.find(',');
  const std::string_view word = line.substr(0, comma);
  line.remove_prefix(comma == line.npos ? line.size() : comma + 1);
  return word;
}

/// What follows "s," in the line of a piece.
std::optional<SessionPiece> piece_of(std::string_view line) {
  SessionPiece piece;
  for (std::uint64_t SessionPiece::*member :
       {&SessionPiece::session, &SessionPiece::began_ns, &SessionPiece::ended_ns,
        &SessionPiece::messages, &SessionPiece::bytes, &SessionPiece::cost_ns}) {
    const auto number = parse_number<std::uint64_t>(next_word(line));
    if (!number) return std::nullopt;
    piece.*member = *number;
  }
  piece.client = line;
  if (piece.client.empty() || piece.client.find(',') != std::string::npos) return std::nullopt;
  return piece;
}

double seconds_between(std::uint64_t from, std::uint64_t to) {
  return to > from ? static_cast<double>(to - from) * 1e-9 : 0;
}

}  // namespace

std::string SessionPiece::to_line() const {
  return fmt::format("s,{},{},{},{},{},{},{}\n", session, began_ns, ended_ns, messages, bytes,
                     cost_ns, client);
}

std::string missing_line(std::uint64_t pieces) {
  return fmt::format("m,{}\n", pieces);
}

std::string died_line(std::uint32_t slot) {
  return fmt::format("d,{}\n", slot);
}

void Recording::feed(std::string_view bytes) {
  for (std::size_t end = 0; (end = bytes.find('\n')) != bytes.npos;) {
    rest_ += bytes.substr(0, end);
    take(rest_);
    rest_.clear();
    bytes.remove_prefix(end + 1);
  }
  rest_ += bytes;
}

void Recording::take(std::string_view line) {
  const std::string_view kind = next_word(line);
  if (kind == "s") {
    if (auto piece = piece_of(line)) {
      const auto [at, is_new] = sessions_.try_emplace(piece->session, std::move(*piece));
      if (is_new) return;
      SessionPiece& whole = at->second;
      whole.began_ns = std::min(whole.began_ns, piece->began_ns);
      whole.ended_ns = std::max(whole.ended_ns, piece->ended_ns);
      whole.messages += piece->messages;
      whole.bytes += piece->bytes;
      whole.cost_ns += piece->cost_ns;
      return;
    }
  } else if (const auto number = parse_number<std::uint64_t>(line); number && kind == "m") {
    missing_ += *number;
    return;
  } else if (number && kind == "d") {
    remark(fmt::format("the worker of slot {} died: what its sessions did is not told", *number));
    return;
  }
  ++damaged_;
}

std::string Recording::trace(Instant began) const {
  std::vector<const SessionPiece*> in_order;
  in_order.reserve(sessions_.size());
  for (const auto& [session, piece] : sessions_) in_order.push_back(&piece);
  std::ranges::sort(in_order, [](const SessionPiece* a, const SessionPiece* b) {
    return std::pair{a->began_ns, a->session} < std::pair{b->began_ns, b->session};
  });
  std::string out{kTraceHeader};
  for (const SessionPiece* piece : in_order) {
    const auto messages = static_cast<double>(std::max<std::uint64_t>(piece->messages, 1));
    fmt::format_to(std::back_inserter(out), "{:.6f},{},{:.6f},{},{:.3f},{}\n",
                   seconds_between(to_ns(began), piece->began_ns), piece->client,
                   seconds_between(piece->began_ns, piece->ended_ns), piece->messages,
                   static_cast<double>(piece->cost_ns) * 1e-3 / messages, piece->bytes);
  }
  if (missing_ > 0)
    out += fmt::format("# {} records are missing: the pipe had no room for them\n", missing_);
  if (damaged_ + (rest_.empty() ? 0 : 1) > 0)
    out += fmt::format("# {} lines of the pipe were none of a recording\n",
                       damaged_ + (rest_.empty() ? 0 : 1));
  for (const std::string& text : remarks_) out += fmt::format("# {}\n", text);
  return out;
}

}  // namespace weir::admin
