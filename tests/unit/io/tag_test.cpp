#include "weir/io/tag.h"

#include <gtest/gtest.h>

namespace weir::io {
namespace {

TEST(Tag, SurvivesTheRideThroughUserData) {
  const Tag tag = Tag::of(Op::send, 0xfedc'ba98U, 0x12'3456U);
  const Tag back = Tag::from_user_data(tag.user_data());
  EXPECT_EQ(back.operation(), Op::send);
  EXPECT_EQ(back.slot, 0xfedc'ba98U);
  EXPECT_EQ(back.generation, 0x12'3456U);
}

TEST(Tag, AGenerationKeepsItsLow24BitsAndTouchesNothingElse) {
  const Tag tag = Tag::of(Op::receive, 7, 0xff00'0001U);
  EXPECT_EQ(tag.generation, 1U);
  EXPECT_EQ(tag.slot, 7U);
  EXPECT_EQ(tag.operation(), Op::receive);
}

}  // namespace
}  // namespace weir::io
