#include "weir/wire/close_code.h"

#include <gtest/gtest.h>

namespace weir::wire {
namespace {

struct Range {
  unsigned first, last;
  bool allowed;
};

// RFC 6455, section 7.4, and the IANA registry for 1012 to 1014.
constexpr Range kRanges[] = {
    {0, 999, false},     {1000, 1003, true}, {1004, 1006, false},   {1007, 1014, true},
    {1015, 2999, false}, {3000, 4999, true}, {5000, 65'535, false},
};

TEST(CloseCode, EachOfThe65536CodesIsAllowedOrNot) {
  unsigned next = 0;
  for (const Range& range : kRanges) {
    ASSERT_EQ(range.first, next) << "the table has a hole";
    for (unsigned code = range.first; code <= range.last; ++code) {
      ASSERT_EQ(allowed_on_the_wire(static_cast<std::uint16_t>(code)), range.allowed) << code;
    }
    next = range.last + 1;
  }
  EXPECT_EQ(next, 65'536U);
}

}  // namespace
}  // namespace weir::wire
