// One slow reader never grows a worker without bound, and loses nothing once it reads.
#include "rig.h"

namespace weir::session {
namespace {

/// Far more than any of these tests lets a session take.
constexpr std::size_t kEnough = 8 << 20;

/// Sends frames until the session stops reading, and returns how many bytes were sent.
std::size_t fill(const UniqueFd& peer, std::string_view bytes, const std::function<void()>& turn) {
  std::size_t sent = 0;
  int refused = 0;
  while (refused < 50 && sent < kEnough) {
    const std::size_t offset = sent % bytes.size();
    const ssize_t n = ::send(peer.get(), bytes.data() + offset, bytes.size() - offset,
                             MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) sent += static_cast<std::size_t>(n);
    refused = n > 0 ? 0 : refused + 1;
    turn();
  }
  return sent;
}

TEST_F(SessionTest, AReaderThatStopsIsNotReadFromAnyMore) {
  rules_.high_water_bytes = 64 * 1'024;
  const UniqueFd peer = open();
  const std::string message = frame(0x82, std::string(4'000, 'q'));
  const std::size_t sent = fill(peer, message, [&] { turn(); });
  const std::size_t taken = sessions_->traffic().bytes_in;
  // What can be on the way: our output up to the mark and a batch of buffers past it, and what
  // the two socket buffers hold.
  EXPECT_LT(taken, 64U * 1'024 + 16U * 4'096 + 1'000'000);
  EXPECT_GT(sent, 64U * 1'024);
  EXPECT_LT(sent, kEnough);

  // Then it reads, and every message comes back.
  const std::size_t whole = sent / message.size();
  const std::size_t expected = whole * 4'004;
  std::string echoed = read(peer, expected);
  ASSERT_EQ(echoed.size(), expected);
  for (std::size_t i = 0; i < whole; ++i)
    ASSERT_EQ(echoed.substr(i * 4'004, 4), "\x82\x7e\x0f\xa0"sv) << i;
}

TEST_F(SessionTest, AFloodOfPingsToAPeerThatNeverReadsIsBoundedToo) {
  rules_.high_water_bytes = 16 * 1'024;
  const UniqueFd peer = open();
  fill(peer, frame(0x89, std::string(125, 'p')), [&] { turn(); });
  EXPECT_LT(sessions_->traffic().bytes_in, 16U * 1'024 + 16U * 4'096 + 1'000'000);
  EXPECT_EQ(sessions_->count(), 1U);
}

TEST_F(SessionTest, ASlowReaderDoesNotHoldUpItsNeighbours) {
  rules_.high_water_bytes = 16 * 1'024;
  const UniqueFd slow = open();
  fill(slow, frame(0x82, std::string(4'000, 'q')), [&] { turn(); });
  const UniqueFd neighbour = open();
  write(neighbour, frame(0x81, "hello"));
  EXPECT_EQ(read(neighbour, 7), "\x81\x05hello");
}

TEST_F(SessionTest, ASlowReaderThatLeavesIsForgotten) {
  rules_.high_water_bytes = 16 * 1'024;
  {
    const UniqueFd slow = open();
    fill(slow, frame(0x82, std::string(4'000, 'q')), [&] { turn(); });
  }
  turn_until([&] { return sessions_->count() == 0; });
}

TEST_F(SessionTest, MoreInputThanBuffersIsAllTaken) {
  std::vector<UniqueFd> peers;
  for (int i = 0; i < 40; ++i) peers.push_back(open());  // 16 buffers
  const std::string text(3'000, 'b');
  for (const UniqueFd& peer : peers) write(peer, frame(0x81, text));
  for (const UniqueFd& peer : peers) EXPECT_EQ(read(peer, 3'004).substr(4), text);
}

}  // namespace
}  // namespace weir::session
