// Sessions that go to another worker in their opening: what they bring, where they are answered,
// and what is counted.
#include <fmt/format.h>

#include "../wire/bytes.h"
#include "two_workers.h"

namespace weir::session {
namespace {

class PlacingTest : public TwoWorkersTest {
 protected:
  /// Has every session answered where it is told to, and notes what it was asked.
  class Signpost final : public Placer {
   public:
    Placement place(const wire::UpgradeRequest& request, Instant) noexcept override {
      asked.emplace_back(request.target);
      return answer;
    }
    Placement answer{.kind = Placement::Kind::there, .slot = 1};
    std::vector<std::string> asked;
  };
  class CountingGate final : public Gate {
   public:
    bool asks() const noexcept override { return true; }
    bool admit(std::uint32_t place, const SocketAddress& client, Instant) noexcept override {
      said.push_back(fmt::format("admit {} {}", place, client.to_string()));
      return true;
    }
    void take_over(std::uint32_t place, const SocketAddress& client, Instant) noexcept override {
      said.push_back(fmt::format("take over {} {}", place, client.to_string()));
    }
    void left(std::uint32_t place) noexcept override {
      said.push_back(fmt::format("left {}", place));
    }
    std::vector<std::string> said;
  };

  void SetUp() override {
    TwoWorkersTest::SetUp();
    if (IsSkipped()) return;
    sessions_->place_by(here_);
    sessions2_->place_by(there_);
  }

  static constexpr std::string_view kSwitching = "HTTP/1.1 101";
  static constexpr std::size_t kResponseBytes = 129;

  void expect_answered_there(const UniqueFd& peer) {
    EXPECT_EQ(read_both(peer, kResponseBytes).substr(0, 12), kSwitching);
    EXPECT_EQ(sessions_->count(), 0U);
    EXPECT_EQ(sessions2_->open_count(), 1U);
    EXPECT_EQ(handler_.opened, 0);
    EXPECT_EQ(handler2_.opened, 1);
    EXPECT_EQ(sessions_->traffic().hash_moved, 1U);
    EXPECT_EQ(sessions_->traffic().hash_stayed, 0U);
    EXPECT_EQ(sessions_->traffic().left, 1U);
    EXPECT_EQ(sessions_->traffic().ended, 0U);
    EXPECT_EQ(sessions_->traffic().upgraded, 0U);
    EXPECT_EQ(sessions2_->traffic().arrived, 1U);
    EXPECT_EQ(sessions2_->traffic().upgraded, 1U);
  }
  void expect_answered_here(const UniqueFd& peer) {
    EXPECT_EQ(read_both(peer, kResponseBytes).substr(0, 12), kSwitching);
    EXPECT_EQ(sessions_->open_count(), 1U);
    EXPECT_EQ(sessions2_->count(), 0U);
    EXPECT_EQ(handler_.opened, 1);
    EXPECT_EQ(sessions_->traffic().upgraded, 1U);
    EXPECT_EQ(sessions_->traffic().hash_moved, 0U);
    EXPECT_EQ(sessions_->traffic().left, 0U);
    write(peer, frame(0x81, "here"));
    EXPECT_EQ(read_both(peer, 6), "\x81\x04here");
  }

  Signpost here_;
  Signpost there_;
};

TEST_F(PlacingTest, ARequestIsAnsweredByTheWorkerThatItIsFor) {
  const UniqueFd peer = connect();
  write(peer, kUpgrade);
  expect_answered_there(peer);
  EXPECT_EQ(here_.asked, std::vector<std::string>{"/chat"});
  EXPECT_TRUE(there_.asked.empty()) << "it moves once";
  write(peer, frame(0x81, "hello"));
  EXPECT_EQ(read_both(peer, 7), "\x81\x05hello");
}

TEST_F(PlacingTest, TheParcelHasTheRequestAndWhatCameBehindIt) {
  const UniqueFd peer = connect();
  now_ += milliseconds{1'500};
  const std::string bytes = std::string{kUpgrade} + frame(0x81, "one");
  write(peer, bytes);
  turn_until([&] { return !under_way_.empty(); });
  const auto parcel = unpack(under_way_.front().parcel, {});
  ASSERT_TRUE(parcel);
  EXPECT_EQ(parcel->state, Parcel::State::handshaking);
  EXPECT_EQ(wire::to_text(parcel->request), bytes);
  EXPECT_EQ(parcel->since, kStart) << "it has as long as it had";
  EXPECT_EQ(parcel->heard_at, kStart + milliseconds{1'500});
  EXPECT_EQ(parcel->app, "") << "there is no app yet whose it is";
  EXPECT_EQ(read_both(peer, kResponseBytes + 5).substr(kResponseBytes), "\x81\x03one");
}

TEST_F(PlacingTest, HoweverTheBytesAreCutTheyAreAnsweredInOrder) {
  const std::string bytes = std::string{kUpgrade} + frame(0x81, "first") + frame(0x02, "sec") +
                            frame(0x80, "ond") + frame(0x82, std::string(300, 'b'));
  const std::string expected =
      answer(0x81, "first") + answer(0x82, "second") + answer(0x82, std::string(300, 'b'));
  for (std::size_t cut = 1; cut <= bytes.size(); cut += 11) {
    const UniqueFd peer = connect();
    write(peer, bytes.substr(0, cut));
    for (int i = 0; i < 3; ++i) turn();  // here alone: what is under way waits
    write(peer, bytes.substr(cut));
    ASSERT_EQ(read_both(peer, kResponseBytes + expected.size()).substr(kResponseBytes), expected)
        << cut;
    ASSERT_EQ(sessions_->count(), 0U) << cut;
  }
}

TEST_F(PlacingTest, WhatTwoReceivesOfOneTurnBringGoesWhole) {
  const UniqueFd peer = connect();
  const std::string payload(6'000, 'p');  // of buffers of 4,096 bytes
  write(peer, std::string{kUpgrade} + frame(0x82, payload));
  const std::string expected = answer(0x82, payload);
  EXPECT_EQ(read_both(peer, kResponseBytes + expected.size()).substr(kResponseBytes), expected);
  EXPECT_EQ(sessions_->count(), 0U);
}

TEST_F(PlacingTest, BytesThatComeWhileItWaitsToLeaveAreTheOtherWorkers) {
  const UniqueFd peer = connect();
  ferry_.answer = Carried::no_room;
  write(peer, kUpgrade);
  turn_until([&] { return ferry_.asked > 0; });
  write(peer, frame(0x81, "late"));
  turn();
  ferry_.answer = Carried::taken;
  EXPECT_EQ(read_both(peer, kResponseBytes + 6).substr(kResponseBytes), "\x81\x04late");
  EXPECT_EQ(sessions2_->traffic().messages_in, 1U);
}

TEST_F(PlacingTest, APeerThatEndsItsDirectionBehindItsRequestIsAnsweredThere) {
  const UniqueFd peer = connect();
  write(peer, std::string{kUpgrade} + frame(0x81, "bye"));
  ASSERT_EQ(::shutdown(peer.get(), SHUT_WR), 0);
  EXPECT_EQ(read_both(peer, kResponseBytes + 5).substr(kResponseBytes),
            "\x81\x03"
            "bye");
  turn_both_until([&] { return sessions2_->count() == 0; });
  EXPECT_EQ(sessions_->traffic().left, 1U);
  EXPECT_EQ(sessions2_->traffic().ended, 1U);
}

TEST_F(PlacingTest, WhatIsNoGoodUpgradeIsAnsweredHereAndNobodyIsAsked) {
  for (const std::string_view bad : {"GET / HTTP/1.1\r\nHost: a\r\n\r\n"sv,
                                     "POST / HTTP/1.1\r\nHost: a\r\n\r\n"sv, "\x16\x03\x01"sv}) {
    const UniqueFd peer = connect();
    write(peer, bad);
    EXPECT_EQ(read_both(peer, 10).substr(0, 10), "HTTP/1.1 4");
  }
  EXPECT_TRUE(here_.asked.empty());
  EXPECT_EQ(sessions_->traffic().rejected, 3U);
  EXPECT_EQ(sessions_->traffic().left, 0U);
}

TEST_F(PlacingTest, OneThatIsAnsweredHereIsOpenedHere) {
  struct Answer {
    Placement::Kind kind;
    std::uint64_t no_key;
    std::uint64_t stayed;
  };
  for (const Answer& c :
       {Answer{Placement::Kind::here, 0, 0}, Answer{Placement::Kind::no_key, 1, 0},
        Answer{Placement::Kind::stays, 0, 1}}) {
    const Traffic before = sessions_->traffic();
    here_.answer = {.kind = c.kind};
    const UniqueFd peer = open();
    EXPECT_EQ(sessions_->traffic().hash_no_key - before.hash_no_key, c.no_key);
    EXPECT_EQ(sessions_->traffic().hash_stayed - before.hash_stayed, c.stayed);
    EXPECT_EQ(sessions_->traffic().left, 0U);
  }
}

TEST_F(PlacingTest, ACarrierThatRefusesLeavesItHere) {
  ferry_.answer = Carried::refused;
  const UniqueFd peer = connect();
  write(peer, kUpgrade);
  expect_answered_here(peer);
  EXPECT_EQ(sessions_->traffic().hash_stayed, 1U);
  ferry_.answer = Carried::taken;
  EXPECT_EQ(sessions_->give(1, 1), 1U) << "open, it may go like any other";
}

TEST_F(PlacingTest, WithoutACarrierItIsAnsweredHere) {
  sessions_->carry_no_more();
  const UniqueFd peer = connect();
  write(peer, kUpgrade);
  expect_answered_here(peer);
  EXPECT_EQ(sessions_->traffic().hash_stayed, 1U);
}

TEST_F(PlacingTest, ACarrierWithoutRoomForLongLeavesItHereWithAllBytes) {
  ferry_.answer = Carried::no_room;
  const UniqueFd peer = connect();
  write(peer, std::string{kUpgrade} + frame(0x81, "mine"));
  turn_until([&] { return ferry_.asked >= 3; });
  write(peer, frame(0x81, "too"));
  now_ += Sessions::kLeaveWithin;
  EXPECT_EQ(read_both(peer, kResponseBytes + 6 + 5).substr(kResponseBytes),
            "\x81\x04mine\x81\x03too");
  EXPECT_EQ(sessions_->traffic().hash_stayed, 1U);
  EXPECT_FALSE(sessions_->waits_to_leave());
}

TEST_F(PlacingTest, OneWhoseHandshakeRunsOutWhileItWaitsCameInTime) {
  rules_.handshake_timeout = milliseconds{100};
  ferry_.answer = Carried::no_room;
  const UniqueFd peer = connect();
  write(peer, kUpgrade);
  turn_until([&] { return ferry_.asked > 0; });
  pass(milliseconds{150});
  expect_answered_here(peer);
  EXPECT_EQ(sessions_->traffic().handshake_timeouts, 0U);
  EXPECT_EQ(sessions_->traffic().hash_stayed, 1U);
}

TEST_F(PlacingTest, OneThatComesBackIsAnsweredAndCounted) {
  const UniqueFd peer = connect();
  write(peer, kUpgrade);
  turn_until([&] { return !under_way_.empty(); });
  UnderWay back = std::move(under_way_.front());
  under_way_.clear();
  turn_until([&] { return sessions_->count() == 0; });
  ASSERT_TRUE(sessions_->arrive(back.fd, back.parcel, true, now_));
  EXPECT_EQ(read_both(peer, kResponseBytes).substr(0, 12), kSwitching);
  EXPECT_EQ(sessions_->traffic().hash_moved, 1U);
  EXPECT_EQ(sessions_->traffic().hash_stayed, 1U);
  EXPECT_EQ(here_.asked.size(), 1U) << "it does not go again";
  EXPECT_EQ(sessions_->give(1, 1), 1U) << "open, it may";
}

TEST_F(PlacingTest, HalfARequestIsGoneOnWithAndHasItsOldDeadline) {
  Parcel parcel{.state = Parcel::State::handshaking};
  parcel.since = now_ - seconds{9};
  parcel.heard_at = now_;
  const auto half = std::as_bytes(std::span{kUpgrade.substr(0, 60)});
  parcel.request = half;
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd fd{ends[0]};
  UniqueFd peer{ends[1]};
  ASSERT_TRUE(sessions_->arrive(fd, pack(parcel), false, now_));
  write(peer, kUpgrade.substr(60));
  EXPECT_EQ(read_both(peer, kResponseBytes).substr(0, 12), kSwitching);

  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  fd.reset(ends[0]);
  peer.reset(ends[1]);
  ASSERT_TRUE(sessions_->arrive(fd, pack(parcel), false, now_));
  pass(milliseconds{1'100});
  EXPECT_EQ(read_both(peer, 12), "HTTP/1.1 408");
  EXPECT_EQ(sessions_->traffic().handshake_timeouts, 1U);
}

TEST_F(PlacingTest, AClosingSessionIsRefusedAsBefore) {
  Parcel parcel{.state = Parcel::State::closing, .close_code = wire::CloseCode::normal};
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd fd{ends[0]};
  const UniqueFd peer{ends[1]};
  const auto refused = sessions_->arrive(fd, pack(parcel), false, now_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().what, "a session in transit that is closing");
  EXPECT_TRUE(fd);
}

TEST_F(PlacingTest, ADrainThatEndsWhileItWaitsDropsIt) {
  ferry_.answer = Carried::no_room;
  const UniqueFd peer = connect();
  write(peer, kUpgrade);
  turn_until([&] { return ferry_.asked > 0; });
  sessions_->drop_handshakes();
  turn_until([&] { return sessions_->count() == 0; });
  EXPECT_EQ(sessions_->traffic().ended, 1U);
  EXPECT_EQ(read_to_end(peer), "");
}

/// The clients' accounts: one worker counts it out, the other in, and nobody is charged twice.
TEST_F(PlacingTest, ItsClientIsTakenOverWithoutBeingAskedForAgain) {
  CountingGate gate;
  rules_.proxy_from = {*Cidr::parse("127.0.0.0/8")};
  sessions_ = std::make_unique<Sessions>(*ring_, *buffers_, handler_, gate, nullptr, rules_, now_);
  CountingGate gate2;
  sessions2_ =
      std::make_unique<Sessions>(*ring2_, *buffers2_, handler2_, gate2, nullptr, rules_, now_);
  for (Sessions* const sessions : {sessions_.get(), sessions2_.get()}) sessions->carry_by(ferry_);
  sessions_->place_by(here_);

  const UniqueFd listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const auto any = *SocketAddress::parse("127.0.0.1:0");
  ASSERT_EQ(::bind(listener.get(), any.data(), any.size()), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&bound), &size), 0);
  const UniqueFd peer{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  ASSERT_EQ(::connect(peer.get(), reinterpret_cast<sockaddr*>(&bound), size), 0);
  sessions_->adopt(UniqueFd{::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)},
                   {.proxy = true}, now_);
  write(peer, "PROXY TCP4 192.0.2.7 192.0.2.8 4711 80\r\n");
  write(peer, kUpgrade);
  EXPECT_EQ(read_both(peer, kResponseBytes).substr(0, 12), kSwitching);
  EXPECT_EQ(gate.said, (std::vector<std::string>{"admit 0 192.0.2.7:4711", "left 0"}));
  EXPECT_EQ(gate2.said, std::vector<std::string>{"take over 0 192.0.2.7:4711"});
  sessions_.reset();
  sessions2_.reset();
}

}  // namespace
}  // namespace weir::session
