// Parcels: what is taken packs to the same bytes again, and the decoder in it goes on as any
// other. Input: whether size and checksum are to be put right, without which few inputs would get
// past them, and the limit of a message (a byte), two bytes that choose the cuts, the size of the
// parcel (two bytes), the parcel, then frames for its decoder.
#include "weir/session/parcel.h"

#include <zlib.h>

#include <cstring>
#include <optional>
#include <utility>

#include "fuzzing.h"

namespace weir::fuzz {
namespace {

using session::Parcel;
using wire::Event;
using wire::FrameDecoder;
using Kind = Event::Kind;

constexpr std::size_t kSizeAt = 8;
constexpr std::size_t kPreambleBytes = 16;
constexpr std::size_t kCrcBytes = 4;

void put_right(std::span<std::byte> parcel) {
  if (parcel.size() < kPreambleBytes + kCrcBytes) return;
  const std::uint64_t size = parcel.size();
  std::memcpy(parcel.data() + kSizeAt, &size, sizeof size);
  const auto crc = static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(parcel.data()), parcel.size() - kCrcBytes));
  std::memcpy(parcel.last(kCrcBytes).data(), &crc, sizeof crc);
}

bool lies_in(Parcel::Bytes run, Parcel::Bytes all) {
  return run.empty() ||
         (run.data() >= all.data() && run.data() + run.size() <= all.data() + all.size());
}

void check_views(const Parcel& parcel, Parcel::Bytes bytes) {
  const Parcel::Bytes runs[] = {parcel.request,
                                parcel.gathered,
                                parcel.output[0],
                                parcel.output[1],
                                parcel.out.value_or(Parcel::Bytes{}),
                                parcel.in ? parcel.in->window : Parcel::Bytes{},
                                std::as_bytes(std::span{parcel.app}),
                                parcel.app_state};
  for (const Parcel::Bytes run : runs) check(lies_in(run, bytes), "all bytes are views");
}

/// What a decoder that goes on from `state` says of `wire`, in a form in which the cuts do not
/// show; with a move at each cut, nor do the moves.
std::string said(const FrameDecoder::State& state, std::uint64_t bytes_max, std::string_view wire,
                 const Cut& cut, bool moves) {
  std::optional<FrameDecoder> decoder = FrameDecoder::restore(state, wire::Role::server, bytes_max);
  check(decoder.has_value(), "a parcel's decoder can be restored");
  check(decoder->save() == state, "and is what it was");
  std::string items;
  std::string open(static_cast<std::size_t>(std::min<std::uint64_t>(state.bytes_delivered(), 9)),
                   '.');
  std::uint64_t message_bytes = state.bytes_delivered();
  bool inside = message_bytes > 0;
  for (const std::size_t size : cut) {
    Piece piece{wire, size};
    std::span<std::byte> in = piece.all();
    for (Event event = decoder->next(in); event.kind != Kind::need_more;
         event = decoder->next(in)) {
      if (event.kind == Kind::data) {
        check(event.first == !inside, "a message begins once");
        message_bytes = event.first ? event.bytes.size() : message_bytes + event.bytes.size();
        check(
            message_bytes <= (event.compressed ? wire::compressed_bytes_max(bytes_max) : bytes_max),
            "a message has its limit");
        open += to_text(event.bytes);
        inside = !event.last;
        if (event.last) items += "message " + std::exchange(open, {}) + "\n";
        continue;
      }
      check(event.bytes.size() <= wire::kControlPayloadBytesMax, "a control frame has its bound");
      const bool is_bad_text = event.error == wire::FrameError::invalid_utf8;
      if (is_bad_text) open.clear();  // how much of it goes before the error is the cuts' to say
      items += std::to_string(static_cast<unsigned>(event.kind)) + " after " +
               std::to_string(open.size()) + ": " + std::string{wire::to_string(event.error)} +
               to_text(event.bytes) + "\n";
      check(decoder->finished() == (event.kind == Kind::close || event.kind == Kind::error),
            "a close or an error finishes, and nothing else does");
    }
    check(in.empty(), "need_more means that all input is taken");
    if (moves) decoder = FrameDecoder::restore(decoder->save(), wire::Role::server, bytes_max);
    check(decoder.has_value(), "what bytes lead to can be restored");
  }
  return items + open;
}

}  // namespace
}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir;
  using namespace weir::fuzz;
  constexpr std::uint64_t limits_of_messages[] = {1'000'000, 0, 10, UINT64_MAX};
  Input input{data, size};
  const std::uint8_t choices = input.byte();
  const std::size_t seed = input.number();
  const std::size_t parcel_bytes = input.number();
  std::string_view rest = input.rest();
  Piece packed{rest, std::min(parcel_bytes, rest.size())};
  if ((choices & 1) != 0) put_right(packed.all());

  const session::ParcelLimits limits{.message_bytes_max = limits_of_messages[choices >> 1 & 3],
                                     .doors = 4};
  const auto parcel = session::unpack(packed.all(), limits);
  if (!parcel) {
    check(!to_string(parcel.error()).empty(), "a refusal says why");
    return 0;
  }
  check_views(*parcel, packed.all());
  check(std::ranges::equal(session::pack(*parcel), packed.all()),
        "what is taken packs to the same bytes");
  const std::vector<Cut> cuts = cuts_of(rest.size(), seed);
  const std::string whole =
      said(parcel->decoder, limits.message_bytes_max, rest, cuts.front(), false);
  for (const Cut& cut : cuts) {
    check(said(parcel->decoder, limits.message_bytes_max, rest, cut, true) == whole,
          "neither cuts nor moves make a difference");
  }
  return 0;
}
