// Where a session is to be answered, and when it is not to go there after all.
#include "server/key_placer.h"

#include <gtest/gtest.h>

#include "weir/steering/load_table.h"

namespace weir::server {
namespace {

using session::Placement;
using steering::Policy;
using Kind = Placement::Kind;

class KeyPlacerTest : public testing::Test {
 protected:
  static constexpr std::uint32_t kSlots = 4;
  static constexpr Instant kNow{std::chrono::seconds{1'000}};

  void SetUp() override {
    table_.configure({.slots = kSlots, .policy = Policy::uri_hash, .weights = {}});
    table_.raw().config.hash_key[0] = table_.raw().config.hash_key[1] = 1;  // drawn anew otherwise
    for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
      table_.mark_serving(slot);
      table_.raw().row[slot].awake_at_ns = to_ns(kNow);
      table_.raw().owner[slot] = steering::Tenure{.pid = 100, .bank = 1}.word();
    }
  }

  Placement place(std::optional<std::string_view> key) {
    wire::UpgradeRequest request{};
    request.hashed_on = key;
    return placer_.place(request, kNow);
  }
  /// A key of another slot's, and whose.
  std::string foreign_key() {
    for (int i = 0;; ++i)
      if (std::string key = "/" + std::to_string(i); place(key).kind == Kind::there) return key;
  }

  steering::LoadTable table_ = steering::LoadTable::in_shared_memory().value();
  steering::WorkerSlot slot_{table_.raw(), 0, steering::WorkerSlot::Counting::by_program};
  KeyPlacer placer_{slot_, steering::KeyOwners{table_.raw(), 1}, {.in_all = 108, .each_slot = 2}};
};

TEST_F(KeyPlacerTest, EveryKeyHasItsSlotAndOursStayHere) {
  std::vector<int> found(kSlots);
  for (int i = 0; i < 400; ++i) {
    const Placement placement = place("/" + std::to_string(i));
    EXPECT_TRUE(placement.kind == Kind::there ? placement.slot != 0 : placement.kind == Kind::here);
    ++found.at(placement.kind == Kind::there ? placement.slot : 0);
  }
  for (const int keys : found) EXPECT_NEAR(keys, 100, 40);
  EXPECT_EQ(place(std::nullopt).kind, Kind::no_key);
}

TEST_F(KeyPlacerTest, UnderAnotherPolicyAllStayHereAndLackNothing) {
  const std::string key = foreign_key();
  table_.set_policy(Policy::source_hash);
  EXPECT_EQ(place(key).kind, Kind::here);
  EXPECT_EQ(place(std::nullopt).kind, Kind::here);
}

TEST_F(KeyPlacerTest, WhereNobodyServesItStaysHere) {
  const std::string key = foreign_key();
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) table_.mark_down(slot);
  EXPECT_EQ(place(key).kind, Kind::here);
}

TEST_F(KeyPlacerTest, OfAnotherMastersWorkerItStaysUntilOurSlotIsHandedOver) {
  const std::string key = foreign_key();
  table_.raw().owner[place(key).slot] = steering::Tenure{.pid = 200, .bank = 0}.word();
  EXPECT_EQ(place(key).kind, Kind::stays);
  slot_.let_go();
  EXPECT_EQ(place(key).kind, Kind::there) << "in parcels that both read";
}

TEST_F(KeyPlacerTest, AFullWorkerIsGivenNoMore) {
  const std::string key = foreign_key();
  const std::uint32_t owner = place(key).slot;
  table_.correct_slot(owner, 99);  // of 108 descriptors less 2 a slot
  EXPECT_EQ(place(key).kind, Kind::there);
  table_.correct_slot(owner, 1);
  EXPECT_EQ(place(key).kind, Kind::stays);
}

}  // namespace
}  // namespace weir::server
