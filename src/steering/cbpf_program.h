// The classic BPF programs of the backend cbpf: how one picks among the sockets of a SO_REUSEPORT
// group. Pure: numbers in, instructions out. Attaching is cbpf_steerer.h's, and what share each
// socket is to have is decided in cbpf_shares.h.
//
// A classic program sees the packet and a random number, has 16 words of memory for itself, and
// returns the index of a socket in its group. It can read no table and has no loops, so all that
// it is to know is written into it, and it is replaced when that changes. It has 4,096 instructions
// at most; conditional jumps reach 255 of them, others all.
//
// Weighted random: a random word, and a tree of comparisons with the sockets' cumulated shares:
// two instructions a socket, ten comparisons for 1,024.
//
// Hashes: the client's address, or address and port, are mixed with a key, and a jump consistent
// hash (Lamping and Veach, 2014) names a slot. Not a Maglev table as the eBPF program has one: as
// a tree of comparisons, one of at most 2,000 entries would fit, and with 1,024 slots one slot
// would get twice what another gets. The jump hash gives equal shares at any number of slots in 400
// instructions; and what it cannot do, take a slot out that is not the last, weir does not do:
// slots come and go at the end. When one comes, only its own share moves.
//
// A slot out of service keeps its share in that; its clients are hashed again, up to kCbpfTries
// times, and after that spread evenly over those in service. So no other client moves, and those
// come back with the slot.
//
// The mixing is no cryptographic one (the eBPF program's is SipHash): with 32-bit arithmetic alone
// that would take more instructions than all the rest. Without the key a client cannot tell where
// its address leads; one that can see where very many of its addresses were led might learn to.
#pragma once

#include <linux/filter.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace weir::steering {

using ClassicProgram = std::vector<sock_filter>;

/// How often a client is hashed at the most, before those that met with no slot in service are
/// spread over all that are.
inline constexpr std::uint32_t kCbpfTries = 3;

/// Returns i with a probability in proportion to shares[i], to within 2^-32. None is below zero,
/// at least one is above; there are 1..1,024.
[[nodiscard]] ClassicProgram random_program(std::span<const double> shares);

struct HashTerms {
  std::vector<bool> in_service{};      // by slot, 1..1,024 of them, at least one true
  bool with_port = false;              // hash the client's port as well
  std::array<std::uint32_t, 2> key{};  // secret
};

/// Returns the slot that the sender of a TCP packet hashes to, over IPv4 or IPv6. Where IPv6
/// extension headers stand before the TCP header, the first of them is hashed as its port.
[[nodiscard]] ClassicProgram hash_program(const HashTerms& terms);

}  // namespace weir::steering
