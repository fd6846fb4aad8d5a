// What a recording's lines are, and the trace that they come to.
#include "weir/admin/recording.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <climits>
#include <string>
#include <string_view>

namespace weir::admin {
namespace {

constexpr Instant kBegan{Duration{5'000'000'000}};
constexpr std::string_view kHeader = "arrival_s,client,lifetime_s,messages,cost_us,bytes\n";

SessionPiece piece(std::uint64_t session, std::uint64_t began_ms, std::uint64_t ended_ms) {
  return {.session = session,
          .began_ns = 5'000'000'000 + began_ms * 1'000'000,
          .ended_ns = 5'000'000'000 + ended_ms * 1'000'000,
          .messages = 4,
          .bytes = 1'000,
          .cost_ns = 10'000,
          .client = fmt::format("10.0.0.{}", session)};
}

std::string trace_of(std::string_view lines) {
  Recording recording;
  recording.feed(lines);
  return recording.trace(kBegan);
}

TEST(Recording, ALineIsWrittenAtOnceHoweverLargeItsNumbers) {
  EXPECT_EQ(piece(7, 1, 2).to_line(), "s,7,5001000000,5002000000,4,1000,10000,10.0.0.7\n");
  EXPECT_EQ(missing_line(3), "m,3\n");
  EXPECT_EQ(died_line(2), "d,2\n");
  const std::string longest = SessionPiece{.session = UINT64_MAX,
                                           .began_ns = UINT64_MAX,
                                           .ended_ns = UINT64_MAX,
                                           .messages = UINT64_MAX,
                                           .bytes = UINT64_MAX,
                                           .cost_ns = UINT64_MAX,
                                           .client = std::string(45, 'f')}
                                  .to_line();
  EXPECT_LE(longest.size(), std::size_t{_POSIX_PIPE_BUF});
}

TEST(Recording, ComesToATraceInTheOrderOfArrival) {
  const std::string lines =
      piece(3, 30, 40).to_line() + piece(1, 0, 50).to_line() + piece(2, 20, 2'020).to_line();
  EXPECT_EQ(trace_of(lines), std::string{kHeader} +
                                 "0.000000,10.0.0.1,0.050000,4,2.500,1000\n"
                                 "0.020000,10.0.0.2,2.000000,4,2.500,1000\n"
                                 "0.030000,10.0.0.3,0.010000,4,2.500,1000\n");
  EXPECT_EQ(trace_of(""), kHeader);
}

TEST(Recording, MayComeInAnyPieces) {
  const std::string lines = piece(1, 0, 50).to_line() + "m,2\n" + piece(2, 20, 60).to_line();
  const std::string whole = trace_of(lines);
  for (std::size_t cut = 0; cut <= lines.size(); ++cut) {
    Recording recording;
    recording.feed(std::string_view{lines}.substr(0, cut));
    recording.feed(std::string_view{lines}.substr(cut));
    EXPECT_EQ(recording.trace(kBegan), whole) << cut;
  }
}

TEST(Recording, ASessionThatMovedIsOne) {
  SessionPiece first = piece(1, 10, 20);
  SessionPiece second = piece(1, 21, 40);
  second.messages = 6;
  second.bytes = 500;
  second.cost_ns = 20'000;
  const std::string expected = std::string{kHeader} + "0.010000,10.0.0.1,0.030000,10,3.000,1500\n";
  EXPECT_EQ(trace_of(first.to_line() + second.to_line()), expected);
  EXPECT_EQ(trace_of(second.to_line() + first.to_line()), expected) << "in either order";
}

TEST(Recording, OneThatSaidNothingCostsNothing) {
  SessionPiece silent = piece(1, 10, 20);
  silent.messages = silent.bytes = silent.cost_ns = 0;
  EXPECT_EQ(trace_of(silent.to_line()),
            std::string{kHeader} + "0.010000,10.0.0.1,0.010000,0,0.000,0\n");
}

TEST(Recording, NothingArrivesBeforeItBegan) {
  SessionPiece early = piece(1, 0, 20);
  early.began_ns -= 1'000'000'000;
  EXPECT_TRUE(trace_of(early.to_line()).starts_with(std::string{kHeader} + "0.000000,10.0.0.1,"));
}

TEST(Recording, SaysAtTheEndWhatIsNotInIt) {
  Recording recording;
  recording.feed("m,2\nd,1\n" + piece(1, 0, 50).to_line() + "m,3\n");
  recording.remark("and so on");
  EXPECT_EQ(recording.sessions(), 1U);
  EXPECT_EQ(recording.trace(kBegan),
            std::string{kHeader} +
                "0.000000,10.0.0.1,0.050000,4,2.500,1000\n"
                "# 5 records are missing: the pipe had no room for them\n"
                "# the worker of slot 1 died: what its sessions did is not told\n"
                "# and so on\n");
}

TEST(Recording, WhatIsNoLineOfOneIsCountedAndLeftOut) {
  constexpr std::string_view kNone[] = {
      "",
      "s",
      "x,1",
      "m,",
      "m,-1",
      "m,1,2",
      "d,one",
      "s,1,2,3,4,5,6",
      "s,1,2,3,4,5,6,",
      "s,1,2,3,4,5,x,10.0.0.1",
      "s,1,2,3,4,5,-6,10.0.0.1",
      "s,1,2,3,4,5,6,10.0.0.1,7",
      "s,99999999999999999999,2,3,4,5,6,10.0.0.1",
  };
  for (const std::string_view line : kNone)
    EXPECT_EQ(trace_of(fmt::format("{}\n", line)),
              std::string{kHeader} + "# 1 lines of the pipe were none of a recording\n")
        << line;
  EXPECT_EQ(trace_of("s,1,2,3"),
            std::string{kHeader} + "# 1 lines of the pipe were none of a recording\n")
      << "cut short";
}

}  // namespace
}  // namespace weir::admin
