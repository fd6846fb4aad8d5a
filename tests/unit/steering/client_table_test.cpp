// The clients' accounts: what a worker admits, what the program's look says of the same, and that
// nothing stays counted.
#include "weir/steering/client_table.h"

#include <netinet/in.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "table_fixture.h"

namespace weir::steering {
namespace {

constexpr std::uint32_t kPlaces = 64;
constexpr std::uint64_t kSecond = 1'000'000'000;

SocketAddress client(const std::string& host) {
  return *SocketAddress::parse(host + ":4711");
}

class ClientTableTest : public TableTest {
 protected:
  void limit(const ClientLimits& limits, std::uint32_t sets = 64) {
    accounts.emplace(ClientTable::in_shared_memory(sets, 2, kPlaces).value());
    configure({.slots = 2, .weights = {}, .clients = limits, .client_sets = sets});
  }
  ClientDesk desk(std::uint32_t slot = 0, std::uint32_t bank = 0) {
    return {raw, *accounts, slot, bank};
  }
  Verdict admit(std::uint32_t place, const std::string& host, std::uint32_t slot = 0) {
    return desk(slot).admit(place, client(host), Instant{Duration{now}});
  }
  /// What the steering program would say to a SYN of `host`.
  Verdict look(const std::string& host) {
    weir_syn made = syn();
    in6_addr bytes{};
    if (const SocketAddress from = client(host); from.is_ipv6()) {
      bytes = reinterpret_cast<const sockaddr_in6*>(from.data())->sin6_addr;
    } else {
      bytes.s6_addr[10] = bytes.s6_addr[11] = 0xff;
      std::memcpy(&bytes.s6_addr[12], &reinterpret_cast<const sockaddr_in*>(from.data())->sin_addr,
                  4);
    }
    std::memcpy(made.address, &bytes, sizeof made.address);
    const weir_client_id id = weir_client_of(&raw, made.address);
    return static_cast<Verdict>(weir_client_look(&raw, &accounts->sets()[id.set], id.tag, now));
  }
  std::uint64_t open_in_all() {
    std::uint64_t sum = 0;
    for (std::uint32_t set = 0; set <= accounts->set_mask(); ++set)
      for (const weir_client& way : accounts->sets()[set].way)
        sum += way.account & WEIR_CLIENT_OPEN_MASK;
    return sum;
  }

  std::optional<ClientTable> accounts;
};

TEST_F(ClientTableTest, NobodyIsCountedWhileThereIsNoLimit) {
  limit({});
  EXPECT_FALSE(desk().on());
  EXPECT_EQ(admit(0, "192.0.2.1"), Verdict::admitted);
  EXPECT_EQ(open_in_all(), 0U);
}

TEST_F(ClientTableTest, AClientHasAsManyAsItMayOverAllWorkers) {
  limit({.open_max = 3});
  EXPECT_EQ(admit(0, "192.0.2.1", 0), Verdict::admitted);
  EXPECT_EQ(admit(0, "192.0.2.1", 1), Verdict::admitted);
  EXPECT_EQ(look("192.0.2.1"), Verdict::admitted);
  EXPECT_EQ(admit(1, "192.0.2.1", 1), Verdict::admitted);
  EXPECT_EQ(look("192.0.2.1"), Verdict::too_many);
  EXPECT_EQ(admit(1, "192.0.2.1", 0), Verdict::too_many);
  EXPECT_EQ(raw.row[0].clients_too_many, 1U);
  EXPECT_EQ(open_in_all(), 3U) << "the refused one is not counted";

  EXPECT_EQ(look("192.0.2.2"), Verdict::admitted) << "another client's affair";
  EXPECT_EQ(admit(2, "192.0.2.2"), Verdict::admitted);
}

TEST_F(ClientTableTest, WhatComesFromAnotherWorkerIsCountedAndNeitherRefusedNorPaidForAgain) {
  limit({.open_max = 2, .rate = 1, .burst = 2});
  EXPECT_EQ(admit(0, "192.0.2.1", 0), Verdict::admitted);
  EXPECT_EQ(admit(1, "192.0.2.1", 0), Verdict::admitted);
  EXPECT_EQ(look("192.0.2.1"), Verdict::too_many);
  for (const std::uint32_t place : {0U, 1U}) {
    desk(0).leave(place);
    desk(1).take_over(place, client("192.0.2.1"), Instant{Duration{now}});
  }
  EXPECT_EQ(open_in_all(), 2U);
  EXPECT_EQ(raw.row[1].clients_too_fast + raw.row[1].clients_too_many, 0U);
  desk(1).take_over(2, client("192.0.2.1"), Instant{Duration{now}});
  EXPECT_EQ(open_in_all(), 3U) << "more than it may have, should the limit have been lowered";
  for (const std::uint32_t place : {0U, 1U, 2U}) desk(1).leave(place);
  EXPECT_EQ(open_in_all(), 0U);
  EXPECT_EQ(admit(0, "192.0.2.1", 0), Verdict::too_fast) << "two are paid for, as two were made";
  now += 1'000'000'000;
  EXPECT_EQ(admit(0, "192.0.2.1", 0), Verdict::admitted);
}

TEST_F(ClientTableTest, WhatEndsMakesRoomOnceOnly) {
  limit({.open_max = 1});
  EXPECT_EQ(admit(5, "192.0.2.1"), Verdict::admitted);
  desk().leave(5);
  desk().leave(5);
  desk().leave(6);
  EXPECT_EQ(open_in_all(), 0U);
  EXPECT_EQ(look("192.0.2.1"), Verdict::admitted);
  EXPECT_EQ(admit(5, "192.0.2.1"), Verdict::admitted);
  EXPECT_EQ(admit(6, "192.0.2.1"), Verdict::too_many);
  desk().leave(6);
  EXPECT_EQ(open_in_all(), 1U) << "a refused connection has nothing to take back";
}

TEST_F(ClientTableTest, AnIPv6ClientIsItsSlash64AndIPv4IsTheSameMapped) {
  limit({.open_max = 1});
  EXPECT_EQ(admit(0, "[2001:db8:1:2::1]"), Verdict::admitted);
  EXPECT_EQ(look("[2001:db8:1:2:ffff::9]"), Verdict::too_many);
  EXPECT_EQ(admit(1, "[2001:db8:1:2:ffff::9]"), Verdict::too_many);
  EXPECT_EQ(look("[2001:db8:1:3::1]"), Verdict::admitted);

  EXPECT_EQ(admit(2, "192.0.2.1"), Verdict::admitted);
  EXPECT_EQ(admit(3, "[::ffff:192.0.2.1]"), Verdict::too_many);
  EXPECT_EQ(admit(4, "[::ffff:192.0.2.2]"), Verdict::admitted);
}

TEST_F(ClientTableTest, TheRateAllowsABurstAndThenOneAnInterval) {
  limit({.rate = 10, .burst = 3});
  for (std::uint32_t place = 0; place < 3; ++place)
    EXPECT_EQ(admit(place, "192.0.2.1"), Verdict::admitted);
  EXPECT_EQ(look("192.0.2.1"), Verdict::too_fast);
  EXPECT_EQ(admit(3, "192.0.2.1"), Verdict::too_fast);
  EXPECT_EQ(raw.row[0].clients_too_fast, 1U);

  now += kSecond / 10 - 1;
  EXPECT_EQ(look("192.0.2.1"), Verdict::too_fast);
  now += 1;
  EXPECT_EQ(look("192.0.2.1"), Verdict::admitted);
  EXPECT_EQ(admit(3, "192.0.2.1"), Verdict::admitted);
  EXPECT_EQ(admit(4, "192.0.2.1"), Verdict::too_fast) << "a refused one costs no token";

  now += 10 * kSecond;  // the bucket fills up to the burst and no further
  for (std::uint32_t place = 4; place < 7; ++place)
    EXPECT_EQ(admit(place, "192.0.2.1"), Verdict::admitted);
  EXPECT_EQ(admit(7, "192.0.2.1"), Verdict::too_fast);
}

TEST_F(ClientTableTest, WithoutABurstTheRateIsItsOwn) {
  limit({.rate = 5});
  for (std::uint32_t place = 0; place < 5; ++place)
    EXPECT_EQ(admit(place, "192.0.2.1"), Verdict::admitted);
  EXPECT_EQ(admit(5, "192.0.2.1"), Verdict::too_fast);
}

TEST_F(ClientTableTest, AnAccountIsKeptUntilItIsEmptyAndPaidFor) {
  limit({.open_max = 10, .rate = 1, .burst = 1}, 1);  // one set: eight ways
  for (std::uint32_t i = 0; i < WEIR_CLIENT_WAYS; ++i)
    EXPECT_EQ(admit(i, "192.0.2." + std::to_string(i)), Verdict::admitted);
  EXPECT_EQ(admit(20, "198.51.100.1"), Verdict::admitted);
  EXPECT_EQ(raw.row[0].clients_untracked, 1U) << "no way is free";
  desk().leave(20);
  EXPECT_EQ(open_in_all(), WEIR_CLIENT_WAYS);

  desk().leave(3);  // empty, but not paid for: it could come back at once otherwise
  EXPECT_EQ(admit(20, "198.51.100.1"), Verdict::admitted);
  EXPECT_EQ(raw.row[0].clients_untracked, 2U);
  EXPECT_EQ(look("192.0.2.3"), Verdict::too_fast);

  now += kSecond;
  EXPECT_EQ(admit(20, "198.51.100.1"), Verdict::admitted);
  EXPECT_EQ(raw.row[0].clients_untracked, 2U) << "it has the way of 192.0.2.3 now";
  EXPECT_EQ(open_in_all(), WEIR_CLIENT_WAYS);
}

TEST_F(ClientTableTest, APlaceBeyondTheNotesIsTakenUntracked) {
  limit({.open_max = 1});
  EXPECT_EQ(admit(kPlaces, "192.0.2.1"), Verdict::admitted);
  EXPECT_EQ(raw.row[0].clients_untracked, 1U);
  desk().leave(kPlaces);
  EXPECT_EQ(open_in_all(), 0U);
}

TEST_F(ClientTableTest, ADeadWorkersConnectionsAreForgottenAndNobodyElses) {
  limit({.open_max = 4});
  admit(0, "192.0.2.1", 0);
  admit(1, "192.0.2.1", 0);
  admit(0, "192.0.2.1", 1);
  admit(7, "192.0.2.9", 0);
  accounts->forget(0, 0);
  EXPECT_EQ(open_in_all(), 1U);
  accounts->forget(0, 0);
  EXPECT_EQ(open_in_all(), 1U);
  for (std::uint32_t place = 2; place < 5; ++place)
    EXPECT_EQ(admit(place, "192.0.2.1", 0), Verdict::admitted);
  EXPECT_EQ(admit(5, "192.0.2.1", 0), Verdict::too_many);
}

TEST_F(ClientTableTest, TheTwoBanksOfASlotAreForgottenEachByItself) {
  limit({.open_max = 4});
  admit(0, "192.0.2.1");
  const Instant at{Duration{now}};
  EXPECT_EQ(desk(0, 1).admit(0, client("192.0.2.1"), at), Verdict::admitted);
  EXPECT_EQ(desk(0, 1).admit(kPlaces - 1, client("192.0.2.1"), at), Verdict::admitted);
  EXPECT_EQ(open_in_all(), 3U);
  accounts->forget(0, 0);
  EXPECT_EQ(open_in_all(), 2U);
  accounts->forget(0, 1);
  EXPECT_EQ(open_in_all(), 0U);
}

TEST_F(ClientTableTest, NotesOfMoreSlotsLeaveThoseThatThereAreWhereTheyAre) {
  limit({.open_max = 4});
  ClientDesk before = desk(1);
  const std::uint32_t* const where = accounts->notes(1, 0).data();
  admit(0, "192.0.2.1", 1);
  for (const std::uint32_t slots : {3U, 3U, 64U, 5U}) ASSERT_TRUE(accounts->grow(slots));
  EXPECT_EQ(accounts->notes(1, 0).data(), where);
  EXPECT_EQ(admit(kPlaces - 1, "192.0.2.1", 2), Verdict::admitted);
  EXPECT_EQ(admit(kPlaces - 1, "192.0.2.1", 63), Verdict::admitted);
  EXPECT_EQ(open_in_all(), 3U);
  before.leave(0);
  EXPECT_EQ(open_in_all(), 2U);
  accounts->forget(63, 0);
  EXPECT_EQ(open_in_all(), 1U);
  accounts->forget(2, 0);
  EXPECT_EQ(open_in_all(), 0U);
}

TEST_F(ClientTableTest, WhoeverMapsTheFileFindsTheNotesBySlotAndBank) {
  limit({.open_max = 4});
  ASSERT_TRUE(accounts->grow(3));
  ASSERT_EQ(desk(2, 1).admit(5, client("192.0.2.1"), Instant{Duration{now}}), Verdict::admitted);
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));  // more than two banks here
  std::uint32_t note = 0;
  const std::size_t at = 2 * page + (kPlaces + 5) * sizeof note;
  ASSERT_EQ(::pread(accounts->notes_fd(), &note, sizeof note, static_cast<off_t>(at)),
            static_cast<ssize_t>(sizeof note));
  EXPECT_EQ(note, accounts->notes(2, 1)[5]);
  EXPECT_NE(note, 0U);
}

TEST_F(ClientTableTest, LimitsChangeWhileRunning) {
  limit({.open_max = 1});
  admit(0, "192.0.2.1");
  EXPECT_EQ(look("192.0.2.1"), Verdict::too_many);
  table.set_client_limits({.open_max = 2});
  EXPECT_EQ(look("192.0.2.1"), Verdict::admitted);
  table.set_client_limits({});
  EXPECT_EQ(admit(1, "192.0.2.1"), Verdict::admitted);
  EXPECT_EQ(open_in_all(), 1U);
}

TEST_F(ClientTableTest, WhatWasPaidAheadAtAnotherRateCanBeForgiven) {
  limit({.rate = 1, .burst = 30});
  for (std::uint32_t place = 0; place < 30; ++place)
    ASSERT_EQ(admit(place, "192.0.2.1"), Verdict::admitted);
  ASSERT_EQ(admit(30, "192.0.2.1"), Verdict::too_fast);
  table.set_client_limits({.rate = 100, .burst = 2});
  EXPECT_EQ(look("192.0.2.1"), Verdict::too_fast) << "half a minute ahead, where 20 ms are let";
  accounts->forgive(Instant{Duration{now}});
  EXPECT_EQ(admit(31, "192.0.2.1"), Verdict::admitted);
  EXPECT_EQ(admit(32, "192.0.2.1"), Verdict::admitted);
  EXPECT_EQ(admit(33, "192.0.2.1"), Verdict::too_fast);
  EXPECT_EQ(open_in_all(), 32U) << "nobody's connections are forgotten";
}

TEST_F(ClientTableTest, TwoWorkersAtOnceNeverPassTheLimitAndLoseNothing) {
  limit({.open_max = 8});
  constexpr int kRounds = 20'000;
  const auto work = [this](std::uint32_t slot) {
    ClientDesk own = desk(slot);
    for (int round = 0; round < kRounds; ++round) {
      std::uint32_t held = 0;
      for (; held < 8; ++held)
        if (own.admit(held, client("192.0.2.1"), Instant{Duration{now}}) != Verdict::admitted)
          break;
      EXPECT_LE(open_in_all(), 9U);  // one may be on its way to being refused
      while (held > 0) own.leave(--held);
    }
  };
  std::thread other{work, 1};
  work(0);
  other.join();
  EXPECT_EQ(open_in_all(), 0U);
}

TEST(ClientSets, AreTwiceTheWaysThatTheConnectionsNeed) {
  EXPECT_EQ(client_sets_for({}, 1'000'000), 8'192U) << "1 MiB, for limits that come later";
  EXPECT_EQ(client_sets_for({.open_max = 1}, 10), 1'024U);
  EXPECT_EQ(client_sets_for({.rate = 1}, 40'000), 16'384U);
  EXPECT_EQ(client_sets_for({.open_max = 1}, 1'000'000'000), WEIR_CLIENT_SETS_MAX);
}

}  // namespace
}  // namespace weir::steering
