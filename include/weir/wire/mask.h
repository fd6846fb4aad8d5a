// Masking: the XOR with a four-byte key that clients apply to every payload. RFC 6455, section
// 5.3. It is its own inverse, so that one function masks and unmasks.
//
// The kernels differ in speed only. Those that this CPU can run and are fastest are picked once,
// before main().
//
// Each says in passing whether what came out is ASCII: that is all that there is to know of most
// text, and costs one more instruction a vector here, but a second pass over the bytes elsewhere.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace weir::wire {

/// The key in the order of the wire: byte i of a payload is XORed with key[i % 4].
using MaskKey = std::array<std::byte, 4>;

/// XORs `data` with `key` in place. `phase` is the offset of data[0] in the masked payload, which
/// matters when a payload arrives in pieces; only phase % 4 counts. Touches no byte outside `data`.
/// Returns whether every byte of the result is ASCII.
bool apply_mask(std::span<std::byte> data, MaskKey key, std::size_t phase) noexcept;

/// The definition, a byte at a time: what every kernel is tested against.
bool apply_mask_scalar(std::span<std::byte> data, MaskKey key, std::size_t phase) noexcept;

/// One way to do what apply_mask() does.
struct MaskKernel {
  std::string_view name;  // "avx512", "avx2", "portable"
  bool (*apply)(std::span<std::byte> data, MaskKey key, std::size_t phase) noexcept;
};

/// The kernels that this CPU can run, widest first. For tests and benchmarks. Never empty, valid
/// for the life of the process.
[[nodiscard]] std::span<const MaskKernel> mask_kernels() noexcept;

}  // namespace weir::wire
