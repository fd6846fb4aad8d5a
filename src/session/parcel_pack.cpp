// Parcels, packed.
#include <netinet/in.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits>

#include "parcel_head.h"
#include "weir/session/parcel.h"

namespace weir::session {
namespace {

using wire::FrameDecoder;
using Bytes = Parcel::Bytes;

template <class Number>
Number to_number(std::size_t size) noexcept {
  assert(size <= std::numeric_limits<Number>::max());
  return static_cast<Number>(size);
}

/// Scope and flow of IPv6 stay behind: a proxy tells neither.
void put_client(Head& head, const SocketAddress& client) noexcept {
  head.client_port = client.port();
  head.client_family = client.is_ipv6() ? 6 : 4;
  if (client.is_ipv6()) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(client.data());
    std::memcpy(head.client_address.data(), &v6->sin6_addr, sizeof v6->sin6_addr);
  } else {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(client.data());
    std::memcpy(head.client_address.data(), &v4->sin_addr, sizeof v4->sin_addr);
  }
}

Head head_of(const Parcel& parcel, std::size_t size, std::uint16_t version) noexcept {
  Head head{};
  const FrameDecoder::State& decoder = parcel.decoder;
  head.begin = {.magic = kMagic,
                .version = version,
                .state = static_cast<std::uint8_t>(parcel.state),
                .flags = static_cast<std::uint8_t>((parcel.admitted ? kAdmitted : 0) |
                                                   (parcel.out ? kOutContext : 0)),
                .size = size};
  head.since = to_ns(parcel.since);
  head.heard_at = to_ns(parcel.heard_at);
  head.pinged_at = to_ns(parcel.pinged_at);
  head.messages_paid = to_ns(parcel.messages_paid);
  head.door = parcel.door;
  head.close_code = static_cast<std::uint16_t>(parcel.close_code);
  head.window_bits = parcel.window_bits;
  head.in_window_bits = parcel.in ? parcel.in->window_bits : std::uint8_t{0};
  if (parcel.client) put_client(head, *parcel.client);
  head.stage = static_cast<std::uint8_t>(decoder.stage);
  head.message_opcode = static_cast<std::uint8_t>(decoder.message_opcode);
  head.control_opcode = static_cast<std::uint8_t>(decoder.control_opcode);
  head.decoder_flags = static_cast<std::uint8_t>(
      (decoder.message_compressed ? kMessageCompressed : 0) | (decoder.frame_fin ? kFrameFin : 0));
  head.key_phase = decoder.key_phase;
  head.text = {decoder.text.pending, decoder.text.low, decoder.text.high};
  head.piece_bytes = decoder.piece_bytes;
  head.app_name_bytes = to_number<std::uint16_t>(parcel.app.size());
  head.key = decoder.key;
  head.message_bytes = decoder.message_bytes;
  head.frame_bytes_left = decoder.frame_bytes_left;
  head.request_bytes = to_number<std::uint32_t>(parcel.request.size());
  head.gathered_bytes = to_number<std::uint32_t>(parcel.gathered.size());
  head.output_bytes = to_number<std::uint32_t>(parcel.output[0].size() + parcel.output[1].size());
  head.out_window_bytes = to_number<std::uint32_t>(parcel.out ? parcel.out->size() : 0);
  head.in_window_bytes = to_number<std::uint32_t>(parcel.in ? parcel.in->window.size() : 0);
  head.app_state_bytes = to_number<std::uint32_t>(parcel.app_state.size());
  return head;
}

/// In the order in which they stand behind the head.
std::array<Bytes, 9> runs_of(const Parcel& parcel) noexcept {
  return {Bytes{parcel.decoder.piece}.first(parcel.decoder.piece_bytes),
          parcel.request,
          parcel.gathered,
          parcel.output[0],
          parcel.output[1],
          parcel.out.value_or(Bytes{}),
          parcel.in ? parcel.in->window : Bytes{},
          std::as_bytes(std::span{parcel.app}),
          parcel.app_state};
}

}  // namespace

std::size_t packed_size(const Parcel& parcel, [[maybe_unused]] std::uint16_t version) {
  assert(version >= kParcelOldest && version <= kParcelNewest);
  std::size_t size = sizeof(Head) + kCrcBytes;
  for (const Bytes run : runs_of(parcel)) size += run.size();
  return size;
}

void pack(const Parcel& parcel, std::span<std::byte> out, std::uint16_t version) {
  assert(out.size() == packed_size(parcel, version));
  assert(parcel.decoder.deflate == (parcel.window_bits != 0));
  const Head head = head_of(parcel, out.size(), version);
  std::memcpy(out.data(), &head, sizeof head);
  auto at = out.begin() + sizeof head;
  for (const Bytes run : runs_of(parcel)) at = std::ranges::copy(run, at).out;
  const std::uint32_t crc = crc_of(out.first(out.size() - kCrcBytes));
  std::memcpy(&*at, &crc, sizeof crc);
}

std::vector<std::byte> pack(const Parcel& parcel, std::uint16_t version) {
  std::vector<std::byte> out(packed_size(parcel, version));
  pack(parcel, out, version);
  return out;
}

}  // namespace weir::session
