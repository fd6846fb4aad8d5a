// A recursive descent that looks at each byte once and stops at the first that cannot be right.
// inet_pton alone would not do: it takes a whole address only, so that a line would be wrong no
// sooner than at its end.
#include "proxy_line.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>

namespace weir::wire {
namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::size_t kGroups = 8;  // of an IPv6 address

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

bool is_hex_digit(char c) noexcept {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

class Reader {
 public:
  explicit Reader(std::string_view text) noexcept : text_{text} {}

  ProxyLine line() noexcept {
    if (!literal("PROXY ")) return stopped();
    if (next_is('U')) return literal("UNKNOWN") && unknown_rest() ? whole() : stopped();
    if (!literal("TCP")) return stopped();
    const bool is_ipv6 = next_is('6');
    if (!literal(is_ipv6 ? "6 " : "4 ")) return stopped();
    const auto address = [this, is_ipv6] { return is_ipv6 ? ipv6() : ipv4(); };

    const std::size_t begin = at_;
    if (!address()) return stopped();
    const std::string_view source = text_.substr(begin, at_ - begin);
    unsigned port = 0;
    unsigned destination_port = 0;
    const bool right = literal(" ") && address() && literal(" ") && number(65'535, port) &&
                       literal(" ") && number(65'535, destination_port) && literal(kLineEnd);
    return right ? whole(is_ipv6, source, static_cast<std::uint16_t>(port)) : stopped();
  }

 private:
  // Each of these takes what it is named for and says true; else it says false, having set cut_
  // where the text ended first.

  bool literal(std::string_view expected) noexcept {
    for (const char c : expected) {
      if (at_end() || text_[at_] != c) return false;
      ++at_;
    }
    return true;
  }

  /// Decimal, 0 to `max`, without leading zeros. Ends at the first byte that is no digit.
  bool number(unsigned max, unsigned& value) noexcept {
    const std::size_t begin = at_;
    value = 0;
    while (!at_end() && is_digit(text_[at_])) {
      if (at_ > begin && value == 0) return false;
      value = value * 10 + static_cast<unsigned>(text_[at_] - '0');
      if (value > max) return false;
      ++at_;
    }
    return at_ > begin && !cut_;
  }

  bool ipv4() noexcept {
    unsigned octet = 0;
    return number(255, octet) && literal(".") && number(255, octet) && literal(".") &&
           number(255, octet) && literal(".") && number(255, octet);
  }

  /// RFC 4291, 2.2, with one "::" for one zero group or more. A dotted end is taken where
  /// inet_ntop, and so a proxy, writes one: "::1.2.3.4", "::ffff:1.2.3.4".
  bool ipv6() noexcept {
    const bool leading = next_is(':');
    bool compressed = leading;
    if (leading && !literal("::")) return false;
    std::size_t groups = 0;
    while (true) {
      const std::size_t room = compressed ? kGroups - 1 : kGroups;
      const std::size_t begin = at_;
      while (groups < room && at_ - begin < 4 && !at_end() && is_hex_digit(text_[at_])) ++at_;
      if (at_end()) return false;
      const bool has_digits = at_ > begin;
      if (next_is('.') && leading && has_digits && groups <= 1) {
        at_ = begin;
        return ipv4();
      }
      if (has_digits) ++groups;
      if (!next_is(':')) {
        // A group has to follow a single colon; nothing has to follow two.
        const bool complete = compressed || groups == kGroups;
        return complete && (has_digits || ends_with_two_colons());
      }
      if (!has_digits || groups == room) return false;
      ++at_;
      if (!compressed && next_is(':')) {
        ++at_;
        compressed = true;
      }
      if (at_end()) return false;
    }
  }

  [[nodiscard]] bool ends_with_two_colons() const noexcept {
    return text_.substr(0, at_).ends_with("::");
  }

  /// What stands behind UNKNOWN, which is to be ignored up to the line's end.
  bool unknown_rest() noexcept {
    if (!next_is(' ') && !next_is('\r')) return false;
    const std::size_t end = text_.find(kLineEnd, at_);
    if (end == text_.npos) {
      // Behind a blank anything may come, behind a CR that follows at once only the LF.
      cut_ = next_is(' ') || text_.size() == at_ + 1;
      return false;
    }
    if (!next_is(' ') && end != at_) return false;
    at_ = end + kLineEnd.size();
    return true;
  }

  [[nodiscard]] bool next_is(char c) noexcept { return !at_end() && text_[at_] == c; }

  bool at_end() noexcept {
    if (at_ == text_.size()) cut_ = true;
    return at_ == text_.size();
  }

  [[nodiscard]] ProxyLine stopped() const noexcept {
    return {cut_ ? ProxyLine::Kind::cut : ProxyLine::Kind::wrong, 0, std::nullopt};
  }

  [[nodiscard]] ProxyLine whole() const noexcept {
    return {ProxyLine::Kind::whole, at_, std::nullopt};
  }

  [[nodiscard]] ProxyLine whole(bool is_ipv6, std::string_view source,
                                std::uint16_t port) const noexcept {
    std::array<char, INET6_ADDRSTRLEN> text{};  // as long as the longest that is right
    std::ranges::copy(source, text.begin());
    ProxyLine line = whole();
    if (is_ipv6) {
      sockaddr_in6 address{};
      address.sin6_family = AF_INET6;
      inet_pton(AF_INET6, text.data(), &address.sin6_addr);
      line.source.emplace(reinterpret_cast<const sockaddr*>(&address), sizeof address);
    } else {
      sockaddr_in address{};
      address.sin_family = AF_INET;
      inet_pton(AF_INET, text.data(), &address.sin_addr);
      line.source.emplace(reinterpret_cast<const sockaddr*>(&address), sizeof address);
    }
    line.source->set_port(port);
    return line;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool cut_ = false;
};

}  // namespace

ProxyLine read_proxy_line(std::string_view text) noexcept {
  return Reader{text}.line();
}

}  // namespace weir::wire
