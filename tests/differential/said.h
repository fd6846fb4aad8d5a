// What a peer made of a stream of frames, in a form in which two can be compared.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "weir/wire/frame.h"

namespace weir::differential {

struct Said {
  /// Whole messages and pings and pongs, in the order in which they ended: "text Hello".
  std::vector<std::string> items;
  /// "close 1000 bye" as the other side said it; "fail 1002" as this side says; empty: it goes on.
  std::string end;

  bool operator==(const Said&) const = default;
  friend std::ostream& operator<<(std::ostream& out, const Said& said) {
    for (const std::string& item : said.items)
      out << '\'' << item.substr(0, 40) << "' of " << item.size() << " bytes, ";
    return out << '\'' << said.end << '\'';
  }
};

/// Our server's side.
struct Ours {
  Said said;
  wire::FrameError error = wire::FrameError::none;
};
/// Fed in pieces of the sizes given, which add up to the stream.
[[nodiscard]] Ours ask_weir(std::string_view stream, const std::vector<std::size_t>& pieces,
                            std::uint64_t message_bytes_max);

/// Beast's server side.
[[nodiscard]] Said ask_beast(std::string_view stream, const std::vector<std::size_t>& pieces,
                             std::uint64_t message_bytes_max);

}  // namespace weir::differential
