// Thousands of frame streams, whole and broken, through our decoder and through Boost.Beast's
// server: the same messages, the same control frames, the same end.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "said.h"
#include "streams.h"

namespace weir::differential {
namespace {

using wire::FrameError;

constexpr int kStreamsPerDefect = 150;
constexpr int kWholeStreams = 1'500;
constexpr int kDamagedStreams = 1'500;

/// Where Beast does otherwise than we do, and why.
struct Difference {
  FrameError ours;
  bool (*is_beasts)(const Said& ours, const Said& beasts);
  std::string_view reason;
};
constexpr Difference kDifferences[] = {
    {FrameError::close_reason_invalid_utf8,
     [](const Said&, const Said& beasts) { return beasts.end == "fail 1002"; },
     "Beast takes a close frame that is wrong in any way for a protocol error; text that is not "
     "UTF-8 has 1007 (RFC 6455, 8.1), and a reason is text (5.5.1)"},
    {FrameError::length_too_big,
     [](const Said&, const Said& beasts) { return beasts.end == "fail 1009"; },
     "Beast does not look at the top bit of a 64-bit length, which has to be 0 (5.2), and finds "
     "the length over its limit"},
    {FrameError::close_code_invalid,
     [](const Said&, const Said& beasts) {
       return beasts.end.starts_with("close ") && std::stoul(beasts.end.substr(6)) >= 5'000;
     },
     "Beast takes codes from 5000 on, which 7.4.2 gives to nobody"},
    {FrameError::invalid_utf8,
     [](const Said& ours, const Said& beasts) {
       if (beasts.items.size() <= ours.items.size()) return false;
       const std::string_view text = beasts.items[ours.items.size()];
       return text.starts_with("text ") && !wire::is_utf8(std::as_bytes(std::span{text}));
     },
     "Beast does not ask whether the text ends with a character where its last frame is empty, and "
     "hands over what is not UTF-8 (8.1)"},
};

std::map<std::string_view, int> differences_met;  // by reason

/// Asks both, and returns what we found wrong.
FrameError compare(Random& random, const std::string& stream) {
  const Ours ours = ask_weir(stream, make_pieces(random, stream.size()), kMessageBytesMax);
  Said beasts = ask_beast(stream, make_pieces(random, stream.size()), kMessageBytesMax);
  for (const Difference& difference : kDifferences) {
    if (ours.error != difference.ours || !difference.is_beasts(ours.said, beasts)) continue;
    ++differences_met[difference.reason];
    beasts.end = ours.said.end;
    beasts.items.resize(std::min(beasts.items.size(), ours.said.items.size()));
  }
  EXPECT_EQ(ours.said, beasts) << "after our " << to_string(ours.error);
  return ours.error;
}

TEST(FramesAndBeast, AgreeOnWholeStreams) {
  Random random{1};
  for (int i = 0; i < kWholeStreams; ++i) {
    SCOPED_TRACE(i);
    ASSERT_EQ(compare(random, make_stream(random, FrameError::none)), FrameError::none);
    ASSERT_FALSE(HasFailure());
  }
}

TEST(FramesAndBeast, AgreeOnEachDefect) {
  for (const FrameError defect : kDefects) {
    Random random{static_cast<std::uint32_t>(defect)};
    for (int i = 0; i < kStreamsPerDefect; ++i) {
      SCOPED_TRACE(fmt::format("{}, stream {}", to_string(defect), i));
      ASSERT_EQ(compare(random, make_stream(random, defect)), defect);
      ASSERT_FALSE(HasFailure());
    }
  }
  for (const Difference& difference : kDifferences)
    EXPECT_GT(differences_met[difference.reason], 0) << "no longer so: " << difference.reason;
}

// Bytes changed at random: whatever they break, both say the same of it.
TEST(FramesAndBeast, AgreeOnStreamsThatWereDamagedOnTheWay) {
  Random random{2};
  std::map<FrameError, int> found;
  for (int i = 0; i < kDamagedStreams; ++i) {
    SCOPED_TRACE(i);
    std::string stream = make_stream(random, FrameError::none);
    for (std::size_t changes = 1 + random.below(3); changes > 0 && !stream.empty(); --changes)
      stream[random.below(stream.size())] = static_cast<char>(random.below(256));
    ++found[compare(random, stream)];
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GE(found.size(), 9U) << "too few ways to be broken for the test to mean anything";
}

}  // namespace
}  // namespace weir::differential
