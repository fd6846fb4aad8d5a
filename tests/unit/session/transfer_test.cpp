// Sessions that move between two workers of this process, with everything that a session can be in
// the middle of.
#include <random>

#include "two_workers.h"

namespace weir::session {
namespace {

using TransferTest = TwoWorkersTest;

TEST_F(TransferTest, AnIdleSessionGoesOnElsewhereAndTheAppHearsNoClose) {
  const UniqueFd peer = open();
  give_all_there();
  EXPECT_EQ(sessions2_->open_count(), 1U);
  write(peer, frame(0x81, "hello"));
  EXPECT_EQ(read_both(peer, 7), "\x81\x05hello");
  EXPECT_TRUE(handler_.closed.empty());
  EXPECT_EQ(handler2_.opened, 0);
  EXPECT_EQ(sessions_->traffic().left, 1U);
  EXPECT_EQ(sessions_->traffic().ended, 0U);
  EXPECT_EQ(sessions2_->traffic().arrived, 1U);
}

TEST_F(TransferTest, AMessageOverALimitThatWasLoweredSinceArrivesAndMayEndItsFrame) {
  const UniqueFd peer = open();
  const std::string whole = frame(0x82, std::string(1'000, 'a'));
  write(peer, whole.substr(0, 500));
  for (int i = 0; i < 4; ++i) turn();
  rules_.message_bytes_max = 100;  // of both
  sessions_->rules_changed(now_);
  sessions2_->rules_changed(now_);
  give_all_there();
  write(peer, whole.substr(500));
  EXPECT_EQ(read_both(peer, 1'004), answer(0x82, std::string(1'000, 'a')));
  write(peer, whole);
  EXPECT_EQ(read_both(peer, 4).substr(2), "\x03\xf1") << "1009: the next is too big";
}

TEST_F(TransferTest, OneThatOtherTimeoutsMakeOverdueOnItsWayIsPingedFirst) {
  const UniqueFd peer = open();
  now_ += seconds{29};
  EXPECT_EQ(sessions_->give(1, 1), 1U);
  turn_until([&] { return !under_way_.empty(); });
  rules_.idle_timeout = seconds{10};
  rules_.ping_interval = seconds{5};
  sessions2_->rules_changed(now_);
  turn_both();
  now_ += milliseconds{20};
  EXPECT_EQ(read_both(peer, 2), "\x89\x00"sv);
  EXPECT_TRUE(handler2_.closed.empty());
  now_ += seconds{6};
  EXPECT_EQ(read_both(peer, 4).substr(2), "\x03\xe9") << "1001: not answered";
}

TEST_F(TransferTest, BytesThatCameBeforeAreTakenInHereAndLaterOnesThere) {
  const UniqueFd peer = open();
  write(peer, frame(0x81, "before"));
  EXPECT_EQ(sessions_->give(1, 1), 1U);
  write(peer, frame(0x81, "after"));
  EXPECT_EQ(read_both(peer, 15),
            "\x81\x06"
            "before\x81\x05"
            "after");
  EXPECT_EQ(sessions_->count(), 0U);
  EXPECT_EQ(sessions_->traffic().messages_in + sessions2_->traffic().messages_in, 2U);
}

TEST_F(TransferTest, AFrameCutAnywhereIsWholeThere) {
  const std::string bytes = frame(0x01, "fragm\xc3") + frame(0x89, "ping") + frame(0x80, "\xa4nt") +
                            frame(0x82, std::string(300, 'b'));
  const std::string expected =
      answer(0x8a, "ping") + answer(0x81, "fragm\xc3\xa4nt") + answer(0x82, std::string(300, 'b'));
  for (std::size_t cut = 0; cut <= bytes.size(); cut += 7) {
    const UniqueFd peer = open();
    write(peer, bytes.substr(0, cut));
    for (int i = 0; i < 3; ++i) turn_both();
    give_all_there();
    write(peer, bytes.substr(cut));
    ASSERT_EQ(read_both(peer, expected.size()), expected) << cut;
  }
}

TEST_F(TransferTest, OutputThatThePeerHasNotTakenFollowsIt) {
  const UniqueFd peer = open();
  const std::string payload(100'000, 'o');
  std::string in;
  std::string out;
  for (int i = 0; i < 20; ++i) {
    in += frame(0x82, payload);
    out += answer(0x82, payload);
  }
  std::string_view left = fill_up(peer, in, [&] { turn_both(); });
  give_all_there();
  std::string got;
  turn_both_until([&] {
    if (!left.empty()) {
      const ssize_t n = ::send(peer.get(), left.data(), left.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n > 0) left.remove_prefix(static_cast<std::size_t>(n));
    }
    std::string piece(1 << 20, '\0');
    const ssize_t n = ::recv(peer.get(), piece.data(), piece.size(), MSG_DONTWAIT);
    if (n > 0) got.append(piece, 0, static_cast<std::size_t>(n));
    return got.size() >= out.size();
  });
  EXPECT_TRUE(got == out);
}

TEST_F(TransferTest, ItsEndCalledForWhileItsSendIsTakenBackFollowsAllOutput) {
  const UniqueFd peer = open();
  const std::string payload(100'000, 'o');
  const std::string in = frame(0x82, payload);
  // As much as it is read of: then a send of it waits in the kernel for room.
  std::string_view left;
  for (int idle = 0; idle < 20;) {
    if (left.empty()) left = in;
    const ssize_t n = ::send(peer.get(), left.data(), left.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) left.remove_prefix(static_cast<std::size_t>(n));
    idle = n > 0 ? 0 : idle + 1;
    turn_both();
  }
  std::string out;  // what it has taken in is answered before it ends, and no more
  for (std::uint64_t i = 0; i < sessions_->traffic().messages_out; ++i)
    out += answer(0x82, payload);
  EXPECT_EQ(sessions_->give(1, 1), 1U);
  EXPECT_EQ(sessions_->close_some(1, wire::CloseCode::going_away, "bye", now_), 1U);
  const std::string bye = answer(0x88,
                                 "\x03\xe9"
                                 "bye");
  const std::string got = read_both(peer, out.size() + bye.size());
  EXPECT_EQ(got.size(), out.size() + bye.size());
  EXPECT_TRUE(got == out + bye);
}

TEST_F(TransferTest, ACarrierThatHasNoRoomForLongLeavesItHere) {
  const UniqueFd peer = open();
  ferry_.answer = Carried::no_room;
  EXPECT_EQ(sessions_->give(1, 1), 1U);
  turn_both_until([&] { return ferry_.asked >= 3; });
  write(peer, frame(0x81, "wait"));
  turn_both();
  char byte{};
  EXPECT_LT(::recv(peer.get(), &byte, 1, MSG_DONTWAIT), 0) << "nobody reads from it now";
  now_ += Sessions::kLeaveWithin;
  EXPECT_EQ(read_both(peer, 6), "\x81\x04wait");
  EXPECT_FALSE(sessions_->waits_to_leave());
  const int asked = ferry_.asked;
  for (int i = 0; i < 5; ++i) turn_both();
  EXPECT_EQ(ferry_.asked, asked);
  ferry_.answer = Carried::taken;
  give_all_there();
  EXPECT_EQ(sessions2_->open_count(), 1U) << "it may go another time";
}

TEST_F(TransferTest, ACarrierWithoutRoomIsAskedAgainAndOneThatRefusesLeavesItHere) {
  const UniqueFd peer = open();
  ferry_.answer = Carried::no_room;
  EXPECT_EQ(sessions_->give(1, 1), 1U);
  turn_both_until([&] { return ferry_.asked >= 3; });
  EXPECT_TRUE(sessions_->next_deadline());
  write(peer, frame(0x81, "wait"));
  ferry_.answer = Carried::refused;
  EXPECT_EQ(read_both(peer, 6), "\x81\x04wait");
  EXPECT_EQ(sessions_->open_count(), 1U);
  EXPECT_EQ(sessions_->give(1, 1), 0U) << "it would be refused again";
  ferry_.answer = Carried::taken;
}

TEST_F(TransferTest, OneForWhomNobodyIsThereAnyMoreMayGoToAnother) {
  const UniqueFd peer = open();
  ferry_.answer = Carried::gone;
  EXPECT_EQ(sessions_->give(1, 1), 1U);
  turn_both_until([&] { return ferry_.asked >= 1; });
  write(peer, frame(0x81, "here"));
  EXPECT_EQ(read_both(peer, 6), "\x81\x04here");
  EXPECT_FALSE(sessions_->waits_to_leave());
  ferry_.answer = Carried::taken;
  EXPECT_EQ(sessions_->give(1, 2), 1U);
  turn_both_until([&] { return sessions2_->open_count() == 1; });
}

TEST_F(TransferTest, ASessionThatEndsMeanwhileEndsHere) {
  UniqueFd peer = open();
  ferry_.answer = Carried::no_room;
  EXPECT_EQ(sessions_->give(1, 1), 1U);
  turn_both_until([&] { return ferry_.asked >= 1; });
  sessions_->close_some(1, wire::CloseCode::going_away, "bye", now_);
  EXPECT_EQ(read_both(peer, 7),
            "\x88\x05\x03\xe9"
            "bye");
  peer.reset();
  turn_both_until([&] { return sessions_->count() == 0; });
  EXPECT_EQ(sessions_->traffic().ended, 1U);
  EXPECT_EQ(sessions_->traffic().left, 0U);
}

TEST_F(TransferTest, WhatIsNoSessionOfThisAppIsRefusedAndNothingIsDone) {
  const UniqueFd peer = open();
  EXPECT_EQ(sessions_->give(1, 1), 1U);
  turn_both_until([&] { return !under_way_.empty() || moves_ > 0; });
  rules_.app = "another";
  std::vector<std::byte> nonsense(200);
  UniqueFd fd{::dup(peer.get())};
  const auto refused = sessions2_->arrive(fd, nonsense, false, now_);
  EXPECT_FALSE(refused);
  EXPECT_TRUE(fd) << "the descriptor is the caller's still";
}

TEST_F(TransferTest, ToAndFroUnderTrafficNoByteIsWrong) {
  std::mt19937 random{7};
  constexpr std::size_t kPeers = 8;
  struct Talk {
    UniqueFd peer;
    std::string out;       // not written yet
    std::string expected;  // not read yet
  };
  std::vector<Talk> talks;
  for (std::size_t i = 0; i < kPeers; ++i) talks.push_back({open(), {}, {}});
  std::size_t messages = 0;
  while (moves_ < 300 && !HasFailure()) {
    for (Talk& talk : talks) {
      if (talk.expected.size() < 200'000) {
        const std::string payload(random() % (random() % 8 == 0 ? 60'000 : 400),
                                  static_cast<char>('a' + messages++ % 26));
        const std::size_t cut = random() % (payload.size() + 1);
        talk.out += random() % 3 == 0
                        ? frame(0x02, payload.substr(0, cut)) + frame(0x80, payload.substr(cut))
                        : frame(0x82, payload);
        talk.expected += answer(0x82, payload);
      }
      const std::size_t piece = std::min<std::size_t>(talk.out.size(), random() % 30'000);
      const ssize_t n =
          ::send(talk.peer.get(), talk.out.data(), piece, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n > 0) talk.out.erase(0, static_cast<std::size_t>(n));
      std::string got(random() % 50'000, '\0');
      const ssize_t r = ::recv(talk.peer.get(), got.data(), got.size(), MSG_DONTWAIT);
      if (r > 0) {
        got.resize(static_cast<std::size_t>(r));
        ASSERT_EQ(talk.expected.substr(0, got.size()), got) << "after " << moves_ << " moves";
        talk.expected.erase(0, got.size());
      }
    }
    if (random() % 3 == 0) (void)sessions_->give(random() % 4, 1);
    if (random() % 3 == 0) (void)sessions2_->give(random() % 4, 0);
    turn_both();
  }
  EXPECT_EQ(sessions_->open_count() + sessions2_->open_count() + under_way_.size(), kPeers);
  under_way_.clear();
}

}  // namespace
}  // namespace weir::session
