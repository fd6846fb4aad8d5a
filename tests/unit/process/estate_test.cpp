// What one master hands to the next: its description, its descriptors by name, and the frames that
// both travel in.
#include "weir/process/estate.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>

#include "weir/process/channel.h"

namespace weir::process {
namespace {

using std::chrono::milliseconds;

struct Pair {
  Pair() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0) {
      one.reset(ends[0]);
      other.reset(ends[1]);
    }
  }
  UniqueFd one;
  UniqueFd other;
};

EstateTerms terms() {
  return {.version = "1.2.3",
          .app = "echo",
          .parcel_oldest = 1,
          .parcel_newest = 2,
          .workers = 3,
          .workers_asked = 4,
          .places = 5'000,
          .bank = 1,
          .control = "/run/weir/control.sock",
          .settings = "0badcafe",
          .listens = {{.asked = *SocketAddress::parse("127.0.0.1:0"),
                       .address = *SocketAddress::parse("127.0.0.1:4711"),
                       .proxy = true,
                       .tls = false,
                       .passed = 2}}};
}

TEST(EstateTerms, AreTheSameAfterAsBefore) {
  const std::string text = terms().to_text();
  EXPECT_EQ(text,
            R"({"version":"1.2.3","app":"echo","parcel_oldest":1,"parcel_newest":2,"workers":3,)"
            R"("workers_asked":4,"places":5000,"bank":1,"control":"/run/weir/control.sock",)"
            R"("settings":"0badcafe","listens":[{"asked":"127.0.0.1:0",)"
            R"("address":"127.0.0.1:4711","proxy":true,"tls":false,"passed":2}]})");
  const auto read = EstateTerms::from_text(text);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->to_text(), text);
}

TEST(EstateTerms, HaveWhatWasSetOfTheSteeringWhereSomethingWas) {
  EstateTerms changed = terms();
  changed.set.policy = steering::Policy::round_robin;
  changed.set.weights = {{0, 3}, {1'023, 1'000}};
  const std::string text = changed.to_text();
  EXPECT_TRUE(text.ends_with(R"("set":{"steer":"round-robin","weights":{"0":3,"1023":1000}}})"));
  const auto read = EstateTerms::from_text(text);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->set, changed.set);
  EXPECT_EQ(EstateTerms::from_text(terms().to_text())->set, SteeringSet{});
}

TEST(EstateTerms, OfWhatWasSetTakeWhatThisVersionKnows) {
  const auto set_of = [](std::string_view set) {
    std::string text = terms().to_text();
    text.pop_back();
    const auto read = EstateTerms::from_text(fmt::format("{},\"set\":{}}}", text, set));
    EXPECT_TRUE(read) << set;
    return read ? read->set : SteeringSet{};
  };
  const SteeringSet one{.policy = {}, .weights = {{1, 2}}};
  EXPECT_EQ(set_of(R"({"steer":"by-the-stars","weights":{"1":2}})"), one);
  EXPECT_EQ(set_of(R"({"weights":{"1":2,"0":0,"2":1001,"3":"4","x":5,"1024":6,"-1":7,"":8}})"),
            one);
  for (const std::string_view none : {"{}", "[]", "1", R"({"steer":1,"weights":[1]})"})
    EXPECT_EQ(set_of(none), SteeringSet{}) << none;
}

TEST(EstateTerms, HaveTheRecordingWhereOneIsUnderWay) {
  EstateTerms recording = terms();
  recording.recording_began_ns = 12'345'678'901'234;
  const std::string text = recording.to_text();
  EXPECT_TRUE(text.ends_with(R"(,"recording_began_ns":12345678901234})")) << text;
  EXPECT_EQ(EstateTerms::from_text(text)->recording_began_ns, 12'345'678'901'234U);
  EXPECT_EQ(EstateTerms::from_text(terms().to_text())->recording_began_ns, 0U);
}

TEST(SteeringSet, GoesOverWhatIsConfigured) {
  using Weights = std::vector<std::uint32_t>;
  SteeringSet set;
  EXPECT_FALSE(set.any());
  EXPECT_EQ(set.weights_over({}, 3), Weights{}) << "all 1, however many";
  EXPECT_EQ(set.weights_over(Weights{4, 2, 1}, 3), (Weights{4, 2, 1}));
  set.weights = {{1, 7}, {5, 9}};
  EXPECT_TRUE(set.any());
  EXPECT_EQ(set.weights_over({}, 3), (Weights{1, 7, 1})) << "what is new weighs 1";
  EXPECT_EQ(set.weights_over({}, 6), (Weights{1, 7, 1, 1, 1, 9}));
  EXPECT_EQ(set.weights_over(Weights{4, 2, 1}, 3), (Weights{4, 7, 1}));
  set.policy = steering::Policy::two_choices;
  EXPECT_EQ(set.to_string(), "steer two-choices, weight 1 7, weight 5 9");
  set.forget_from(5);
  EXPECT_EQ(set.to_string(), "steer two-choices, weight 1 7");
}

TEST(EstateTerms, TakeWhatALaterVersionAddsAndNothingThatLacksAnything) {
  std::string more = terms().to_text();
  more.insert(1, R"("new":{"in":"version 2"},)");
  EXPECT_TRUE(EstateTerms::from_text(more));
  for (const std::string_view member :
       {"version", "app", "parcel_oldest", "parcel_newest", "workers", "workers_asked", "places",
        "bank", "control", "settings", "listens", "asked", "address", "passed"}) {
    std::string less = terms().to_text();
    const std::string name = '"' + std::string{member} + '"';
    less.replace(less.find(name), name.size(), "\"x\"");
    const auto read = EstateTerms::from_text(less);
    ASSERT_FALSE(read) << member;
    EXPECT_TRUE(read.error().what.starts_with("what the other weir hands over cannot be used: "));
  }
  for (const std::string_view text : {"", "[]", "weir", R"({"version":1})"})
    EXPECT_FALSE(EstateTerms::from_text(text)) << text;
}

TEST(EstateTerms, TheNewestParcelThatBothKnowIsTheCommonOne) {
  EXPECT_EQ(common_parcel_version(1, 1, 1, 1), 1);
  EXPECT_EQ(common_parcel_version(1, 3, 2, 5), 3);
  EXPECT_EQ(common_parcel_version(2, 5, 1, 3), 3);
  EXPECT_EQ(common_parcel_version(1, 2, 3, 4), 0);
  EXPECT_EQ(common_parcel_version(3, 4, 1, 2), 0);
}

TEST(Estate, ComesWithAllItsDescriptorsByName) {
  Pair channel;
  EstateItems items;
  std::vector<UniqueFd> files;
  for (int i = 0; i < 450; ++i) {  // more than one frame takes
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    files.emplace_back(ends[0]);
    const UniqueFd writer{ends[1]};
    ASSERT_EQ(::write(writer.get(), &i, sizeof i), static_cast<ssize_t>(sizeof i));
    items.emplace_back("item." + std::to_string(i), ends[0]);
  }
  ASSERT_TRUE(send_estate(channel.one.get(), terms(), items));
  auto estate = receive_estate(channel.other.get(), milliseconds{1'000});
  ASSERT_TRUE(estate) << to_string(estate.error());
  EXPECT_EQ(estate->terms.to_text(), terms().to_text());
  ASSERT_EQ(estate->items.size(), items.size());
  for (int i = 0; i < 450; ++i) {
    const auto fd = estate->take("item." + std::to_string(i));
    ASSERT_TRUE(fd);
    EXPECT_EQ(::fcntl(fd->get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    int number = -1;
    EXPECT_EQ(::read(fd->get(), &number, sizeof number), static_cast<ssize_t>(sizeof number));
    EXPECT_EQ(number, i);
  }
  EXPECT_FALSE(estate->take("item.0")) << "once";
}

TEST(Channel, AFrameIsItsHeadAndItsText) {
  Pair channel;
  ASSERT_TRUE(send_frame(channel.one.get(), "go"));
  std::array<char, 32> bytes{};
  ASSERT_EQ(::recv(channel.other.get(), bytes.data(), bytes.size(), MSG_DONTWAIT), 14);
  EXPECT_EQ(std::memcmp(bytes.data(), "weir\2\0\0\0\0\0\0\0go", 14), 0);
}

TEST(Channel, WhatIsNoFrameOrDoesNotComeIsRefused) {
  Pair channel;
  EXPECT_EQ(receive_frame(channel.other.get(), milliseconds{1}).error().what,
            "the other weir does not answer");
  ASSERT_EQ(::send(channel.one.get(), "{\"ok\":false}\n", 13, 0), 13);
  EXPECT_EQ(receive_frame(channel.other.get(), milliseconds{1}).error().what,
            "what came from the other weir is no message of weir's");
  Pair ended;
  ended.one.reset();
  EXPECT_EQ(receive_frame(ended.other.get(), milliseconds{1'000}).error().what,
            "the other weir has gone");
  EXPECT_FALSE(send_frame(ended.other.get(), "anyone?"));
  EXPECT_FALSE(send_frame(channel.one.get(), std::string(kFrameBytesMax + 1, 'x')));
}

}  // namespace
}  // namespace weir::process
