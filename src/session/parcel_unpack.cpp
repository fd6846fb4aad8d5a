// Parcels, unpacked: what a session can be, and nothing else.
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "parcel_head.h"
#include "weir/session/parcel.h"

namespace weir::session {
namespace {

using wire::CloseCode;
using wire::FrameDecoder;
using Bytes = Parcel::Bytes;
using Kind = ParcelError::Kind;

SocketAddress client_of(const Head& head) noexcept {
  if (head.client_family == 6) {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(head.client_port);
    std::memcpy(&v6.sin6_addr, head.client_address.data(), sizeof v6.sin6_addr);
    return {reinterpret_cast<const sockaddr*>(&v6), sizeof v6};
  }
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(head.client_port);
  std::memcpy(&v4.sin_addr, head.client_address.data(), sizeof v4.sin_addr);
  return {reinterpret_cast<const sockaddr*>(&v4), sizeof v4};
}

/// No more of the address than its family has.
bool is_possible_client(const Head& head) noexcept {
  const auto rest_is_0 = [&](std::size_t from) {
    return std::all_of(head.client_address.begin() + static_cast<std::ptrdiff_t>(from),
                       head.client_address.end(), [](std::uint8_t byte) { return byte == 0; });
  };
  switch (head.client_family) {
    case 0: return head.client_port == 0 && rest_is_0(0);
    case 4: return rest_is_0(4);
    case 6: return true;
    default: return false;
  }
}

struct Check {
  bool holds;
  std::string_view field;
};

/// What the head says by itself, before any run is looked at.
std::string_view first_bad_field(const Head& head, const ParcelLimits& limits) noexcept {
  constexpr auto instant_ns_max =
      static_cast<std::uint64_t>(kParcelInstantMax.time_since_epoch().count());
  const auto state = Parcel::State{head.begin.state};
  const bool handshaking = state == Parcel::State::handshaking;
  const bool open = state == Parcel::State::open;
  const bool closing = state == Parcel::State::closing;
  const bool own_out = (head.begin.flags & kOutContext) != 0;
  const auto is_window_bits = [](std::uint8_t bits) {
    return bits == 0 || (bits >= wire::kWindowBitsMin && bits <= wire::kWindowBitsMax);
  };
  // Looked at before they are known to be right: a shift by anything else has no meaning.
  const auto bits_or_0 = [&](std::uint8_t bits) {
    return is_window_bits(bits) ? bits : std::uint8_t{0};
  };
  const std::size_t out_window_max = wire::deflater_window_bytes_max(bits_or_0(head.window_bits));
  const std::size_t in_window_max = wire::inflater_window_bytes_max(bits_or_0(head.in_window_bits));
  const Check checks[] = {
      {handshaking || open || closing, "state"},
      {(head.begin.flags & ~(kAdmitted | kOutContext)) == 0, "flags"},
      {head.since <= instant_ns_max, "time in its state"},
      {head.heard_at <= instant_ns_max, "time of the last bytes"},
      {head.pinged_at <= instant_ns_max, "time of the last ping"},
      {head.messages_paid <= instant_ns_max, "time that messages are paid up to"},
      {head.door < limits.doors, "door"},
      {closing ? wire::allowed_on_the_wire(head.close_code) ||
                     CloseCode{head.close_code} == CloseCode::no_status
               : head.close_code == 0,
       "close code"},
      {is_possible_client(head), "client"},
      {is_window_bits(head.window_bits) && (!handshaking || head.window_bits == 0), "window bits"},
      {!own_out || (open && head.window_bits != 0), "context of what is sent"},
      {is_window_bits(head.in_window_bits) &&
           (head.in_window_bits == 0 || (open && head.window_bits != 0)),
       "context of what is received"},
      {head.out_window_bytes <= (own_out ? out_window_max : 0), "window of what is sent"},
      {head.in_window_bytes <= (head.in_window_bits != 0 ? in_window_max : 0),
       "window of what is received"},
      {head.request_bytes <= (handshaking ? limits.request_bytes_max : 0), "request"},
      {head.output_bytes <= (handshaking ? 0 : limits.output_bytes_max), "output"},
      {head.app_name_bytes <= (open ? kParcelAppNameBytesMax : 0), "app"},
      {head.app_state_bytes <= (open ? limits.app_state_bytes_max : 0), "app's state"},
      {(head.decoder_flags & ~(kMessageCompressed | kFrameFin)) == 0 &&
           head.stage <= static_cast<std::uint8_t>(Stage::control) &&
           head.piece_bytes <= wire::kControlPayloadBytesMax,
       "decoder"},
  };
  const auto* const bad = std::ranges::find(checks, false, &Check::holds);
  return bad == std::end(checks) ? std::string_view{} : bad->field;
}

FrameDecoder::State decoder_of(const Head& head, Bytes pieces) noexcept {
  FrameDecoder::State decoder{
      .stage = Stage{head.stage},
      .deflate = head.window_bits != 0,
      .message_opcode = wire::Opcode{head.message_opcode},
      .message_compressed = (head.decoder_flags & kMessageCompressed) != 0,
      .message_bytes = head.message_bytes,
      .text = {.pending = head.text[0], .low = head.text[1], .high = head.text[2]},
      .frame_fin = (head.decoder_flags & kFrameFin) != 0,
      .control_opcode = wire::Opcode{head.control_opcode},
      .frame_bytes_left = head.frame_bytes_left,
      .key = head.key,
      .key_phase = head.key_phase,
      .piece_bytes = head.piece_bytes};
  std::ranges::copy(pieces, decoder.piece.begin());
  return decoder;
}

Instant to_instant(std::uint64_t ns) noexcept {
  return Instant{Duration{static_cast<std::int64_t>(ns)}};
}

/// From a head without a bad field, and the runs behind it, which are as long as it says.
Parcel parcel_of(const Head& head, Bytes runs) noexcept {
  const auto take = [&](std::size_t size) {
    const Bytes run = runs.first(size);
    runs = runs.subspan(size);
    return run;
  };
  Parcel parcel;
  parcel.state = Parcel::State{head.begin.state};
  parcel.admitted = (head.begin.flags & kAdmitted) != 0;
  parcel.door = head.door;
  parcel.close_code = CloseCode{head.close_code};
  if (head.client_family != 0) parcel.client = client_of(head);
  parcel.since = to_instant(head.since);
  parcel.heard_at = to_instant(head.heard_at);
  parcel.pinged_at = to_instant(head.pinged_at);
  parcel.messages_paid = to_instant(head.messages_paid);
  parcel.window_bits = head.window_bits;
  parcel.decoder = decoder_of(head, take(head.piece_bytes));
  parcel.request = take(head.request_bytes);
  parcel.gathered = take(head.gathered_bytes);
  parcel.output[0] = take(head.output_bytes);
  const Bytes out = take(head.out_window_bytes);
  const Bytes in = take(head.in_window_bytes);
  if ((head.begin.flags & kOutContext) != 0) parcel.out = out;
  if (head.in_window_bits != 0) parcel.in = {head.in_window_bits, in};
  const Bytes app = take(head.app_name_bytes);
  parcel.app = {reinterpret_cast<const char*>(app.data()), app.size()};
  parcel.app_state = take(head.app_state_bytes);
  return parcel;
}

/// What head and runs say together.
std::string_view first_bad_field(const Parcel& parcel, const ParcelLimits& limits) {
  const bool open = parcel.state == Parcel::State::open;
  if (!FrameDecoder::restore(parcel.decoder, wire::Role::server, limits.message_bytes_max) ||
      (parcel.state == Parcel::State::handshaking && parcel.decoder != FrameDecoder::State{})) {
    return "decoder";
  }
  if (parcel.gathered.size() != (open ? parcel.decoder.bytes_delivered() : 0)) return "gathered";
  return {};
}

}  // namespace

Result<Parcel, ParcelError> unpack(Bytes in, const ParcelLimits& limits) {
  const ParcelError truncated{.kind = Kind::truncated, .value = in.size()};
  const auto bad = [](std::string_view field) {
    return ParcelError{.kind = Kind::field, .field = field};
  };
  // What all versions have in common.
  Preamble begin{};
  const Bytes front = in.first(std::min(in.size(), sizeof begin));
  std::ranges::copy(front, std::as_writable_bytes(std::span{&begin, 1}).begin());
  if (!std::equal(kMagic.begin(), kMagic.end(), begin.magic.begin()) && in.size() >= kMagic.size())
    return ParcelError{.kind = Kind::not_a_parcel};
  if (in.size() < sizeof begin) return truncated;
  if (begin.version < kParcelOldest || begin.version > kParcelNewest)
    return ParcelError{.kind = Kind::version_unknown, .value = begin.version};
  if (in.size() < begin.size) return truncated;
  if (begin.size != in.size() || begin.size < sizeof(Head) + kCrcBytes) return bad("size");
  std::uint32_t crc = 0;
  std::memcpy(&crc, in.last(kCrcBytes).data(), sizeof crc);
  if (crc != crc_of(in.first(in.size() - kCrcBytes))) return ParcelError{.kind = Kind::checksum};

  Head head;
  std::memcpy(&head, in.data(), sizeof head);
  if (const std::string_view field = first_bad_field(head, limits); !field.empty())
    return bad(field);
  const Bytes runs = in.subspan(sizeof head, in.size() - sizeof head - kCrcBytes);
  const std::uint64_t bytes = std::uint64_t{head.piece_bytes} + head.request_bytes +
                              head.gathered_bytes + head.output_bytes + head.out_window_bytes +
                              head.in_window_bytes + head.app_name_bytes + head.app_state_bytes;
  if (bytes != runs.size()) return bad("size");
  const Parcel parcel = parcel_of(head, runs);
  if (const std::string_view field = first_bad_field(parcel, limits); !field.empty())
    return bad(field);
  return parcel;
}

std::string to_string(const ParcelError& error) {
  switch (error.kind) {
    case Kind::truncated: return fmt::format("a parcel cut short after {} bytes", error.value);
    case Kind::not_a_parcel: return "not a parcel: it does not begin with \"weir\"";
    case Kind::version_unknown:
      return fmt::format("a parcel of version {}; taken are {} to {}", error.value, kParcelOldest,
                         kParcelNewest);
    case Kind::checksum: return "a parcel whose checksum is not that of its bytes";
    case Kind::field: break;
  }
  return fmt::format("a parcel with a bad value: {}", error.field);
}

}  // namespace weir::session
