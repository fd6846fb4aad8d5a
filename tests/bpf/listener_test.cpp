// Addresses and listeners: both families, client hashing, listeners closed under the program.
#include <sys/time.h>

#include <set>

#include "group.h"

namespace weir::steering {
namespace {

/// The slot whose queue grew since `before`.
std::uint32_t grown(Group& group, const std::vector<std::uint64_t>& before) {
  const auto after = group.queues();
  for (std::uint32_t slot = 0; slot < after.size(); ++slot)
    if (after[slot] > before[slot]) return slot;
  return WEIR_SLOTS_MAX;
}

std::uint32_t connect_from(Group& group, const std::string& from) {
  const auto before = group.queues();
  group.connect(0, from.c_str());
  return grown(group, before);
}

TEST(Listener, IPv6IsSteeredLikeIPv4) {
  Group group{plain(4), {"[::1]:0"}};
  group.connect_many(400);
  EXPECT_EQ(group.queues(), std::vector<std::uint64_t>(4, 100));
}

TEST(Listener, BySourceAClientAddressKeepsItsSlot) {
  Group group{plain(16, Policy::source_hash)};
  std::set<std::uint32_t> slots_used;
  for (int client = 1; client <= 60; ++client) {
    const std::string from = "127.0.1." + std::to_string(client) + ":0";
    const std::uint32_t slot = connect_from(group, from);
    for (int again = 0; again < 3; ++again) EXPECT_EQ(connect_from(group, from), slot) << from;
    slots_used.insert(slot);
  }
  EXPECT_GE(slots_used.size(), 12U);  // of 16; 60 clients miss more than four in 1 of 10^8 runs
  EXPECT_EQ(group.table().program_counters().fallback, 0U);
}

TEST(Listener, BySourceIPv6AddressesAreReadToo) {
  Group group{plain(16, Policy::source_hash), {"[::1]:0"}};
  group.connect_many(50);
  const auto queues = group.queues();
  EXPECT_EQ(*std::max_element(queues.begin(), queues.end()), 50U);  // one client, one slot
  EXPECT_EQ(group.table().program_counters().fallback, 0U);
}

TEST(Listener, ByTupleThePortSpreadsOneClient) {
  for (const std::string address : {"127.0.0.1:0", "[::1]:0"}) {
    Group group{plain(8, Policy::tuple_hash), {address}};
    group.connect_many(800);
    for (const std::uint64_t queue : group.queues())
      EXPECT_NEAR(static_cast<double>(queue), 100, 60);  // six standard deviations
    EXPECT_EQ(group.table().program_counters().fallback, 0U);
  }
}

/// Accepts all that waits anywhere and checks that every client has a peer that answers.
void expect_all_alive(Group& group) {
  std::vector<UniqueFd> served;
  for (std::uint32_t slot = 0; slot < group.slots(); ++slot)
    while (UniqueFd fd = group.accept(slot)) {
      EXPECT_EQ(::send(fd.get(), "!", 1, MSG_NOSIGNAL), 1);
      served.push_back(std::move(fd));
    }
  EXPECT_EQ(served.size(), group.clients().size());
  for (const UniqueFd& client : group.clients()) {
    const timeval patience{.tv_sec = 5, .tv_usec = 0};
    must(::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience),
         "RCVTIMEO");
    char byte = 0;
    ASSERT_EQ(::recv(client.get(), &byte, 1, 0), 1) << std::strerror(errno);
  }
}

class ListenerClosed : public ::testing::TestWithParam<std::string_view> {};
INSTANTIATE_TEST_SUITE_P(EveryPolicy, ListenerClosed, ::testing::ValuesIn(policy_names()),
                         [](const auto& param) {
                           std::string name{param.param};
                           std::erase(name, '-');
                           return name;
                         });

TEST_P(ListenerClosed, LosesNoQueuedConnection) {
  Group group{plain(4)};
  group.connect_many(400);
  group.table().set_policy(*parse_policy(GetParam()));
  group.table().mark_down(1);
  group.close_listener(1);
  EXPECT_EQ(sum_of(group.queues()), 400U);
  EXPECT_EQ(group.table().program_counters().migrated, 100U);
  EXPECT_EQ(group.table().total(), 400U);  // a move is no new connection
  expect_all_alive(group);
}

TEST_P(ListenerClosed, LosesNoneEvenWhenTheTableStillOffersIt) {
  Group group{plain(4)};
  group.connect_many(100);
  group.table().set_policy(*parse_policy(GetParam()));
  group.close_listener(1);
  group.connect_many(
      300);  // some are given a slot without a listener: the kernel's hash places them
  EXPECT_EQ(sum_of(group.queues()), 400U);
  expect_all_alive(group);
}

TEST_P(ListenerClosed, LosesNoQueuedConnectionWhenItIsShutAndStaysOpenSomewhere) {
  Group group{plain(4)};
  group.connect_many(400);
  group.table().set_policy(*parse_policy(GetParam()));
  group.table().mark_down(1);
  group.shut_listener(1);
  EXPECT_EQ(sum_of(group.queues()), 400U);
  EXPECT_EQ(group.queues()[1], 0U);
  EXPECT_EQ(group.table().program_counters().migrated, 100U);
  group.connect_many(100);
  EXPECT_EQ(group.table().program_counters().select_failed, 0U);
  expect_all_alive(group);
}

TEST_P(ListenerClosed, SlotsThatComeAreSteeredToAndMayComeAgain) {
  Group group{plain(2)};
  group.table().set_policy(*parse_policy(GetParam()));
  for (int round = 0; round < 3; ++round) {
    group.grow(6);
    group.connect_many(60);
    for (std::uint32_t slot = 2; slot < 6; ++slot) {
      group.table().mark_down(slot);
      group.shut_listener(slot);
      group.close_listener(slot);
    }
    group.steering().set_slots(2);
    group.forget_listeners(2);
  }
  EXPECT_EQ(group.table().slots(), 2U);
  EXPECT_EQ(sum_of(group.queues()), 180U);
  EXPECT_EQ(group.table().program_counters().select_failed, 0U);
  expect_all_alive(group);
}

TEST(Listener, ASlotWithoutListenerIsNotChargedForWhatItCannotTake) {
  Group group{plain(2)};
  group.close_listener(1);
  group.connect_many(50);
  EXPECT_EQ(group.table().snapshot(1).load, 0U);
  EXPECT_EQ(group.table().snapshot(1).assigned, 0U);
  const auto counters = group.table().program_counters();
  EXPECT_GE(counters.select_failed, 1U);
  EXPECT_EQ(group.table().total() + counters.select_failed, 50U);
}

TEST(Listener, MisuseIsReported) {
  auto steering = Steering::create({.backend = BackendChoice::ebpf, .table = plain(2)});
  ASSERT_TRUE(steering);
  const UniqueFd one = client_socket(AF_INET);
  const UniqueFd two = client_socket(AF_INET);
  const int neither_listens[] = {one.get(), two.get()};
  EXPECT_FALSE(steering->attach(0, neither_listens));
  EXPECT_FALSE(steering->attach(1, neither_listens));  // no such address
  EXPECT_FALSE(steering->attach(0, std::span<const int>{neither_listens, 1}));
}

}  // namespace
}  // namespace weir::steering
