#include "launch/plan.h"

#include <gtest/gtest.h>

namespace weir::launch {
namespace {

TEST(Capacity, EachWorkerHasItsDescriptorsLessWhatItKeepsForItself) {
  EXPECT_EQ(connection_capacity(20'000, 1, 1), 20'000U - kDescriptorsReserved - 2);
  EXPECT_EQ(connection_capacity(20'000, 4, 2), 4 * (20'000U - kDescriptorsReserved - 4 * 3));
}

TEST(Capacity, ALimitTooLowToServeIsNoCapacityRatherThanAHugeOne) {
  EXPECT_EQ(connection_capacity(kDescriptorsReserved + 2, 1, 1), 0U);
  EXPECT_EQ(connection_capacity(0, 1'024, 1), 0U);
}

TEST(Plan, MoreConnectionsThanDescriptorsIsRefusedWithTheNumbers) {
  cli::Options options;
  options.listen = {{.address = *SocketAddress::parse("127.0.0.1:0")}};
  options.workers = 2;
  options.max_connections = UINT64_MAX / 4;
  const auto plan = make_plan(options);
  ASSERT_FALSE(plan);
  EXPECT_NE(plan.error().what.find("--max-connections 4611686018427387903 needs"),
            std::string::npos)
      << plan.error().what;
  EXPECT_NE(plan.error().remedy.find("ulimit -n"), std::string::npos);
}

TEST(Plan, WorkersAreNotPinnedSeveralToOneCpu) {
  cli::Options options;
  options.listen = {{.address = *SocketAddress::parse("127.0.0.1:0")}};
  options.workers = static_cast<unsigned>(cli::Host::here().cpus.size()) + 1;
  const auto plan = make_plan(options);
  if (!plan) GTEST_SKIP() << to_string(plan.error());
  EXPECT_TRUE(plan->master.cpus.empty());
}

TEST(Plan, AnUnknownUserIsNamed) {
  cli::Options options;
  options.listen = {{.address = *SocketAddress::parse("127.0.0.1:0")}};
  options.user = "no-such-user-here";
  const auto plan = make_plan(options);
  ASSERT_FALSE(plan);
  EXPECT_NE(plan.error().what.find("'no-such-user-here'"), std::string::npos);
}

}  // namespace
}  // namespace weir::launch
