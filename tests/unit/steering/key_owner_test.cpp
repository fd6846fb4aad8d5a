// Whose a key is: shares, what moves when a slot is lost, and that all workers say the same.
#include "weir/steering/key_owner.h"

#include <fmt/format.h>

#include <string>

#include "table_fixture.h"

namespace weir::steering {
namespace {

constexpr std::string_view kCounting{
    "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16",
    23};

TEST(SipHashOfAnyLength, GivesThePublishedVectors) {  // vectors_sip64 of the reference code
  constexpr std::uint64_t kKey0 = 0x0706050403020100;
  constexpr std::uint64_t kKey1 = 0x0f0e0d0c0b0a0908;
  constexpr std::uint64_t kByLength[] = {
      0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
      0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
      0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
      0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5,
      0x3f2acc7f57c29bdb, 0x699ae9f52cbe4794, 0x4bc1b3f0968dd39c, 0xbb6dc91da77961bd};
  for (std::size_t length = 0; length < std::size(kByLength); ++length)
    EXPECT_EQ(siphash(kKey0, kKey1, kCounting.substr(0, length), 2, 4), kByLength[length])
        << length;
  EXPECT_EQ(siphash(kKey0, kKey1, kCounting, 1, 3), 0x525a0e7fdae6c123ULL) << "as in siphash_test";
}

class KeyOwnersTest : public TableTest {
 protected:
  static constexpr std::uint32_t kSlots = 16;

  void SetUp() override {
    configure({.slots = kSlots, .policy = Policy::uri_hash, .weights = weights_});
    raw.config.hash_key[0] = raw.config.hash_key[1] = 1;  // drawn anew otherwise
  }

  int owner_of(std::string_view key) {
    const auto owner = KeyOwners{raw, 0}.owner_of(key, Instant{Duration{now}});
    return owner ? static_cast<int>(*owner) : -1;
  }
  /// Of /0 and so on.
  std::vector<int> owners(std::uint32_t keys) {
    std::vector<int> found;
    for (std::uint32_t key = 0; key < keys; ++key)
      found.push_back(owner_of(fmt::format("/{}", key)));
    return found;
  }

  std::vector<std::uint32_t> weights_;
};

TEST_F(KeyOwnersTest, EverySlotsShareIsWithinTwoPercentOfItsWeight) {
  weights_ = {1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4};
  SetUp();
  constexpr std::uint32_t kKeys = 2'000'000;
  std::vector<std::uint64_t> counts(kSlots);
  for (const int owner : owners(kKeys)) ++counts.at(static_cast<std::size_t>(owner));
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
    const double due = kKeys * weights_[slot] / 40.0;
    EXPECT_NEAR(static_cast<double>(counts[slot]), due, 0.02 * due) << slot;
  }
}

TEST_F(KeyOwnersTest, ASlotThatIsLostMovesItsOwnKeysOnlyAndHasThemBack) {
  constexpr std::uint32_t kKeys = 50'000;
  const auto before = owners(kKeys);
  table.mark_down(5);
  const auto without = owners(kKeys);
  std::vector<std::uint64_t> taken(kSlots);
  for (std::uint32_t key = 0; key < kKeys; ++key) {
    if (before[key] == 5)
      ++taken.at(static_cast<std::size_t>(without[key]));
    else
      ASSERT_EQ(without[key], before[key]) << key;
  }
  for (std::uint32_t slot = 0; slot < kSlots; ++slot)
    EXPECT_NEAR(static_cast<double>(taken[slot]), slot == 5 ? 0 : 208, 90) << slot;
  table.mark_serving(5);
  EXPECT_EQ(owners(kKeys), before);
}

TEST_F(KeyOwnersTest, WhenTheLastOf16IsNoMoreFewKeysMoveThatNeedNot) {
  constexpr std::uint32_t kKeys = 50'000;
  const auto before = owners(kKeys);
  table.set_slots(kSlots - 1, {});
  const auto after = owners(kKeys);
  std::uint32_t needless = 0;
  for (std::uint32_t key = 0; key < kKeys; ++key) {
    ASSERT_LT(after[key], 15);
    if (before[key] != 15 && after[key] != before[key]) ++needless;
  }
  EXPECT_LT(needless, kKeys * 8 / 100);
  RecordProperty("needless", static_cast<int>(needless));
}

TEST_F(KeyOwnersTest, ASlotThatHangsIsPassedOverUntilItWakes) {
  const auto before = owners(5'000);
  stop(3);
  for (const int owner : owners(5'000)) ASSERT_NE(owner, 3);
  EXPECT_EQ(raw.key[3] & WEIR_KEY_HUNG, 0U) << "it only looks";
  wake(3);
  EXPECT_EQ(owners(5'000), before);
  raw.key[3] |= WEIR_KEY_HUNG;
  for (const int owner : owners(5'000)) ASSERT_NE(owner, 3);
  table.set_hang_threshold(Duration::zero());
  stop(3);
  EXPECT_EQ(owners(5'000), before) << "nobody is judged";
}

TEST_F(KeyOwnersTest, OneOf1024GetsEveryKeyAndNoneIsNobody) {
  configure(1024, Policy::uri_hash);
  for (std::uint32_t slot = 0; slot < 1024; ++slot)
    if (slot != 700) table.mark_down(slot);
  for (const int owner : owners(1'000)) ASSERT_EQ(owner, 700);
  table.mark_down(700);
  EXPECT_EQ(owner_of("/"), -1);
  configure(0 + 1, Policy::uri_hash);
  EXPECT_EQ(owner_of("/"), 0);
}

TEST_F(KeyOwnersTest, AllBytesOfTheKeyCountAndTheSecretToo) {
  std::vector<int> found;
  for (const std::string_view key : {"", "a", "A", "/chat", "/chat/", "/Chat", "/ch%61t"})
    for (int i = 0; i < 64; ++i) found.push_back(owner_of(fmt::format("{}{:04}", key, i)));
  for (std::size_t one = 0; one < 7; ++one)
    for (std::size_t other = 0; other < one; ++other)
      EXPECT_FALSE(std::equal(found.begin() + static_cast<std::ptrdiff_t>(one * 64),
                              found.begin() + static_cast<std::ptrdiff_t>(one * 64 + 64),
                              found.begin() + static_cast<std::ptrdiff_t>(other * 64)))
          << one << " and " << other;
  const auto before = owners(1'000);
  raw.config.hash_key[1] = 2;
  EXPECT_NE(owners(1'000), before);
}

TEST_F(KeyOwnersTest, KnowThePolicyTheMastersAndTheConnectionsOfASlot) {
  KeyOwners ours{raw, 1};
  EXPECT_TRUE(ours.on());
  table.set_policy(Policy::least_connections);
  EXPECT_FALSE(ours.on());

  EXPECT_FALSE(ours.is_of_our_master(4)) << "nobody's, and the next is of another";
  table.set_bank(1);
  EXPECT_TRUE(ours.is_of_our_master(4)) << "one that has said it is ready, and not taken it yet";
  raw.owner[4] = Tenure{.pid = 77, .bank = 0}.word();
  EXPECT_FALSE(ours.is_of_our_master(4));
  raw.owner[4] = Tenure{.pid = 77, .bank = 1}.word();
  EXPECT_TRUE(ours.is_of_our_master(4));
  table.set_bank(0);
  EXPECT_TRUE(ours.is_of_our_master(4)) << "until it hands over";

  for (int i = 0; i < 3; ++i) weir_charge(&raw, 4);
  EXPECT_EQ(ours.connections(4), 3U);
  EXPECT_EQ(ours.connections(5), 0U);
}

TEST_F(KeyOwnersTest, TheProgramSteersAsByLeastConnectionsAndCallsItNoFallback) {
  EXPECT_LE(range_of(steer_many(1'600)), 1U);
  EXPECT_EQ(table.program_counters().fallback, 0U);
}

}  // namespace
}  // namespace weir::steering
