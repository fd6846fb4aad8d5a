// The head of a parcel: one struct, written and read as it lies in memory.
#pragma once

#include <zlib.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "weir/wire/frame.h"

namespace weir::session {

inline constexpr std::array<char, 4> kMagic{'w', 'e', 'i', 'r'};
inline constexpr std::size_t kCrcBytes = 4;

/// What every version begins with.
struct Preamble {
  std::array<char, 4> magic;
  std::uint16_t version;
  std::uint8_t state;
  std::uint8_t flags;
  std::uint64_t size;
};
static_assert(sizeof(Preamble) == 16);

enum Flag : std::uint8_t { kAdmitted = 1, kOutContext = 2 };
enum DecoderFlag : std::uint8_t { kMessageCompressed = 1, kFrameFin = 2 };

/// Version 1, as the table in parcel.h has it.
struct Head {
  Preamble begin;
  std::uint64_t since;
  std::uint64_t heard_at;
  std::uint64_t pinged_at;
  std::uint64_t messages_paid;
  std::uint16_t door;
  std::uint16_t close_code;
  std::uint8_t window_bits;
  std::uint8_t in_window_bits;
  std::uint16_t client_port;
  std::uint8_t client_family;
  std::uint8_t stage;
  std::uint8_t message_opcode;
  std::uint8_t control_opcode;
  std::uint8_t decoder_flags;
  std::uint8_t key_phase;
  std::array<std::uint8_t, 3> text;
  std::uint8_t piece_bytes;
  std::uint16_t app_name_bytes;
  wire::MaskKey key;
  std::uint64_t message_bytes;
  std::uint64_t frame_bytes_left;
  std::array<std::uint8_t, 16> client_address;
  std::uint32_t request_bytes;
  std::uint32_t gathered_bytes;
  std::uint32_t output_bytes;
  std::uint32_t out_window_bytes;
  std::uint32_t in_window_bytes;
  std::uint32_t app_state_bytes;
};
static_assert(sizeof(Head) == 128 && std::has_unique_object_representations_v<Head>, "no padding");
static_assert(offsetof(Head, since) == 16 && offsetof(Head, door) == 48 &&
              offsetof(Head, client_family) == 56 && offsetof(Head, text) == 62 &&
              offsetof(Head, key) == 68 && offsetof(Head, message_bytes) == 72 &&
              offsetof(Head, client_address) == 88 && offsetof(Head, request_bytes) == 104);
static_assert(std::endian::native == std::endian::little);

using Stage = wire::FrameDecoder::Stage;
static_assert(Stage{0} == Stage::header && Stage{1} == Stage::payload &&
                  Stage{2} == Stage::control && Stage{3} == Stage::lent,
              "version 1's numbers; at 3 and what follows no session that moves is at rest");

inline std::uint32_t crc_of(std::span<const std::byte> bytes) noexcept {
  return static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace weir::session
