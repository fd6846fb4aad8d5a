// Messages there and back: the deflater keeps to its bound and its window, and the inflater gives
// the message again, wherever contexts that are kept move between messages. Input: the window,
// whether context is kept and which ends move (a byte), two bytes for rooms and cuts, the length of
// a message (two bytes, 0: all), a byte for how often it stands there (what repeats compresses),
// then the messages, one after another.
#include "weir/wire/deflate.h"
#include "../unit/wire/reference_inflate.h"
#include "fuzzing.h"

namespace weir::fuzz {
namespace {

using wire::Deflater;
using wire::Inflater;
using Kind = Inflater::Step::Kind;

constexpr std::size_t kGuardBytes = 64;
constexpr char kGuard = '\x5a';
constexpr std::size_t kMessageBytesMax = 16 << 10;

std::string deflate(Deflater& deflater, std::string_view message) {
  const std::size_t bound = deflater.bound(message.size());
  std::string out(bound + kGuardBytes, kGuard);
  const std::size_t bytes = deflater.deflate(std::as_bytes(std::span{message}),
                                             std::as_writable_bytes(std::span{out}).first(bound));
  check(bytes >= 1, "no payload is empty");
  check(bytes <= bound, "a payload keeps to bound()");
  check(std::ranges::count(std::string_view{out}.substr(bound), kGuard) == kGuardBytes,
        "nothing is written past the bound");
  return out.substr(0, bytes);
}

std::string inflate(Inflater& inflater, std::string_view payload, std::size_t seed) {
  const std::vector<Cut> cuts = cuts_of(payload.size(), seed);
  std::string text;
  std::size_t left = payload.size();
  for (const std::size_t size : cuts[seed % cuts.size()]) {
    left -= size;
    Piece piece{payload, size};
    std::span<const std::byte> in = piece.all();
    for (Kind kind = Kind::more_room; kind == Kind::more_room;) {
      std::vector<std::byte> room(1 + (seed >> 4) % 1'000);
      const Inflater::Step step = inflater.inflate(in, left == 0, room);
      check(step.kind != Kind::corrupt, "what the deflater made can be inflated");
      text += to_text(std::span{room}.first(step.bytes));
      kind = step.kind;
    }
  }
  return text;
}

/// Goes on with a context restored from the window of this one.
template <class Context>
void move(Context& context, std::uint8_t window_bits, std::size_t window_bytes_max) {
  std::vector<std::byte> window(wire::kWindowBytesMax);
  window.resize(context.window(std::span<std::byte, wire::kWindowBytesMax>{window}));
  check(window.size() <= window_bytes_max, "a window keeps to its size");
  context = Context::restore(window_bits, window);
}

}  // namespace
}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir;
  using namespace weir::fuzz;
  Input input{data, size};
  const std::uint8_t choices = input.byte();
  const auto window_bits = static_cast<std::uint8_t>(8 + (choices & 7));
  const bool takeover = (choices & 8) != 0;
  const std::size_t seed = input.number();
  const std::size_t message_bytes = input.number();
  const std::size_t repeats = 1 + input.byte();

  Deflater deflater{window_bits, takeover};
  Inflater inflater{window_bits, takeover};
  wire::ReferenceInflate reference{std::size_t{1} << window_bits};
  std::string_view rest = input.rest();
  for (int count = 0; count < 8 && (count == 0 || !rest.empty()); ++count) {
    const std::string_view once = rest.substr(0, message_bytes == 0 ? rest.size() : message_bytes);
    rest.remove_prefix(once.size());
    std::string message;
    for (std::size_t i = 0; i < repeats && message.size() < kMessageBytesMax; ++i) message += once;
    const std::string payload = deflate(deflater, message);
    check(inflate(inflater, payload, seed) == message, "a message comes back as it was");
    check(reference.message(payload) == message, "and within the window, by the RFC's own rules");
    if (!takeover) reference.forget();
    if (takeover && (choices & 16) != 0)
      move(deflater, window_bits, wire::deflater_window_bytes_max(window_bits));
    if (takeover && (choices & 32) != 0)
      move(inflater, window_bits, wire::inflater_window_bytes_max(window_bits));
  }
  return 0;
}
