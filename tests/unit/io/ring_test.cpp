// The ring against real sockets of this process: no privileges, no network. Where the host forbids
// io_uring the tests are skipped, saying so.
#include "weir/io/ring.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "weir/base/unique_fd.h"
#include "weir/io/buffer_ring.h"

namespace weir::io {
namespace {

struct Pair {
  UniqueFd ours;
  UniqueFd peer;
};

Pair socket_pair() {
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  return {UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

class RingTest : public testing::Test {
 protected:
  void SetUp() override {
    auto ring = Ring::create({.submissions = 8, .completions = 64});
    if (!ring) GTEST_SKIP() << to_string(ring.error());
    made_.emplace(std::move(*ring));
  }

  /// Enters once and collects what is there.
  static std::vector<Completion> turn(Ring& ring) {
    std::vector<Completion> all;
    EXPECT_TRUE(ring.submit_and_wait(std::chrono::seconds{10}));
    ring.reap([&](const Completion& c) { all.push_back(c); });
    return all;
  }

  std::optional<Ring> made_;
};

TEST_F(RingTest, ReceivesIntoLentBuffersUntilTheStreamEnds) {
  auto buffers = BufferRing::create(*made_, {.group = 5, .buffers = 4, .buffer_bytes = 16});
  ASSERT_TRUE(buffers);
  ASSERT_TRUE(made_->enable());
  Pair pair = socket_pair();
  const Tag tag = Tag::of(Op::receive, 11, 3);
  made_->receive_multishot(pair.ours.get(), buffers->group(), tag);

  for (const std::string text : {"one", "two", "three", "four", "five", "six"}) {  // > buffers
    ASSERT_EQ(::write(pair.peer.get(), text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
    const auto done = turn(*made_);
    ASSERT_EQ(done.size(), 1U);
    EXPECT_EQ(done[0].tag.slot, 11U);
    EXPECT_TRUE(done[0].more());
    buffers->begin_batch(1);
    const auto bytes =
        buffers->bytes_of(*done[0].buffer(), static_cast<std::size_t>(done[0].result));
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()), text);
    buffers->give_back(*done[0].buffer());
  }
  pair.peer.reset();
  const auto done = turn(*made_);
  ASSERT_EQ(done.size(), 1U);
  EXPECT_EQ(done[0].result, 0);
  EXPECT_FALSE(done[0].more());
}

TEST_F(RingTest, RunningOutOfBuffersEndsTheReceiveWithENOBUFS) {
  auto buffers = BufferRing::create(*made_, {.group = 0, .buffers = 1, .buffer_bytes = 4});
  ASSERT_TRUE(buffers);
  ASSERT_TRUE(made_->enable());
  Pair pair = socket_pair();
  made_->receive_multishot(pair.ours.get(), 0, Tag::of(Op::receive));
  ASSERT_EQ(::write(pair.peer.get(), "12345678", 8), 8);
  std::vector<Completion> all;
  while (all.empty() || all.back().more())
    for (const Completion& c : turn(*made_)) all.push_back(c);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].result, 4);
  EXPECT_EQ(all[1].result, -ENOBUFS);
}

TEST_F(RingTest, AsManyBuffersAreLentAsBatchesCallFor) {
  auto buffers = BufferRing::create(*made_, {.buffers = 16, .lent_at_first = 4, .buffer_bytes = 4});
  ASSERT_TRUE(buffers);
  EXPECT_EQ(buffers->target(), 4U);
  for (const std::uint32_t expected : {8U, 16U, 16U}) {  // no more than there are
    buffers->ran_dry();
    buffers->ran_dry();  // by another session of the same turn
    buffers->end_batch();
    EXPECT_EQ(buffers->target(), expected);
  }
  for (int turn = 0; turn < 20'000; ++turn) buffers->end_batch();
  EXPECT_EQ(buffers->target(), 4U) << "and no fewer than at first, once none were missed";
  EXPECT_EQ(buffers->in_use(), 0U);
}

TEST_F(RingTest, ASendLargerThanTheSocketsBufferCompletesOnceAndWhole) {
  ASSERT_TRUE(made_->enable());
  Pair pair = socket_pair();
  const std::vector<std::byte> large(4 << 20, std::byte{0x5a});
  made_->send(pair.ours.get(), large, Tag::of(Op::send, 1));
  std::size_t read = 0;
  std::vector<Completion> done;
  std::vector<char> piece(1 << 20);
  while (read < large.size()) {
    ASSERT_TRUE(made_->submit_and_wait(Duration::zero()));
    made_->reap([&](const Completion& c) { done.push_back(c); });
    const ssize_t got = ::recv(pair.peer.get(), piece.data(), piece.size(), MSG_DONTWAIT);
    if (got > 0) read += static_cast<std::size_t>(got);
  }
  while (done.empty())
    for (const Completion& c : turn(*made_)) done.push_back(c);
  ASSERT_EQ(done.size(), 1U);
  EXPECT_EQ(done[0].result, static_cast<int>(large.size()));
}

TEST_F(RingTest, LooksBeforeItSleepsAndFindsWhatComesMeanwhile) {
  ASSERT_TRUE(made_->enable());
  Pair pair = socket_pair();
  made_->poll(pair.ours.get(), Tag::of(Op::receive));
  std::thread writer{[&] { EXPECT_EQ(::write(pair.peer.get(), "x", 1), 1); }};
  ASSERT_TRUE(made_->submit_and_wait(std::nullopt, std::chrono::minutes{1}));
  writer.join();
  EXPECT_LT(made_->looked(), std::chrono::minutes{1});
  EXPECT_EQ(made_->completions().size(), 1U);
  EXPECT_LE(made_->enters(), 2U) << "one to submit, and one to have it posted";
}

TEST_F(RingTest, DoesNotLookWhereSomethingIsThereAtOnce) {
  ASSERT_TRUE(made_->enable());
  Pair pair = socket_pair();
  ASSERT_EQ(::write(pair.peer.get(), "x", 1), 1);
  made_->poll(pair.ours.get(), Tag::of(Op::receive));
  ASSERT_TRUE(made_->submit_and_wait(std::nullopt, std::chrono::minutes{1}));
  EXPECT_EQ(made_->completions().size(), 1U);
  EXPECT_EQ(made_->enters(), 1U);
}

TEST_F(RingTest, HasLookedInVainOnlySoLongAndThenSleeps) {
  ASSERT_TRUE(made_->enable());
  constexpr Duration look = std::chrono::milliseconds{1};
  made_->timeout(std::chrono::milliseconds{5}, Tag::of(Op::tick));
  ASSERT_TRUE(made_->submit_and_wait(std::nullopt, look));
  EXPECT_GE(made_->looked(), look);
  EXPECT_EQ(made_->completions().size(), 1U);
  // Never past the time that it may wait at all.
  made_->reap([](const Completion&) {});
  ASSERT_TRUE(made_->submit_and_wait(Duration::zero(), std::chrono::minutes{1}));
  ASSERT_TRUE(made_->submit_and_wait(look));
  EXPECT_EQ(made_->looked(), Duration::zero()) << "that time it did not";
}

TEST_F(RingTest, CancelAllEndsWhatADescriptorHasPending) {
  auto buffers = BufferRing::create(*made_, {.group = 0, .buffers = 2, .buffer_bytes = 64});
  ASSERT_TRUE(buffers);
  ASSERT_TRUE(made_->enable());
  Pair pair = socket_pair();
  made_->receive_multishot(pair.ours.get(), 0, Tag::of(Op::receive, 1));
  made_->cancel_all(pair.ours.get());
  std::vector<Completion> done;
  while (done.empty()) done = turn(*made_);
  ASSERT_EQ(done.size(), 1U) << "the cancel itself is silent";
  EXPECT_EQ(done[0].result, -ECANCELED);
  EXPECT_EQ(done[0].tag.operation(), Op::receive);
}

TEST_F(RingTest, OneEnterATurnHoweverMuchIsQueued) {
  ASSERT_TRUE(made_->enable());
  Pair pair = socket_pair();
  const std::array<std::byte, 1> byte{std::byte{'x'}};
  for (std::uint32_t i = 0; i < 8; ++i) made_->send(pair.ours.get(), byte, Tag::of(Op::send, i));
  EXPECT_EQ(made_->enters(), 0U);
  EXPECT_EQ(turn(*made_).size(), 8U);
  EXPECT_EQ(made_->enters(), 1U);
}

TEST_F(RingTest, AFullQueueIsSubmittedEarlyAndNothingIsLost) {
  ASSERT_TRUE(made_->enable());
  Pair pair = socket_pair();
  const std::array<std::byte, 1> byte{std::byte{'x'}};
  for (std::uint32_t i = 0; i < 20; ++i) made_->send(pair.ours.get(), byte, Tag::of(Op::send, i));
  EXPECT_EQ(made_->enters(), 2U);
  std::size_t done = 0;
  while (done < 20) done += turn(*made_).size();
  std::array<char, 64> in{};
  EXPECT_EQ(::read(pair.peer.get(), in.data(), in.size()), 20);
}

TEST_F(RingTest, CarriesNoOperationThatWeirDoesNotUse) {
  ASSERT_TRUE(made_->enable());
  io_uring_sqe* sqe = io_uring_get_sqe(&made_->raw());
  io_uring_prep_openat(sqe, AT_FDCWD, "/etc/passwd", 0, 0);
  sqe->user_data = Tag::of(Op::ignored, 9).user_data();
  const auto done = turn(*made_);
  ASSERT_EQ(done.size(), 1U);
  EXPECT_EQ(done[0].result, -EACCES);
}

TEST_F(RingTest, SleepsNoLongerThanItsTimeout) {
  ASSERT_TRUE(made_->enable());
  EXPECT_TRUE(made_->submit_and_wait(std::chrono::milliseconds{1}));
  EXPECT_EQ(made_->completions().size(), 0U);
}

}  // namespace
}  // namespace weir::io
