// Who is told which sessions there are, and of what is sent for whom.
#include "weir/session/witness.h"

#include <utility>
#include <vector>

#include "rig.h"

namespace weir::session {
namespace {

constexpr std::size_t kAnswerBytes = 129;  // of the answer to kUpgrade

class Note final : public Witness {
 public:
  void came(const Session& session, std::size_t handshake_bytes) override {
    EXPECT_EQ(session.state, State::open);
    here.emplace_back(session.slot, handshake_bytes);
  }
  void went(const Session& session) override {
    EXPECT_GE(session.fd, 0) << "its socket is still open";
    gone.push_back(session.slot);
  }
  std::vector<std::pair<std::uint32_t, std::size_t>> here;
  std::vector<std::uint32_t> gone;
};

class WitnessTest : public SessionTest {
 protected:
  using Came = std::vector<std::pair<std::uint32_t, std::size_t>>;
  Note note_;
};

TEST_F(WitnessTest, IsToldOfSessionsAndNotOfConnectionsThatBecomeNone) {
  sessions_->watch_by(&note_);
  const UniqueFd one = open();
  EXPECT_EQ(note_.here, (Came{{0, kAnswerBytes}}));
  UniqueFd none = connect();
  write(none, "GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(read(none, 12), "HTTP/1.1 400");
  none.reset();
  UniqueFd two = open();
  turn_until([&] { return sessions_->count() == 2; });
  EXPECT_EQ(note_.here.size(), 2U);
  EXPECT_TRUE(note_.gone.empty());
  const std::uint32_t place = note_.here.back().first;
  two.reset();
  turn_until([&] { return sessions_->count() == 1; });
  EXPECT_EQ(note_.gone, std::vector{place});
  sessions_->watch_by(nullptr);
  const UniqueFd three = open();
  EXPECT_EQ(note_.here.size(), 2U);
}

TEST_F(WitnessTest, SeesTheSessionsThatThereAreUntilTheyHaveEnded) {
  const auto places = [this] {
    std::vector<std::uint32_t> found;
    sessions_->each_open([&](const Session& session) { found.push_back(session.slot); });
    return found;
  };
  EXPECT_TRUE(places().empty());
  const UniqueFd one = open();
  UniqueFd two = open();
  const UniqueFd three = connect();
  turn();
  EXPECT_EQ(places(), (std::vector<std::uint32_t>{0, 1}));
  write(two, frame(0x88, ""));
  EXPECT_EQ(read(two, 2), answer(0x88, ""));
  EXPECT_EQ(places().size(), 2U) << "its peer has not closed";
  two.reset();
  turn_until([&] { return sessions_->count() == 2; });
  EXPECT_EQ(places(), (std::vector<std::uint32_t>{0}));
}

TEST_F(WitnessTest, SendsAreCountedByTheirSessionAsTheTotalsAre) {
  std::vector<std::uint64_t> sent(2);
  const UniqueFd one = open();
  const UniqueFd two = open();
  const std::uint64_t before = sessions_->traffic().bytes_out;
  write(one, frame(0x82, "0123456789"));
  write(two, frame(0x82, "01"));
  write(two, frame(0x82, "23"));
  for (int i = 0; i < 5'000 && sessions_->traffic().bytes_out < before + 20; ++i) {
    sessions_->flush(now_);
    ASSERT_TRUE(ring_->submit_and_wait(milliseconds{1}));
    sessions_->begin_batch(ring_->completions());
    sessions_->each_tried_send(
        [&](std::uint32_t place, std::uint32_t bytes) { sent.at(place) += bytes; });
    sessions_->finish_sends(now_);
    ring_->reap([&](const io::Completion& c) {
      if (c.tag.operation() == io::Op::receive) sessions_->on_receive(c, now_);
    });
    buffers_->end_batch();
  }
  EXPECT_EQ(sent, (std::vector<std::uint64_t>{12, 8}));
}

}  // namespace
}  // namespace weir::session
