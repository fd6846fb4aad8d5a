// Inboxes: what is posted is read whole, once, by whoever reads the slot's end, and stays until it
// is taken off.
#include "weir/process/inbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::process {
namespace {

using Look = Inbox::Look;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text});
}

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Descriptors that this process has open.
int descriptors() {
  int count = 0;
  for (int fd = 0; fd < 1'024; ++fd)
    if (::fcntl(fd, F_GETFD) >= 0) ++count;
  return count;
}

class InboxTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = Inboxes::open(2);
    ASSERT_TRUE(made) << to_string(made.error());
    inboxes_.emplace(std::move(*made));
    inbox_.emplace(inboxes_->reader(1));
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    socket_ = UniqueFd{ends[0]};
    peer_ = UniqueFd{ends[1]};
  }

  Posted post_session(std::string_view content) {
    return post(inboxes_->writer(1), LetterKind::session, 0, bytes_of(content), socket_.get());
  }

  /// That `fd` is our socket: what is written to it comes out at the peer.
  void expect_socket(const UniqueFd& fd) {
    ASSERT_TRUE(fd);
    EXPECT_NE(fd.get(), socket_.get());
    EXPECT_EQ(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    ASSERT_EQ(::write(fd.get(), "x", 1), 1);
    char got = 0;
    EXPECT_EQ(::recv(peer_.get(), &got, 1, MSG_DONTWAIT), 1);
    EXPECT_EQ(got, 'x');
  }

  std::optional<Inboxes> inboxes_;
  std::optional<Inbox> inbox_;
  UniqueFd socket_;
  UniqueFd peer_;
};

TEST_F(InboxTest, IsEmptyAtFirstAndAfterTheLast) {
  Letter letter;
  EXPECT_EQ(inbox_->look(letter), Look::empty);
  ASSERT_EQ(post_session("s"), Posted::posted);
  EXPECT_EQ(inbox_->look(letter), Look::letter);
  inbox_->take_off();
  EXPECT_EQ(inbox_->look(letter), Look::empty);
}

TEST_F(InboxTest, AnOrderHasNoDescriptor) {
  const GiveOrder order{.target = 7, .count = 1'000'000};
  ASSERT_EQ(post(inboxes_->writer(1), LetterKind::give, 1, std::as_bytes(std::span{&order, 1})),
            Posted::posted);
  Letter letter;
  ASSERT_EQ(inbox_->look(letter), Look::letter);
  EXPECT_EQ(letter.kind, LetterKind::give);
  EXPECT_EQ(letter.from, 1U);
  EXPECT_FALSE(letter.fd);
  GiveOrder read{};
  ASSERT_EQ(letter.content.size(), sizeof read);
  std::memcpy(&read, letter.content.data(), sizeof read);
  EXPECT_EQ(read.target, 7U);
  EXPECT_EQ(read.count, 1'000'000U);
}

/// As many pipes as a letter may carry descriptors, each with its number in it.
std::vector<UniqueFd> numbered_pipes(std::size_t count) {
  std::vector<UniqueFd> readers;
  for (std::size_t i = 0; i < count; ++i) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) break;
    const UniqueFd writer{ends[1]};
    readers.emplace_back(ends[0]);
    if (::write(writer.get(), &i, sizeof i) != sizeof i) break;
  }
  return readers;
}

TEST_F(InboxTest, ALetterCarriesAsManyDescriptorsAsTheKernelTakesInTheirOrder) {
  for (const std::size_t count : {std::size_t{1}, std::size_t{2}, kLetterDescriptorsMax}) {
    const std::vector<UniqueFd> pipes = numbered_pipes(count);
    ASSERT_EQ(pipes.size(), count);
    std::vector<int> fds;
    for (const UniqueFd& each : pipes) fds.push_back(each.get());
    const SlotJoined joined{.slot = 1'023, .address = 252};
    const int before = descriptors();
    ASSERT_EQ(post(inboxes_->writer(1), LetterKind::joined, 1, content_of(joined), fds),
              Posted::posted);
    {
      Letter letter;
      ASSERT_EQ(inbox_->look(letter), Look::letter) << count;
      inbox_->take_off();
      EXPECT_EQ(letter.kind, LetterKind::joined);
      EXPECT_FALSE(letter.fd);
      ASSERT_EQ(letter.content.size(), sizeof joined);
      EXPECT_EQ(std::memcmp(letter.content.data(), &joined, sizeof joined), 0);
      ASSERT_EQ(letter.joined.size(), count);
      for (std::size_t i = 0; i < count; ++i) {
        std::size_t number = count;
        ASSERT_EQ(::read(letter.joined[i].get(), &number, sizeof number),
                  static_cast<ssize_t>(sizeof number));
        EXPECT_EQ(number, i);
        EXPECT_EQ(::fcntl(letter.joined[i].get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
      }
    }
    EXPECT_EQ(descriptors(), before) << count;
  }
}

TEST_F(InboxTest, MoreDescriptorsThanALetterTakesAreRefused) {
  const std::vector<int> fds(kLetterDescriptorsMax + 1, socket_.get());
  EXPECT_EQ(post(inboxes_->writer(1), LetterKind::joined, 1, bytes_of("12345678"), fds),
            Posted::failed);
  EXPECT_EQ(errno, E2BIG);
  // Content too long for the letter takes one of them.
  const std::string large(Inbox::kInlineBytesMax + 1, 'l');
  EXPECT_EQ(post(inboxes_->writer(1), LetterKind::joined, 1, bytes_of(large),
                 std::span{fds}.first(kLetterDescriptorsMax)),
            Posted::failed);
  Letter letter;
  EXPECT_EQ(inbox_->look(letter), Look::empty);
}

TEST_F(InboxTest, MoreSlotsLeaveThoseThatThereAreAsTheyAre) {
  ASSERT_EQ(post_session("before"), Posted::posted);
  const int writer = inboxes_->writer(1);
  ASSERT_TRUE(inboxes_->grow(40));
  EXPECT_EQ(inboxes_->slots(), 40U);
  EXPECT_EQ(inboxes_->writer(1), writer);
  ASSERT_EQ(post(inboxes_->writer(39), LetterKind::session, 0, bytes_of("new"), socket_.get()),
            Posted::posted);
  Letter letter;
  ASSERT_EQ(inbox_->look(letter), Look::letter);
  EXPECT_EQ(text_of(letter.content), "before");
  Inbox last{inboxes_->reader(39)};
  ASSERT_EQ(last.look(letter), Look::letter);
  EXPECT_EQ(text_of(letter.content), "new");
  letter = {};
  const int before = descriptors();
  inboxes_->shrink(2);
  EXPECT_EQ(inboxes_->slots(), 2U);
  EXPECT_EQ(descriptors(), before - 2 * 38);
}

TEST_F(InboxTest, WhereDescriptorsRunOutThereAreAsManyInboxesAsBefore) {
  const int before = descriptors();
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const UniqueFd highest{::dup(socket_.get())};
  const rlimit few{.rlim_cur = static_cast<rlim_t>(highest.get()) + 12, .rlim_max = limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  const auto grown = inboxes_->grow(40);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  ASSERT_FALSE(grown);
  EXPECT_EQ(to_string(grown.error()),
            "making the workers' inboxes: Too many open files; raise the limit on open files");
  EXPECT_EQ(inboxes_->slots(), 2U);
  EXPECT_EQ(descriptors(), before + 1);
}

TEST_F(InboxTest, OneThatIsShutTakesNothingMoreAndKeepsWhatItHas) {
  ASSERT_EQ(post_session("first"), Posted::posted);
  ASSERT_EQ(post_session(std::string(100'000, '2')), Posted::posted);
  inboxes_->shut(1);
  EXPECT_EQ(post_session("late"), Posted::failed);
  EXPECT_EQ(errno, EPIPE);
  Letter letter;
  ASSERT_EQ(inbox_->look(letter), Look::letter);
  EXPECT_EQ(text_of(letter.content), "first");
  inbox_->take_off();
  ASSERT_EQ(inbox_->look(letter), Look::letter);
  EXPECT_TRUE(text_of(letter.content) == std::string(100'000, '2'));
  inbox_->take_off();
  EXPECT_EQ(inbox_->look(letter), Look::empty);
}

TEST_F(InboxTest, RulesHaveNoSocketWhateverTheirSize) {
  for (const std::size_t size : {std::size_t{200}, Inbox::kInlineBytesMax + 1}) {
    const std::string content(size, 'r');
    ASSERT_EQ(post(inboxes_->writer(1), LetterKind::rules, 1, bytes_of(content)), Posted::posted);
    Letter letter;
    ASSERT_EQ(inbox_->look(letter), Look::letter);
    EXPECT_EQ(letter.kind, LetterKind::rules);
    EXPECT_EQ(text_of(letter.content), content);
    EXPECT_FALSE(letter.fd);
    inbox_->take_off();
  }
}

TEST_F(InboxTest, ARecordingBeginsWithAPipeAndEndsWithout) {
  const RecordOrder order{.began_ns = 4'711};
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reader{ends[0]};
  const UniqueFd writer{ends[1]};
  ASSERT_EQ(post(inboxes_->writer(1), LetterKind::record, 1, content_of(order), writer.get()),
            Posted::posted);
  ASSERT_EQ(post(inboxes_->writer(1), LetterKind::record_end, 1, content_of(order)),
            Posted::posted);
  Inbox inbox{inboxes_->reader(1)};
  Letter letter;
  for (const LetterKind kind : {LetterKind::record, LetterKind::record_end}) {
    ASSERT_EQ(inbox.look(letter), Inbox::Look::letter);
    EXPECT_EQ(letter.kind, kind);
    EXPECT_EQ(static_cast<bool>(letter.fd), kind == LetterKind::record);
    ASSERT_EQ(letter.content.size(), sizeof order);
    EXPECT_EQ(std::memcmp(letter.content.data(), &order, sizeof order), 0);
    inbox.take_off();
  }
  ASSERT_EQ(post(inboxes_->writer(1), LetterKind::record, 1, content_of(order)), Posted::posted);
  EXPECT_EQ(inbox.look(letter), Inbox::Look::damaged) << "without a pipe";
}

TEST_F(InboxTest, SessionsComeWithTheirSocketsWhateverTheirSize) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, Inbox::kInlineBytesMax,
                                 Inbox::kInlineBytesMax + 1, std::size_t{3} << 20}) {
    const int before = descriptors();
    std::string content(size, '\0');
    for (std::size_t i = 0; i < size; ++i) content[i] = static_cast<char>(i * 7 >> 3);
    ASSERT_EQ(post_session(content), Posted::posted) << size;
    {
      Letter letter;
      ASSERT_EQ(inbox_->look(letter), Look::letter) << size;
      EXPECT_EQ(letter.kind, LetterKind::session);
      EXPECT_EQ(letter.from, 0U);
      EXPECT_TRUE(text_of(letter.content) == content) << size;
      expect_socket(letter.fd);
      inbox_->take_off();
    }
    EXPECT_EQ(descriptors(), before) << size;
  }
}

TEST_F(InboxTest, LookingAgainSeesTheSame) {
  ASSERT_EQ(post_session("first"), Posted::posted);
  ASSERT_EQ(post_session(std::string(100'000, '2')), Posted::posted);
  const int before = descriptors();
  for (int i = 0; i < 3; ++i) {
    Letter letter;
    ASSERT_EQ(inbox_->look(letter), Look::letter);
    EXPECT_EQ(text_of(letter.content), "first");
    expect_socket(letter.fd);
  }
  inbox_->take_off();
  for (int i = 0; i < 3; ++i) {
    Letter letter;
    ASSERT_EQ(inbox_->look(letter), Look::letter);
    EXPECT_TRUE(text_of(letter.content) == std::string(100'000, '2'));
  }
  EXPECT_EQ(descriptors(), before);
}

TEST_F(InboxTest, ALetterThatItsReaderDidNotLiveToTakeOffIsTheNextOnes) {
  ASSERT_EQ(post_session("left behind"), Posted::posted);
  {
    Inbox dies{inboxes_->reader(1)};
    Letter letter;
    ASSERT_EQ(dies.look(letter), Look::letter);
  }
  Inbox successor{inboxes_->reader(1)};
  Letter letter;
  ASSERT_EQ(successor.look(letter), Look::letter);
  EXPECT_EQ(text_of(letter.content), "left behind");
  expect_socket(letter.fd);
}

TEST_F(InboxTest, WhatIsPostedOutlivesThePostersDescriptor) {
  ASSERT_EQ(post_session("orphan"), Posted::posted);
  socket_.reset();
  char got = 0;
  EXPECT_LT(::recv(peer_.get(), &got, 1, MSG_DONTWAIT), 0) << "no end of the stream";
  EXPECT_EQ(errno, EAGAIN);
  Letter letter;
  ASSERT_EQ(inbox_->look(letter), Look::letter);
  ASSERT_EQ(::write(letter.fd.get(), "x", 1), 1);
  EXPECT_EQ(::recv(peer_.get(), &got, 1, MSG_DONTWAIT), 1);
}

TEST_F(InboxTest, LettersGoToTheirSlotAlone) {
  ASSERT_EQ(post_session("for 1"), Posted::posted);
  Inbox other{inboxes_->reader(0)};
  Letter letter;
  EXPECT_EQ(other.look(letter), Look::empty);
}

TEST_F(InboxTest, AFullQueueTakesNoMoreUntilOneIsTakenOffAndLosesNone) {
  const std::string content(60'000, 'f');
  int posted = 0;
  for (; posted < 10'000; ++posted) {
    const Posted answer = post_session(content);
    if (answer == Posted::posted) continue;
    EXPECT_EQ(answer, Posted::no_room);
    break;
  }
  ASSERT_LT(posted, 10'000);
  ASSERT_GT(posted, 1);
  for (int i = 0; i < posted; ++i) {
    Letter letter;
    ASSERT_EQ(inbox_->look(letter), Look::letter) << i;
    EXPECT_EQ(letter.content.size(), content.size());
    inbox_->take_off();
  }
  Letter letter;
  EXPECT_EQ(inbox_->look(letter), Look::empty);
  EXPECT_EQ(post_session(content), Posted::posted);
}

TEST_F(InboxTest, WithoutADescriptorToSpareALetterStaysWhereItIs) {
  ASSERT_EQ(post_session("waits"), Posted::posted);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const UniqueFd highest{::dup(socket_.get())};  // the lowest that is free: those above are too
  const rlimit none{.rlim_cur = static_cast<rlim_t>(highest.get()) + 1,
                    .rlim_max = before.rlim_max};
  Letter letter;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const Look found = inbox_->look(letter);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(found, Look::no_room);
  ASSERT_EQ(inbox_->look(letter), Look::letter);
  EXPECT_EQ(text_of(letter.content), "waits");
  expect_socket(letter.fd);
}

TEST_F(InboxTest, WhatIsNoLetterIsDamagedAndCanBeTakenOff) {
  // A whole one, to cut and to change.
  ASSERT_EQ(post(inboxes_->writer(1), LetterKind::give, 1, bytes_of("12345678")), Posted::posted);
  std::string whole(100, '\0');
  const ssize_t size = ::recv(inboxes_->reader(1), whole.data(), whole.size(), 0);
  ASSERT_EQ(size, 24 + 8);
  whole.resize(static_cast<std::size_t>(size));

  std::vector<std::string> cases{
      "x",         std::string(24, '\0'),   whole.substr(0, 23), whole.substr(0, 31),
      whole + 'x', std::string(70'000, 'x')};
  for (const std::size_t at : {0U, 4U, 12U, 16U}) {  // magic, kind, in_file, bytes
    cases.push_back(whole);
    cases.back()[at] = static_cast<char>(cases.back()[at] ^ 1);
  }
  for (const std::string& damaged : cases) {
    ASSERT_EQ(::send(inboxes_->writer(1), damaged.data(), damaged.size(), 0),
              static_cast<ssize_t>(damaged.size()));
    Letter letter;
    EXPECT_EQ(inbox_->look(letter), Look::damaged) << damaged.size();
    inbox_->take_off();
  }
  ASSERT_EQ(post_session("sound"), Posted::posted);
  Letter letter;
  ASSERT_EQ(inbox_->look(letter), Look::letter);
  EXPECT_EQ(text_of(letter.content), "sound");
}

}  // namespace
}  // namespace weir::process
