// Which slots the real program passes over, for every policy.
#include <string>

#include "group.h"

namespace weir::steering {
namespace {

using namespace std::chrono_literals;

class ProgramHealth : public ::testing::TestWithParam<std::string_view> {
 protected:
  // So long that only a test's own doing makes a worker hung.
  static constexpr Duration kThreshold = 1h;
  static TableOptions options(std::uint32_t slots) {
    return {.slots = slots,
            .policy = *parse_policy(GetParam()),
            .weights = {},
            .hang_threshold = kThreshold};
  }
  static void stop(Group& group, std::uint32_t slot) {
    group.worker(slot).woke(monotonic_now() - kThreshold - 1s);
  }
};

INSTANTIATE_TEST_SUITE_P(EveryPolicy, ProgramHealth, ::testing::ValuesIn(policy_names()),
                         [](const auto& param) {
                           std::string name{param.param};
                           std::erase(name, '-');
                           return name;
                         });

TEST_P(ProgramHealth, HungAndDownSlotsGetNothing) {
  Group group{options(4)};
  stop(group, 1);
  group.table().mark_down(2);
  group.connect_many(200);
  const auto queues = group.queues();
  EXPECT_EQ(queues[1], 0U);
  EXPECT_EQ(queues[2], 0U);
  EXPECT_EQ(queues[0] + queues[3], 200U);
  // source-hash: one client address may have tried neither, so the mark is not asked for.
  if (group.table().policy() != Policy::source_hash) {
    EXPECT_TRUE(group.table().snapshot(1).hung);
    EXPECT_EQ(group.table().program_counters().hung_marked, 1U);
  }
}

TEST_P(ProgramHealth, AWorkerThatWakesGetsConnectionsAgain) {
  Group group{options(2)};
  stop(group, 0);
  stop(group, 1);
  group.connect_many(4);
  group.worker(1).woke(monotonic_now());
  group.connect_many(20);
  EXPECT_GE(group.queues()[1], 20U);
}

TEST_P(ProgramHealth, TheOnlyHealthySlotGetsEverything) {
  Group group{options(20)};
  for (std::uint32_t slot = 0; slot < 20; ++slot) {
    if (slot == 13) continue;
    if (slot % 2 == 0)
      stop(group, slot);
    else
      group.table().mark_down(slot);
  }
  group.connect_many(100);
  EXPECT_EQ(group.queues()[13], 100U);
}

TEST_P(ProgramHealth, WithNoHealthySlotTheLeastLoadedServingOneIsUsed) {
  Group group{options(3)};
  group.table().mark_down(1);
  group.table().mark_down(2);
  group.connect_many(10);
  group.table().mark_serving(1);
  for (std::uint32_t slot = 0; slot < 3; ++slot) stop(group, slot);
  group.connect_many(10);
  EXPECT_EQ(group.queues(), (std::vector<std::uint64_t>{10, 10, 0}));
}

TEST_P(ProgramHealth, WithNoServingSlotTheKernelsHashTakesOver) {
  Group group{options(4)};
  for (std::uint32_t slot = 0; slot < 4; ++slot) group.table().mark_down(slot);
  group.connect_many(100);
  EXPECT_EQ(sum_of(group.queues()), 100U);
  EXPECT_EQ(group.table().program_counters().abstained, 100U);
  EXPECT_EQ(group.table().total(), 0U);
}

}  // namespace
}  // namespace weir::steering
