#include "streams.h"

#include <algorithm>
#include <cassert>
#include <string_view>

namespace weir::differential {
namespace {

using namespace std::string_view_literals;
using wire::FrameError;

constexpr unsigned kFin = 0x80;
constexpr unsigned kContinuation = 0, kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10;

/// How a length is spelt.
enum class Length : std::uint8_t { shortest, in16, in64 };

constexpr std::string_view kBadUtf8[] = {
    "\xff"sv,
    "\x80"sv,
    "\xc0\xaf"sv,
    "\xc1\xbf"sv,
    "\xe0\x80\x80"sv,
    "\xed\xa0\x80"sv,
    "\xf0\x80\x80\x80"sv,
    "\xf4\x90\x80\x80"sv,
    "\xf8\x88\x80\x80\x80"sv,
    "\xc3("sv,
};

template <class Table>
const auto& one_of(Random& random, const Table& table) {
  return table[random.below(std::size(table))];
}

class Writer {
 public:
  explicit Writer(Random& random) : random_{random} {}

  /// Goes on as a client may.
  void frame() {
    if (random_.one_in(4)) {
      frame(kFin | (random_.one_in(2) ? kPing : kPong),
            make_bytes(random_, random_.below(10) < 8 ? random_.below(20) : random_.below(126)));
      return;
    }
    if (!inside_) begin();
    // A text is written once and cut into frames at any byte.
    const bool last = random_.one_in(2);
    const std::size_t bytes = last ? left_.size() : random_.below(left_.size() + 1);
    const std::string piece = left_.substr(0, bytes);
    left_.erase(0, bytes);
    frame((last ? kFin : 0) | (first_ ? opcode_ : kContinuation), piece);
    first_ = false;
    inside_ = !last;
  }

  void break_with(FrameError defect) {
    switch (defect) {
      case FrameError::none:
      case FrameError::masked:
      case FrameError::inflate_failed: return;
      case FrameError::unmasked: raw(next_first(), "plain", Length::shortest, false); return;
      case FrameError::reserved_bits:
        frame(next_first() | static_cast<unsigned>(1 + random_.below(7)) << 4, "bits");
        return;
      case FrameError::reserved_opcode:
        frame(kFin | one_of(random_, std::vector{3U, 4U, 5U, 6U, 7U, 11U, 12U, 13U, 14U, 15U}),
              "unknown");
        return;
      case FrameError::length_not_minimal: {
        const bool in64 = random_.one_in(2);
        const std::size_t most = in64 ? 65'535 : 125;  // that a shorter spelling can say
        raw(next_first(), make_ascii(random_.one_in(3) ? most : random_.below(126)),
            in64 ? Length::in64 : Length::in16, true);
        return;
      }
      case FrameError::length_too_big:
        out += static_cast<char>(next_first());
        out += "\xff"sv;
        out += static_cast<char>(0x80 | random_.below(128));
        out += make_bytes(random_, 7 + 4);
        return;
      case FrameError::control_too_long:
        frame(kFin | control(), make_bytes(random_, 126 + random_.below(1'000)));
        return;
      case FrameError::control_fragmented: frame(control(), "part"); return;
      case FrameError::unexpected_continuation:
        finish();
        frame((random_.one_in(2) ? kFin : 0) | kContinuation, "continued");
        return;
      case FrameError::expected_continuation:
        open();
        frame((random_.one_in(2) ? kFin : 0) | (random_.one_in(2) ? kText : kBinary), "new");
        return;
      case FrameError::message_too_big: {
        finish();
        const std::size_t before = random_.below(kMessageBytesMax);
        const std::size_t over = random_.one_in(2) ? 1 : 1 + random_.below(1'000);
        frame(kBinary, make_bytes(random_, before));
        frame(kFin | kContinuation, make_bytes(random_, kMessageBytesMax - before + over));
        return;
      }
      case FrameError::invalid_utf8: break_text(); return;
      case FrameError::close_payload_of_one_byte: frame(kFin | kClose, "\x03"); return;
      case FrameError::close_code_invalid:
        frame(kFin | kClose,
              close(one_of(random_, std::vector{0U, 1U, 999U, 1004U, 1005U, 1006U, 1015U, 1016U,
                                                2000U, 2999U, 5000U, 65535U})) +
                  "why");
        return;
      case FrameError::close_reason_invalid_utf8:
        frame(kFin | kClose, close(1000) + make_text(random_, random_.below(40)) +
                                 std::string{one_of(random_, kBadUtf8)});
        return;
    }
  }

  void end() {
    if (random_.one_in(4)) {
      frame(kFin | kClose, "");
      return;
    }
    const unsigned code = one_of(random_, std::vector{1000U, 1001U, 1003U, 1007U, 1011U, 1012U,
                                                      1013U, 3000U, 3999U, 4000U, 4999U});
    frame(kFin | kClose, close(code) + make_text(random_, random_.below(100)));
  }

  std::string out;

 private:
  static std::string close(unsigned code) {
    return {static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
  }
  std::string make_ascii(std::size_t bytes) { return std::string(bytes, 'a'); }
  unsigned control() { return one_of(random_, std::vector{kClose, kPing, kPong}); }
  /// The first byte of a data frame that would be right here.
  [[nodiscard]] unsigned next_first() const {
    return kFin | (inside_ && !first_ ? kContinuation : kBinary);
  }

  void begin() {
    opcode_ = random_.one_in(2) ? kText : kBinary;
    const std::size_t sizes[] = {0,     1,     5,     125,    126,    127,
                                 1'000, 1'000, 4'095, 65'535, 65'536, kMessageBytesMax};
    std::size_t bytes = random_.below(200);
    if (random_.one_in(8)) bytes = one_of(random_, sizes);
    left_ = opcode_ == kText ? make_text(random_, bytes) : make_bytes(random_, bytes);
    first_ = inside_ = true;
  }
  void finish() {
    while (inside_) frame();
  }
  /// Afterwards a binary message is open, of which there has been a frame.
  void open() {
    finish();
    frame(kBinary, "open");
  }
  void break_text() {
    finish();
    const std::string before = make_text(random_, random_.below(300));
    const std::string after = make_text(random_, random_.below(300));
    // Bad bytes amid the text, or a character that its end cuts off.
    const bool is_cut = random_.one_in(4);
    const std::string text =
        is_cut ? before + "\xf0\x9f\x98" : before + std::string{one_of(random_, kBadUtf8)} + after;
    const std::size_t at = random_.below(text.size() + 1);
    frame(kText, text.substr(0, at));
    frame(kFin | kContinuation, text.substr(at));
  }

  void frame(unsigned first, std::string_view payload) {
    raw(first, payload, Length::shortest, true);
  }
  /// By hand: our encoder's mistakes must not hide the decoder's.
  void raw(unsigned first, std::string_view payload, Length spelt, bool masked) {
    const std::size_t size = payload.size();
    std::size_t length_bytes = size < 126 ? 0 : size < 65'536 ? 2 : 8;
    if (spelt == Length::in16) length_bytes = 2;
    if (spelt == Length::in64) length_bytes = 8;
    const std::size_t code = length_bytes == 0 ? size : length_bytes == 2 ? 126 : 127;
    out += static_cast<char>(first);
    out += static_cast<char>((masked ? 0x80 : 0) | code);
    for (std::size_t i = length_bytes; i-- > 0;) out += static_cast<char>(size >> (8 * i) & 0xff);
    if (!masked) {
      out += payload;
      return;
    }
    const std::string key = make_bytes(random_, 4);
    out += key;
    for (std::size_t i = 0; i < size; ++i) out += static_cast<char>(payload[i] ^ key[i % 4]);
  }

  Random& random_;
  bool inside_ = false;  // a message has begun
  bool first_ = false;   // and there has been no frame of it
  unsigned opcode_ = kText;
  std::string left_;  // of its payload, to be written
};

}  // namespace

std::string make_stream(Random& random, FrameError defect) {
  Writer writer{random};
  for (std::size_t frames = random.below(12); frames > 0; --frames) writer.frame();
  writer.break_with(defect);
  if (defect == FrameError::none && random.one_in(2)) writer.end();
  for (std::size_t frames = random.below(3); frames > 0; --frames) writer.frame();
  return writer.out;
}

std::vector<std::size_t> make_pieces(Random& random, std::size_t bytes) {
  std::vector<std::size_t> pieces;
  constexpr std::size_t limits[] = {1, 2, 7, 60, 1'500, 1 << 20};
  const std::size_t most = one_of(random, limits);
  while (bytes > 0) {
    pieces.push_back(std::min(bytes, 1 + random.below(most)));
    bytes -= pieces.back();
  }
  return pieces;
}

std::string make_text(Random& random, std::size_t bytes) {
  constexpr std::string_view characters[] = {
      "a"sv,
      "\x7f"sv,
      "\0"sv,
      "\xc2\x80"sv,
      "\xdf\xbf"sv,
      "\xe0\xa0\x80"sv,
      "\xed\x9f\xbf"sv,
      "\xee\x80\x80"sv,
      "\xef\xbf\xbf"sv,
      "\xf0\x90\x80\x80"sv,
      "\xf0\x9f\x98\x80"sv,
      "\xf4\x8f\xbf\xbf"sv,
  };
  std::string text;
  while (text.size() + 4 <= bytes)
    text += random.one_in(3) ? one_of(random, characters) : "weir"sv.substr(random.below(4));
  return text.append(bytes - text.size(), '.');
}

std::string make_bytes(Random& random, std::size_t bytes) {
  std::string text(bytes, '\0');
  for (char& byte : text) byte = static_cast<char>(random.below(256));
  return text;
}

}  // namespace weir::differential
