#include "cbpf_program.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "weir/steering/abi.h"

namespace weir::steering {
namespace {

constexpr std::uint32_t kNet = static_cast<std::uint32_t>(SKF_NET_OFF);
constexpr std::uint32_t kRandom = static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_RANDOM);

// Where in the network header (RFC 791, section 3.1; RFC 8200, section 3).
constexpr std::uint32_t kIpv4Source = kNet + 12;
constexpr std::uint32_t kIpv6Source = kNet + 8;
constexpr std::uint32_t kIpv6Payload = kNet + 40;

// The program's own memory.
constexpr std::uint32_t kHash = 0;     // of the client
constexpr std::uint32_t kScratch = 1;  // of mix()
constexpr std::uint32_t kState = 2;    // of the jump hash's random numbers
constexpr std::uint32_t kBucket = 3;   // its last bucket, + 1

/// Jumps of one lookup. Fewer than two in 100,000 of 1,024 slots' clients would make more, and stay
/// where the last of these led.
constexpr int kJumps = 20;

constexpr double kRandomWords = 4294967296.0;  // that a random word may be: 2^32

/// "To the end of this piece": no jump goes that far.
constexpr std::uint32_t kToEnd = UINT32_MAX;

sock_filter op(int code, std::uint32_t k) {
  return {.code = static_cast<__u16>(code), .jt = 0, .jf = 0, .k = k};
}

/// A += k.
sock_filter plus(std::uint32_t k) {
  return op(BPF_ALU | BPF_ADD, k);  // BPF_K is 0, as BPF_ADD is
}

void add(ClassicProgram& to, const ClassicProgram& piece) {
  to.insert(to.end(), piece.begin(), piece.end());
}

/// Where a run of numbers, up to the next run's first, leads.
struct Run {
  std::uint32_t first;
  ClassicProgram then;
};

/// A number in A is looked up: runs in the order of their numbers. At a comparison the numbers
/// below go on with the next instruction, the others beyond all that those may need.
ClassicProgram tree(std::span<const Run> runs) {
  if (runs.size() == 1) return runs.front().then;
  const std::size_t middle = runs.size() / 2;
  const ClassicProgram below = tree(runs.first(middle));
  const ClassicProgram above = tree(runs.subspan(middle));
  ClassicProgram out;
  sock_filter compare = op(BPF_JMP | BPF_JGE | BPF_K, runs[middle].first);
  if (below.size() <= UINT8_MAX) {
    compare.jt = static_cast<__u8>(below.size());
    out.push_back(compare);
  } else {
    compare.jf = 1;
    out.push_back(compare);
    out.push_back(op(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(below.size())));
  }
  add(out, below);
  add(out, above);
  return out;
}

/// Sets the jumps to the end of what the piece has become.
void set_ends(ClassicProgram& piece) {
  for (std::size_t i = 0; i < piece.size(); ++i)
    if (piece[i].code == (BPF_JMP | BPF_JA) && piece[i].k == kToEnd)
      piece[i].k = static_cast<std::uint32_t>(piece.size() - i - 1);
}

/// A = A ^ A >> shift, then A *= factor.
void mix(ClassicProgram& to, std::uint32_t shift, std::uint32_t factor) {
  add(to,
      {op(BPF_ST, kScratch), op(BPF_ALU | BPF_RSH | BPF_K, shift), op(BPF_LDX | BPF_MEM, kScratch),
       op(BPF_ALU | BPF_XOR | BPF_X, 0), op(BPF_ALU | BPF_MUL | BPF_K, factor)});
}

/// The finaliser of MurmurHash3 in 32 bits.
void finish(ClassicProgram& to) {
  mix(to, 16, 0x85ebca6b);
  mix(to, 13, 0xc2b2ae35);
  mix(to, 16, 1);
}

/// Takes the word, or the half, that `load` brings into the hash in A.
void take(ClassicProgram& to, sock_filter load) {
  add(to, {op(BPF_MISC | BPF_TAX, 0), load, op(BPF_ALU | BPF_XOR | BPF_X, 0),
           op(BPF_ALU | BPF_MUL | BPF_K, 0x9e3779b1)});
  mix(to, 15, 0x2c1b3c6d);
}

/// Hash of the client to its memory word. To the end of its piece: jumps within it.
ClassicProgram hash_client(const HashTerms& terms) {
  const auto word = [](std::uint32_t at) { return op(BPF_LD | BPF_W | BPF_ABS, at); };
  ClassicProgram v4{op(BPF_LD | BPF_IMM, terms.key[0])};
  take(v4, word(kIpv4Source));
  if (terms.with_port) {
    // The port's place depends on the header's length, which only X can hold.
    add(v4, {op(BPF_ST, kHash), op(BPF_LDX | BPF_B | BPF_MSH, kNet),
             op(BPF_LD | BPF_H | BPF_IND, kNet), op(BPF_ST, kState), op(BPF_LD | BPF_MEM, kHash)});
    take(v4, op(BPF_LD | BPF_MEM, kState));
  }
  ClassicProgram v6{op(BPF_LD | BPF_IMM, terms.key[0] ^ 6U)};
  for (std::uint32_t i = 0; i < 4; ++i) take(v6, word(kIpv6Source + 4 * i));
  if (terms.with_port) take(v6, op(BPF_LD | BPF_H | BPF_ABS, kIpv6Payload));
  v4.push_back(op(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(v6.size())));

  ClassicProgram out{op(BPF_LD | BPF_B | BPF_ABS, kNet), op(BPF_ALU | BPF_RSH | BPF_K, 4)};
  sock_filter is_v6 = op(BPF_JMP | BPF_JEQ | BPF_K, 6);
  is_v6.jt = static_cast<__u8>(v4.size());
  out.push_back(is_v6);
  add(out, v4);
  add(out, v6);
  out.push_back(op(BPF_ALU | BPF_XOR | BPF_K, terms.key[1]));
  finish(out);
  out.push_back(op(BPF_ST, kHash));
  return out;
}

/// A = the bucket of the hash, by jumps: from bucket b to (b + 1) / r, rounded down, where r is
/// random in (0, 1], until that is past the last bucket.
ClassicProgram jump_hash(std::uint32_t buckets) {
  if (buckets == 1) return {op(BPF_LD | BPF_IMM, 0)};
  const auto fraction = static_cast<std::uint32_t>(std::countl_zero(buckets));  // bits of r
  ClassicProgram out{op(BPF_LD | BPF_MEM, kHash), op(BPF_ST, kState), op(BPF_LD | BPF_IMM, 1),
                     op(BPF_ST, kBucket)};
  for (int i = 0; i < kJumps; ++i) {
    // The next random number, of a linear congruence, whose upper bits are the good ones.
    add(out, {op(BPF_LD | BPF_MEM, kState), op(BPF_ALU | BPF_MUL | BPF_K, 0x915f77f5),
              plus(0x6d2b79f5), op(BPF_ST, kState)});
    mix(out, 16, 0x7feb352d);
    add(out, {op(BPF_ALU | BPF_RSH | BPF_K, 32 - fraction), plus(1), op(BPF_MISC | BPF_TAX, 0)});
    add(out, {op(BPF_LD | BPF_MEM, kBucket), op(BPF_ALU | BPF_LSH | BPF_K, fraction),
              op(BPF_ALU | BPF_DIV | BPF_X, 0)});
    sock_filter past = op(BPF_JMP | BPF_JGE | BPF_K, buckets);
    past.jf = 1;
    add(out, {past, op(BPF_JMP | BPF_JA, kToEnd), plus(1), op(BPF_ST, kBucket)});
  }
  set_ends(out);
  add(out, {op(BPF_LD | BPF_MEM, kBucket), op(BPF_ALU | BPF_SUB | BPF_K, 1)});
  return out;
}

/// A = a number below `count`, another one for each `salt`.
ClassicProgram hash_again(std::uint32_t salt, std::uint32_t count) {
  ClassicProgram out{op(BPF_LD | BPF_MEM, kHash), plus(salt * 0x9e3779b9U)};
  finish(out);
  out.push_back(op(BPF_ALU | BPF_MOD | BPF_K, count));
  return out;
}

/// Returns the slot in A if it is in service; goes on at its end if not.
ClassicProgram return_if_in_service(const std::vector<bool>& in_service) {
  std::vector<Run> runs;
  for (std::size_t slot = 0; slot < in_service.size(); ++slot) {
    if (slot > 0 && in_service[slot] == in_service[slot - 1]) continue;
    runs.push_back(
        {.first = static_cast<std::uint32_t>(slot),
         .then = {in_service[slot] ? op(BPF_RET | BPF_A, 0) : op(BPF_JMP | BPF_JA, kToEnd)}});
  }
  ClassicProgram out = tree(runs);
  set_ends(out);
  return out;
}

/// Returns the slot in service that comes A-th among them.
ClassicProgram return_nth_in_service(const std::vector<bool>& in_service) {
  std::vector<Run> runs;
  std::uint32_t before = 0;
  for (std::size_t slot = 0; slot < in_service.size(); ++slot) {
    if (!in_service[slot]) continue;
    if (slot == 0 || !in_service[slot - 1])
      runs.push_back(
          {.first = before,
           .then = {plus(static_cast<std::uint32_t>(slot) - before), op(BPF_RET | BPF_A, 0)}});
    ++before;
  }
  return tree(runs);
}

}  // namespace

ClassicProgram random_program(std::span<const double> shares) {
  assert(!shares.empty() && shares.size() <= WEIR_SLOTS_MAX);
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  assert(sum > 0);
  std::vector<Run> runs;
  double cumulated = 0;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    if (!(shares[i] > 0)) continue;
    const double from = std::floor(cumulated / sum * kRandomWords);
    cumulated += shares[i];
    if (from >= kRandomWords) continue;  // less than a word is left for it
    const Run run{.first = static_cast<std::uint32_t>(from),
                  .then = {op(BPF_RET | BPF_K, static_cast<std::uint32_t>(i))}};
    if (!runs.empty() && runs.back().first == run.first)
      runs.back() = run;  // the one before has less than a word
    else
      runs.push_back(run);
  }
  ClassicProgram out{op(BPF_LD | BPF_W | BPF_ABS, kRandom)};
  add(out, tree(runs));
  return out;
}

ClassicProgram hash_program(const HashTerms& terms) {
  const auto slots = static_cast<std::uint32_t>(terms.in_service.size());
  const auto serving = static_cast<std::uint32_t>(
      std::count(terms.in_service.begin(), terms.in_service.end(), true));
  assert(slots > 0 && slots <= WEIR_SLOTS_MAX && serving > 0);
  ClassicProgram out = hash_client(terms);
  add(out, jump_hash(slots));
  const ClassicProgram look = return_if_in_service(terms.in_service);
  add(out, look);
  if (serving == slots) return out;

  ClassicProgram last = hash_again(kCbpfTries, serving);
  add(last, return_nth_in_service(terms.in_service));
  for (std::uint32_t again = 1; again < kCbpfTries; ++again) {
    ClassicProgram next = hash_again(again, slots);
    add(next, look);
    if (out.size() + next.size() + last.size() > BPF_MAXINSNS) break;
    add(out, next);
  }
  add(out, last);
  return out;
}

}  // namespace weir::steering
