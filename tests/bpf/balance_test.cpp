// How evenly the real program spreads real connections. Measured on the kernel's accept queues and
// on what was accepted, not on the table that the program itself keeps.
#include <sched.h>

#include <random>

#include "group.h"

namespace weir::steering {
namespace {

TEST(Balance, TenThousandConnectionsThatNobodyAcceptsStayWithinOne) {
  Group group{plain(8)};
  for (int i = 1; i <= 10'000; ++i) {
    group.connect();
    if (i % 97 == 0) {
      ASSERT_LE(range_of(group.queues()), 1U) << "after " << i;
    }
  }
  EXPECT_EQ(group.queues(), std::vector<std::uint64_t>(8, 1'250));
  EXPECT_EQ(group.loads(), group.queues());
  EXPECT_EQ(group.table().total(), 10'000U);
}

TEST(Balance, WhileSessionsComeAndEndAtRandomNoSlotIsTwoPercentOverTheMean) {
  Group group{plain(8)};
  std::mt19937 random{7};
  struct Session {
    UniqueFd fd;
    std::uint32_t slot;
  };
  std::vector<Session> sessions;
  std::uint64_t ended = 0;
  // The kernel queues a connection when its client's ACK has come: just after connect() returned.
  const auto truth = [&](std::uint64_t connected) {
    const Instant end = monotonic_now() + std::chrono::seconds{10};
    for (;;) {
      auto counts = group.queues();
      for (const Session& session : sessions) ++counts[session.slot];
      if (sum_of(counts) == connected - ended || monotonic_now() > end) return counts;
    }
  };

  for (int i = 0; i < 10'000; ++i) {
    group.connect();
    // A worker wakes now and then, and takes all that waits for it.
    const auto awake = static_cast<std::uint32_t>(random() % 16);
    if (awake < 8)
      while (UniqueFd fd = group.accept(awake)) sessions.push_back({std::move(fd), awake});
    // A session of random age ends; its client notices when the test is over.
    if (sessions.size() > 3'000) {
      std::swap(sessions[random() % sessions.size()], sessions.back());
      group.worker(sessions.back().slot).ended();
      sessions.pop_back();
      ++ended;
    }
    if (i % 101 == 0 && sessions.size() >= 3'000) {
      const auto counts = truth(static_cast<std::uint64_t>(i) + 1);
      const double mean = static_cast<double>(sum_of(counts)) / 8;
      ASSERT_LE(static_cast<double>(*std::max_element(counts.begin(), counts.end())), 1.02 * mean)
          << "after " << i;
      ASSERT_EQ(counts, group.loads()) << "the table says otherwise";
    }
    if (group.clients().size() > 6'000)  // those whose session is long over, mostly
      group.clients().erase(group.clients().begin(), group.clients().begin() + 1'000);
  }
  EXPECT_GE(sessions.size(), 3'000U);
}

TEST(Balance, RoundRobinStaysWithinOne) {
  Group group{plain(7, Policy::round_robin)};
  for (int i = 1; i <= 1'000; ++i) {
    group.connect();
    if (i % 50 == 0) {
      ASSERT_LE(range_of(group.queues()), 1U) << "after " << i;
    }
  }
}

TEST(Balance, TwoChoicesKeepsTheLongestNearTheMean) {
  Group group{plain(16, Policy::two_choices)};
  group.connect_many(3'200);
  const auto queues = group.queues();
  EXPECT_LE(*std::max_element(queues.begin(), queues.end()), 200U + 6);
}

TEST(Balance, WeightsGetTheirSharesToOnePercentagePoint) {
  const std::vector<std::uint32_t> weights{8, 4, 2, 1, 1};
  for (const Policy policy : {Policy::least_connections, Policy::weighted_round_robin}) {
    Group group{{.slots = 5, .policy = policy, .weights = weights, .hang_threshold = {}}};
    group.connect_many(4'000);
    const auto queues = group.queues();
    for (std::size_t slot = 0; slot < weights.size(); ++slot)
      EXPECT_NEAR(static_cast<double>(queues[slot]) / 4'000, weights[slot] / 16.0, 0.01)
          << to_string(policy) << ", slot " << slot;
  }
}

TEST(Balance, AThousandAndTwentyFourSlotsAreSteered) {
  for (const Policy policy : {Policy::least_connections, Policy::least_load, Policy::predictive}) {
    Group group{plain(1024, policy)};
    group.table().publish_biases(monotonic_now() + std::chrono::minutes{1}, {});
    group.connect_many(2'048);
    EXPECT_EQ(group.queues(), std::vector<std::uint64_t>(1024, 2)) << to_string(policy);
  }
}

TEST(Balance, BiasesAreAddedToWhatIsCounted) {
  for (const Policy policy : {Policy::least_load, Policy::predictive}) {
    Group group{plain(4, policy)};
    group.table().publish_biases(monotonic_now(), std::vector<double>{0, 30, 10, 20});
    group.connect_many(340);
    EXPECT_EQ(group.queues(), (std::vector<std::uint64_t>{100, 70, 90, 80})) << to_string(policy);
    EXPECT_EQ(group.table().program_counters().fallback, 0U);
  }
}

TEST(Balance, CpuLocalTakesTheWorkerOfTheCpuUpToItsShareAndAQuarter) {
  // On the loopback the SYN is taken where connect() is called.
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  const int here = ::sched_getcpu();
  ASSERT_GE(here, 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<unsigned>(here), &one);
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);

  TableOptions options = plain(4, Policy::cpu_local);
  options.cpus = {here + 1, here + 2, here, here + 3};
  Group group{options};
  group.connect_many(400);
  const auto queues = group.queues();
  EXPECT_NEAR(static_cast<double>(queues[2]), 125, 1);
  EXPECT_EQ(sum_of(queues), 400U);
  EXPECT_LE(range_of({queues[0], queues[1], queues[3]}), 1U);
  EXPECT_EQ(::sched_setaffinity(0, sizeof before, &before), 0);
}

TEST(Balance, SeveralAddressesShareOneTable) {
  Group group{plain(4), {"127.0.0.1:0", "127.0.0.2:0", "[::1]:0"}};
  group.connect_many(101, 0);
  group.connect_many(202, 1);
  group.connect_many(97, 2);
  EXPECT_EQ(group.queues(), std::vector<std::uint64_t>(4, 100));
}

TEST(Balance, APolicyChangeActsOnTheNextConnection) {
  Group group{plain(4)};
  group.table().mark_down(3);
  group.connect_many(30);
  group.table().mark_serving(3);
  group.connect();
  EXPECT_EQ(group.queues(), (std::vector<std::uint64_t>{10, 10, 10, 1}));
  group.table().set_policy(Policy::round_robin);
  group.connect_many(4);
  EXPECT_EQ(group.queues(), (std::vector<std::uint64_t>{11, 11, 11, 2}));
  group.table().set_policy(Policy::least_connections);
  group.connect_many(9);
  EXPECT_EQ(group.queues(), (std::vector<std::uint64_t>{11, 11, 11, 11}));
}

}  // namespace
}  // namespace weir::steering
