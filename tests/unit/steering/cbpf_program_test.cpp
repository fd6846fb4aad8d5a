// The classic programs, run by an interpreter: what share each socket gets, where clients are
// hashed to, and that every program fits. The kernel's own run is tests/bpf/classic_test.cpp.
#include "steering/cbpf_program.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "classic_bpf.h"

namespace weir::steering {
namespace {

constexpr std::array<std::size_t, 6> kSizes{1, 2, 3, 64, 256, 1024};
constexpr std::array<std::uint32_t, 2> kKey{0x12345678, 0x9abcdef0};

std::vector<std::uint64_t> counts_of(const std::vector<double>& shares, std::size_t words) {
  const ClassicProgram program = random_program(shares);
  const ClassicBpf bpf{program};
  std::mt19937 random{1};
  std::vector<std::uint64_t> counts(shares.size());
  for (std::size_t i = 0; i < words; ++i)
    ++counts.at(bpf.run({}, static_cast<std::uint32_t>(random())));
  return counts;
}

TEST(RandomProgram, EverySocketGetsItsShare) {
  // Words enough that 2% of the least share is four standard deviations of its count.
  const std::vector<double> cases[] = {{1}, {1, 1}, {4, 2, 1, 1}, {0.125, 8, 1, 1, 1, 3, 1, 1}};
  for (const std::vector<double>& shares : cases) {
    constexpr std::size_t kWords = 4'000'000;
    const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
    const auto counts = counts_of(shares, kWords);
    for (std::size_t i = 0; i < shares.size(); ++i) {
      const double expected = kWords * shares[i] / sum;
      EXPECT_NEAR(static_cast<double>(counts[i]), expected,
                  std::max(0.02 * expected, 4 * std::sqrt(expected)))
          << i << " of " << shares.size();
    }
  }
}

/// Where each socket's run of random words begins, to the word.
std::vector<std::uint64_t> widths_of(const ClassicProgram& program, std::size_t sockets) {
  const ClassicBpf bpf{program};
  std::vector<std::uint64_t> widths;
  std::uint64_t from = 0;
  for (std::uint32_t socket = 0; socket < sockets; ++socket) {
    std::uint64_t low = from;
    std::uint64_t high = std::uint64_t{1} << 32;
    while (low < high) {
      const std::uint64_t middle = (low + high) / 2;
      if (bpf.run({}, static_cast<std::uint32_t>(middle)) <= socket)
        low = middle + 1;
      else
        high = middle;
    }
    widths.push_back(low - from);
    from = low;
  }
  return widths;
}

TEST(RandomProgram, ManySocketsHaveEqualSharesToTheWord) {
  for (const std::size_t sockets : kSizes) {
    const auto widths = widths_of(random_program(std::vector<double>(sockets, 1)), sockets);
    const auto [least, most] = std::minmax_element(widths.begin(), widths.end());
    EXPECT_LE(*most - *least, 1U) << sockets;
    EXPECT_EQ(std::accumulate(widths.begin(), widths.end(), std::uint64_t{0}),
              std::uint64_t{1} << 32);
  }
}

TEST(RandomProgram, ASocketWithoutAShareIsNeverNamed) {
  std::vector<double> shares(1024, 1);
  for (std::size_t i = 0; i < shares.size(); i += 3) shares[i] = 0;
  const auto widths = widths_of(random_program(shares), shares.size());
  for (std::size_t i = 0; i < shares.size(); ++i) EXPECT_EQ(widths[i] == 0, i % 3 == 0) << i;
  // One is left.
  EXPECT_EQ(counts_of({0, 0, 0.001, 0}, 1000), (std::vector<std::uint64_t>{0, 0, 1000, 0}));
  // A share of less than a word does not take another's.
  EXPECT_EQ(counts_of({1e-12, 1}, 1000), (std::vector<std::uint64_t>{0, 1000}));
  EXPECT_EQ(counts_of({1, 1e-12}, 1000), (std::vector<std::uint64_t>{1000, 0}));
}

TEST(RandomProgram, TakesTwoInstructionsASocketAndAFewFarJumps) {
  for (const std::size_t sockets : kSizes) {
    const std::size_t length = random_program(std::vector<double>(sockets, 1)).size();
    EXPECT_GE(length, 2 * sockets);
    EXPECT_LE(length, 2 * sockets + 8) << sockets;
  }
}

Packet ipv4(std::uint32_t address, std::uint16_t port, std::size_t options = 0) {
  Packet packet(20 + options + 20);
  packet[0] = static_cast<std::uint8_t>(0x45 + options / 4);
  for (std::size_t i = 0; i < 4; ++i)
    packet[12 + i] = static_cast<std::uint8_t>(address >> (24 - 8 * i));
  packet[20 + options] = static_cast<std::uint8_t>(port >> 8);
  packet[21 + options] = static_cast<std::uint8_t>(port);
  return packet;
}

Packet ipv6(std::uint64_t high, std::uint64_t low, std::uint16_t port) {
  Packet packet(60);
  packet[0] = 0x60;
  for (std::size_t i = 0; i < 8; ++i)
    packet[8 + i] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
  for (std::size_t i = 0; i < 8; ++i)
    packet[16 + i] = static_cast<std::uint8_t>(low >> (56 - 8 * i));
  packet[40] = static_cast<std::uint8_t>(port >> 8);
  packet[41] = static_cast<std::uint8_t>(port);
  return packet;
}

std::vector<bool> all(std::size_t slots) {
  return std::vector<bool>(slots, true);
}

/// Where clients of so many addresses are led, in a row.
std::vector<std::uint32_t> slots_of(const HashTerms& terms, std::uint32_t clients) {
  const ClassicProgram program = hash_program(terms);
  const ClassicBpf bpf{program};
  std::vector<std::uint32_t> slots;
  for (std::uint32_t i = 0; i < clients; ++i)
    slots.push_back(bpf.run(ipv4(0x0a000000 + i, static_cast<std::uint16_t>(i)), 0));
  return slots;
}

TEST(HashProgram, GivesEverySlotTheSameShare) {
  for (const std::size_t slots : kSizes) {
    const std::uint32_t clients = slots == 1024 ? 1'000'000 : 200'000;
    std::vector<std::uint32_t> counts(slots);
    for (const std::uint32_t slot : slots_of({.in_service = all(slots), .key = kKey}, clients))
      ++counts.at(slot);
    const double expected = static_cast<double>(clients) / static_cast<double>(slots);
    // Five standard deviations of a count by chance: 1,024 slots pass by chance alone.
    for (const std::uint32_t count : counts)
      EXPECT_NEAR(count, expected, 5 * std::sqrt(expected)) << slots;
  }
}

TEST(HashProgram, SourceHashHeedsTheAddressAloneAndTupleHashThePortToo) {
  for (const bool with_port : {false, true}) {
    const ClassicProgram program =
        hash_program({.in_service = all(64), .with_port = with_port, .key = kKey});
    const ClassicBpf bpf{program};
    for (const bool v6 : {false, true}) {
      std::vector<std::uint32_t> slots;
      for (std::uint16_t port = 1; port < 200; ++port)
        slots.push_back(
            bpf.run(v6 ? ipv6(0x20010db800000000, 7, port) : ipv4(0x0a000007, port), 0));
      std::ranges::sort(slots);
      slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
      if (with_port)
        EXPECT_GT(slots.size(), 50U) << v6;  // of 64, 199 tries: 61 are met by chance
      else
        EXPECT_EQ(slots.size(), 1U) << v6;
    }
  }
}

TEST(HashProgram, EveryBitOfAnAddressCounts) {
  const ClassicProgram program = hash_program({.in_service = all(1024), .key = kKey});
  const ClassicBpf bpf{program};
  const std::uint32_t v4 = bpf.run(ipv4(0x0a000007, 1), 0);
  int same = 0;
  for (int bit = 0; bit < 32; ++bit) same += bpf.run(ipv4(0x0a000007U ^ 1U << bit, 1), 0) == v4;
  EXPECT_LE(same, 1);
  const std::uint32_t v6 = bpf.run(ipv6(1, 2, 1), 0);
  same = 0;
  for (int bit = 0; bit < 64; ++bit) {
    same += bpf.run(ipv6(1ULL ^ 1ULL << bit, 2, 1), 0) == v6;
    same += bpf.run(ipv6(1, 2ULL ^ 1ULL << bit, 1), 0) == v6;
  }
  EXPECT_LE(same, 2);
}

TEST(HashProgram, FindsThePortBehindOptionsOfIpv4) {
  const ClassicProgram program =
      hash_program({.in_service = all(1024), .with_port = true, .key = kKey});
  const ClassicBpf bpf{program};
  for (std::uint16_t port = 1; port < 100; ++port)
    EXPECT_EQ(bpf.run(ipv4(5, port, 40), 0), bpf.run(ipv4(5, port), 0));
}

TEST(HashProgram, AnotherKeyLeadsElsewhere) {
  const auto one = slots_of({.in_service = all(64), .key = kKey}, 1000);
  const auto other = slots_of({.in_service = all(64), .key = {kKey[0] + 1, kKey[1]}}, 1000);
  int same = 0;
  for (std::size_t i = 0; i < one.size(); ++i) same += one[i] == other[i];
  EXPECT_LT(same, 50);  // 16 by chance
}

TEST(HashProgram, ASlotOutOfServiceMovesItsOwnClientsAndSpreadsThem) {
  constexpr std::uint32_t kClients = 50'000;
  for (const std::size_t slots : {std::size_t{2}, std::size_t{3}, std::size_t{64}}) {
    const auto before = slots_of({.in_service = all(slots), .key = kKey}, kClients);
    std::vector<bool> without = all(slots);
    const std::uint32_t lost = static_cast<std::uint32_t>(slots) / 2;
    without[lost] = false;
    const auto after = slots_of({.in_service = without, .key = kKey}, kClients);
    std::vector<std::uint32_t> taken(slots);
    for (std::uint32_t i = 0; i < kClients; ++i) {
      ASSERT_NE(after[i], lost);
      if (before[i] == lost)
        ++taken[after[i]];
      else
        EXPECT_EQ(after[i], before[i]) << "a client moved that need not";
    }
    const double expected =
        static_cast<double>(kClients) / static_cast<double>(slots) / static_cast<double>(slots - 1);
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
      if (slot == lost) continue;
      EXPECT_NEAR(taken[slot], expected, 6 * std::sqrt(expected)) << slots;
    }
  }
}

TEST(HashProgram, ASecondLossMovesFewWhoNeedNot) {
  constexpr std::uint32_t kClients = 50'000;
  std::vector<bool> one_down = all(8);
  one_down[2] = false;
  std::vector<bool> two_down = one_down;
  two_down[5] = false;
  const auto before = slots_of({.in_service = one_down, .key = kKey}, kClients);
  const auto after = slots_of({.in_service = two_down, .key = kKey}, kClients);
  std::uint32_t needless = 0;
  for (std::uint32_t i = 0; i < kClients; ++i) needless += before[i] != 5 && after[i] != before[i];
  EXPECT_LT(needless, kClients / 100);
}

TEST(HashProgram, ASlotThatComesTakesItsShareAndNoOtherMoves) {
  constexpr std::uint32_t kClients = 100'000;
  for (const std::size_t slots : {1U, 2U, 7U, 8U, 63U, 255U}) {
    const auto before = slots_of({.in_service = all(slots), .key = kKey}, kClients);
    const auto after = slots_of({.in_service = all(slots + 1), .key = kKey}, kClients);
    std::uint32_t came = 0;
    std::uint32_t needless = 0;
    for (std::uint32_t i = 0; i < kClients; ++i) {
      came += after[i] == slots;
      needless += after[i] != slots && after[i] != before[i];
    }
    const double expected = static_cast<double>(kClients) / static_cast<double>(slots + 1);
    EXPECT_NEAR(came, expected, 5 * std::sqrt(expected));
    EXPECT_LT(needless, kClients / 1000) << slots;
  }
}

TEST(HashProgram, FitsWhicheverSlotsAreInServiceAndNamesNoOther) {
  std::mt19937 random{1};
  for (const std::size_t slots : kSizes) {
    std::vector<std::vector<bool>> cases{all(slots)};
    for (const int every : {2, 3, 7}) {  // every other one makes the most runs
      std::vector<bool> some = all(slots);
      for (std::size_t i = 0; i < slots; i += static_cast<std::size_t>(every)) some[i] = false;
      cases.push_back(some);
      some.flip();
      cases.push_back(some);
    }
    cases.emplace_back(slots, false);
    cases.back()[slots - 1] = true;
    for (const std::vector<bool>& in_service : cases) {
      if (std::ranges::count(in_service, true) == 0) continue;
      const ClassicProgram program =
          hash_program({.in_service = in_service, .with_port = true, .key = kKey});
      EXPECT_LE(program.size(), std::size_t{BPF_MAXINSNS}) << slots;
      const ClassicBpf bpf{program};
      for (int i = 0; i < 2000; ++i) {
        const std::uint32_t slot = bpf.run(
            ipv4(static_cast<std::uint32_t>(random()), static_cast<std::uint16_t>(random())), 0);
        ASSERT_LT(slot, slots);
        ASSERT_TRUE(in_service[slot]);
      }
    }
    if (slots <= 64) {
      EXPECT_LE(hash_program({.in_service = all(slots), .with_port = true, .key = kKey}).size(),
                600U);
    }
  }
}

}  // namespace
}  // namespace weir::steering
