// Hostile compressed data: the inflater writes what there is room for and not one byte more, and
// says the same of it whatever it was fed before, however it is cut and whatever the room.
// Input: window and context (a byte), two bytes that choose rooms and cuts, the length of a
// message (two bytes, 0: all), then the payloads, one after another.
#include <optional>

#include "fuzzing.h"
#include "weir/wire/deflate.h"

namespace weir::fuzz {
namespace {

using wire::Inflater;
using Kind = Inflater::Step::Kind;

constexpr std::size_t kOutBytesMax = 256 << 10;  // of a bomb, and then it is left
constexpr std::size_t kGuardBytes = 64;
constexpr std::byte kGuard{0xa5};

/// Lends rooms of ever other sizes, and looks whether what lies behind them is left alone. zlib is
/// not compiled by us: the sanitizers do not see what it writes.
class Rooms {
 public:
  explicit Rooms(std::size_t seed) : seed_{seed} {}

  std::span<std::byte> next() {
    constexpr std::size_t sizes[] = {1, 2, 3, 7, 64, 257, 258, 259, 1'024, 4'096, 0, 16'384};
    size_ = sizes[(seed_ + turn_++ * (1 + seed_ / 16 % 5)) % std::size(sizes)];
    memory_.assign(size_ + kGuardBytes, kGuard);
    return std::span{memory_}.first(size_);
  }
  /// What a step has written. Behind it everything is as it was, in the room as well.
  std::string_view take(std::size_t bytes) {
    check(bytes <= size_, "a step writes into its room");
    const auto behind = std::span{memory_}.subspan(size_);
    check(std::ranges::count(behind, kGuard) == kGuardBytes, "nothing is written past `out`");
    return {reinterpret_cast<const char*>(memory_.data()), bytes};
  }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::size_t seed_;
  std::size_t turn_ = 0;
  std::size_t size_ = 0;
  std::vector<std::byte> memory_;
};

struct Message {
  std::string text;
  bool is_whole = false;  // else corrupt, or left for its size

  bool operator==(const Message&) const = default;
};

/// One message; nothing where it is larger than anybody would take.
std::optional<Message> inflate(Inflater& inflater, std::string_view payload, const Cut& cut,
                               std::size_t seed) {
  Rooms rooms{seed};
  Message message;
  std::size_t left = payload.size();
  for (const std::size_t size : cut) {
    left -= size;
    Piece piece{payload, size};
    std::span<const std::byte> in = piece.all();
    for (std::size_t idle = 0;;) {
      const std::size_t before = in.size();
      const Inflater::Step step = inflater.inflate(in, left == 0, rooms.next());
      check(in.size() <= before, "`in` is advanced");
      message.text += rooms.take(step.bytes);
      if (step.kind == Kind::corrupt) return Message{};
      if (step.kind == Kind::done) {
        check(in.empty(), "done means that all input is taken");
        break;
      }
      check(step.bytes == rooms.size(), "more_room means that there is none");
      idle = step.bytes == 0 && in.size() == before ? idle + 1 : 0;
      check(idle < 3, "each call with room gets on");
      if (message.text.size() > kOutBytesMax) return {};
    }
  }
  message.is_whole = true;
  return message;
}

struct Settings {
  std::uint8_t window_bits;
  bool takeover;
  std::size_t seed;
};

/// All messages through one inflater, as a session does, or without context through one each.
std::vector<std::optional<Message>> inflate_all(const Settings& settings,
                                                const std::vector<std::string_view>& payloads,
                                                bool piecewise, bool fresh) {
  Inflater inflater{settings.window_bits, settings.takeover};
  std::vector<std::optional<Message>> messages;
  for (const std::string_view payload : payloads) {
    if (fresh) inflater = Inflater{settings.window_bits, settings.takeover};
    const std::vector<Cut> cuts = cuts_of(payload.size(), settings.seed);
    const Cut& cut = piecewise ? cuts[settings.seed % cuts.size()] : cuts.front();
    messages.push_back(inflate(inflater, payload, cut, piecewise ? settings.seed : 11));
    const auto& last = messages.back();
    if (!last && !settings.takeover) inflater.reset();
    if (!last && settings.takeover) break;
    if (settings.takeover && last && !last->is_whole) {
      std::span<const std::byte> nothing;
      std::byte room{};
      check(inflater.inflate(nothing, true, {&room, 1}).kind == Kind::corrupt,
            "corrupt is for ever where the context is kept");
      break;
    }
  }
  return messages;
}

/// Whether both say the same of each message that neither left for its size.
bool agree(const std::vector<std::optional<Message>>& a,
           const std::vector<std::optional<Message>>& b) {
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (a[i] && b[i] && a[i] != b[i]) return false;
  }
  return a.size() == b.size() || !a.back() || !b.back();
}

}  // namespace
}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir;
  using namespace weir::fuzz;
  Input input{data, size};
  const std::uint8_t choices = input.byte();
  const Settings settings{.window_bits = static_cast<std::uint8_t>(8 + (choices & 7)),
                          .takeover = (choices & 8) != 0,
                          .seed = input.number()};
  const std::size_t message_bytes = input.number();
  std::vector<std::string_view> payloads;
  for (std::string_view rest = input.rest(); payloads.size() < 8;) {
    payloads.push_back(rest.substr(0, message_bytes == 0 ? rest.size() : message_bytes));
    rest.remove_prefix(payloads.back().size());
    if (rest.empty()) break;
  }
  const auto whole = inflate_all(settings, payloads, false, false);
  const auto cut = inflate_all(settings, payloads, true, false);
  // With a smaller window, what refers past it may be found corrupt or not.
  if (settings.window_bits == wire::kWindowBitsMax) {
    check(agree(cut, whole), "neither the cuts nor the rooms make a difference");
  }
  if (!settings.takeover) {
    check(inflate_all(settings, payloads, true, true) == cut,
          "a message gives the same whoever's came before it");
  }
  return 0;
}
