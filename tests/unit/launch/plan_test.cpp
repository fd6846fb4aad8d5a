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

/// Flags with one listen address, and a host of three CPUs.
cli::Options plain_options() {
  cli::Options options;
  options.listen = {{.address = *SocketAddress::parse("127.0.0.1:0")}};
  return options;
}
cli::Host three_cpus() {
  return {.cpus = {2, 4, 6}, .default_control = ""};
}

TEST(Staffing, TheConnectionLimitFollowsTheWorkersUnlessItWasGiven) {
  cli::Options options = plain_options();
  for (const std::uint32_t workers : {1U, 2U, 8U}) {
    const auto staffing = staffing_for(options, three_cpus(), 1'000, workers);
    ASSERT_TRUE(staffing);
    EXPECT_EQ(staffing->max_connections, connection_capacity(1'000, workers, 1));
  }
  options.max_connections = 1'500;
  EXPECT_EQ(staffing_for(options, three_cpus(), 1'000, 2)->max_connections, 1'500U);
  EXPECT_EQ(staffing_for(options, three_cpus(), 1'000, 8)->max_connections, 1'500U);
  const auto too_few = staffing_for(options, three_cpus(), 1'000, 1);
  ASSERT_FALSE(too_few);
  EXPECT_EQ(too_few.error().what,
            "--max-connections 1500 needs 1534 descriptors a process, and the limit is 1000");
}

TEST(Staffing, EachHasACpuOfItsOwnWhileThereAreEnough) {
  cli::Options options = plain_options();
  EXPECT_EQ(staffing_for(options, three_cpus(), 1'000, 2)->cpus, (std::vector<int>{2, 4}));
  EXPECT_EQ(staffing_for(options, three_cpus(), 1'000, 3)->cpus, (std::vector<int>{2, 4, 6}));
  EXPECT_EQ(staffing_for(options, three_cpus(), 1'000, 4)->cpus, std::vector<int>{});
  options.pin = cli::Pin::list;
  options.pin_cpus = {6, 6};
  EXPECT_EQ(staffing_for(options, three_cpus(), 1'000, 2)->cpus, (std::vector<int>{6, 6}));
  const auto too_short = staffing_for(options, three_cpus(), 1'000, 3);
  ASSERT_FALSE(too_short);
  EXPECT_EQ(too_short.error().what, "--pin names 2 CPUs for 3 workers");
}

TEST(Staffing, MoreThanTheMastersDescriptorsIsRefused) {
  const auto too_many = staffing_for(plain_options(), three_cpus(), 120, 40);
  ASSERT_FALSE(too_many);
  EXPECT_EQ(too_many.error().what,
            "--workers 40 needs 312 descriptors a process, and the limit is 120");
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
