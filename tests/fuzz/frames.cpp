// The frame decoder: the same events however the bytes are cut and wherever it moves, each in its
// place and within its bounds. Input: role, deflate and limit (a byte), two bytes that choose the
// cuts, then frames.
#include <optional>
#include <utility>

#include "fuzzing.h"
#include "weir/wire/frame.h"

namespace weir::fuzz {
namespace {

using wire::Event;
using wire::FrameDecoder;
using wire::FrameError;
using wire::Opcode;
using Kind = Event::Kind;

struct Settings {
  wire::Role role;
  bool deflate;
  std::uint64_t message_bytes_max;
};

Settings settings_of(std::uint8_t byte) {
  constexpr std::uint64_t limits[] = {UINT64_MAX, 0, 1, 5, 125, 126, 4'096, 65'536};
  return {.role = (byte & 1) != 0 ? wire::Role::client : wire::Role::server,
          .deflate = (byte & 2) != 0,
          .message_bytes_max = limits[byte >> 2 & 7]};
}

/// What a decoder says, in a form in which the cuts do not show: one item for each message and
/// each control frame, with how much of the open message stood before it.
struct Said {
  std::vector<std::string> items;
  std::string open;  // of a message, delivered so far

  bool operator==(const Said&) const = default;
};

class Listener {
 public:
  explicit Listener(const Settings& settings)
      : settings_{settings},
        decoder_{settings.role, settings.message_bytes_max, settings.deflate} {}

  void feed(std::span<std::byte> piece) {
    std::span<std::byte> in = piece;
    while (true) {
      const std::span<std::byte> before = in;
      const bool was_finished = decoder_.finished();
      const Event event = decoder_.next(in);
      if (event.kind == Kind::need_more) {
        check(in.empty(), "need_more means that all input is taken");
        check(event.bytes.empty(), "need_more sets nothing else");
        return;
      }
      check(!was_finished, "a decoder that is finished stays so");
      check(in.empty() || in.data() + in.size() == piece.data() + piece.size(),
            "`in` is advanced from its front");
      note(event, before.first(before.size() - in.size()));
    }
  }

  /// Goes on with a decoder restored from the state of this one.
  void move() {
    const FrameDecoder::State state = decoder_.save();
    std::optional<FrameDecoder> restored =
        FrameDecoder::restore(state, settings_.role, settings_.message_bytes_max);
    check(restored.has_value(), "what bytes lead to can be restored");
    check(restored->save() == state, "and is what it was");
    decoder_ = std::move(*restored);
  }

  [[nodiscard]] Said said() const { return {items_, open_}; }

 private:
  /// `taken`: the input that the call has used up.
  void note(const Event& event, std::span<const std::byte> taken) {
    if (event.kind == Kind::data) {
      note_data(event, taken);
      return;
    }
    check(event.bytes.size() <= wire::kControlPayloadBytesMax, "a control frame has its bound");
    std::string item = std::to_string(static_cast<unsigned>(event.kind)) + " after " +
                       std::to_string(open_.size()) + " of the message: ";
    if (event.kind == Kind::close) {
      const auto code = static_cast<std::uint16_t>(event.code);
      check(event.code == wire::CloseCode::no_status ? event.bytes.empty()
                                                     : wire::allowed_on_the_wire(code),
            "a close says what a close may say");
      check(wire::is_utf8(event.bytes), "a close reason is UTF-8");
      item += std::to_string(code) + " ";
    }
    if (event.kind == Kind::error) {
      check(event.error != FrameError::none && event.error != FrameError::inflate_failed,
            "an error has a name");
      check(event.code == wire::close_code_for(event.error), "an error has its close code");
      // How much of a bad text goes before the error is the cuts' to say.
      if (event.error == FrameError::invalid_utf8) {
        check(text_.feed({}), "text is valid as far as delivered");
        open_.clear();
        item = "bad text ";
      }
      item += to_string(event.error);
    }
    const bool ends = event.kind == Kind::close || event.kind == Kind::error;
    check(decoder_.finished() == ends, "a close or an error finishes, and nothing else does");
    items_.push_back(item + to_text(event.bytes));
  }

  void note_data(const Event& event, std::span<const std::byte> taken) {
    check(event.bytes.empty() ||
              (event.bytes.data() >= taken.data() &&
               event.bytes.data() + event.bytes.size() == taken.data() + taken.size()),
          "payload lies where it came in, at the end of what was taken");
    check(event.first == !opcode_.has_value(), "the first piece, and only it, is marked so");
    check(event.opcode == Opcode::text || event.opcode == Opcode::binary, "a message has a kind");
    if (event.first) {
      opcode_ = event.opcode;
      compressed_ = event.compressed;
      text_.reset();
    }
    check(event.opcode == opcode_ && event.compressed == compressed_,
          "each piece has the message's kind");
    check(!event.compressed || settings_.deflate, "compressed is what was agreed");
    check(!event.bytes.empty() || event.last, "an empty piece has to say something");
    open_ += to_text(event.bytes);
    check(
        open_.size() <= (event.compressed ? wire::compressed_bytes_max(settings_.message_bytes_max)
                                          : settings_.message_bytes_max),
        "a message has its limit");
    if (event.opcode == Opcode::text && !event.compressed) {
      check(text_.feed(event.bytes), "text is valid as far as delivered");
      check(!event.last || text_.complete(), "a whole text ends with a character");
    }
    check(decoder_.inside_message() == !event.last, "inside_message() is between first and last");
    if (!event.last) return;
    items_.push_back((event.opcode == Opcode::text ? "text " : "binary ") +
                     std::string{event.compressed ? "compressed " : ""} + open_);
    open_.clear();
    opcode_.reset();
  }

  Settings settings_;
  FrameDecoder decoder_;
  std::vector<std::string> items_;
  std::string open_;
  std::optional<Opcode> opcode_;  // of the open message
  bool compressed_ = false;
  wire::Utf8Validator text_;
};

Said feed(const Settings& settings, std::string_view wire, const Cut& cut, bool moves) {
  Listener listener{settings};
  for (const std::size_t size : cut) {
    Piece piece{wire, size};
    listener.feed(piece.all());
    if (moves) listener.move();
  }
  return listener.said();
}

}  // namespace
}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir::fuzz;
  Input input{data, size};
  const Settings settings = settings_of(input.byte());
  const std::size_t seed = input.number();
  const std::string_view wire = input.rest();
  const std::vector<Cut> cuts = cuts_of(wire.size(), seed);
  const Said whole = feed(settings, wire, cuts.front(), false);
  for (const Cut& cut : cuts) {
    check(feed(settings, wire, cut, false) == whole, "the cuts make no difference");
    check(feed(settings, wire, cut, true) == whole, "a move at each cut makes none");
  }
  return 0;
}
