#include "weir/base/units.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

using std::chrono::nanoseconds;

struct DurationCase {
  std::string_view text;
  std::int64_t ns;  // -1: refused
  std::string_view written;
};

constexpr DurationCase kDurations[] = {
    {"50ms", 50'000'000, "50ms"},
    {"0", 0, "0"},
    {"0s", 0, "0"},
    {"1500ms", 1'500'000'000, "1500ms"},
    {"2000ms", 2'000'000'000, "2s"},
    {"90s", 90'000'000'000, "90s"},
    {"2h", 7'200'000'000'000, "2h"},
    {"7ns", 7, "7ns"},
    {"7us", 7'000, "7us"},
    {"5", -1, ""},  // a bare number could be anything
    {"", -1, ""},
    {"ms", -1, ""},
    {"-1s", -1, ""},
    {"1.5s", -1, ""},
    {"1 s", -1, ""},
    {"1sec", -1, ""},
    {"18446744073709551615h", -1, ""},
    {"999999999999999999999s", -1, ""},
};

TEST(Units, DurationsAreReadAndWrittenExactly) {
  for (const DurationCase& c : kDurations) {
    const auto parsed = parse_duration(c.text);
    ASSERT_EQ(parsed.has_value(), c.ns >= 0) << c.text;
    if (!parsed) continue;
    EXPECT_EQ(parsed->count(), c.ns) << c.text;
    EXPECT_EQ(format_duration(*parsed), c.written) << c.text;
  }
}

struct SizeCase {
  std::string_view text;
  std::int64_t bytes;  // -1: refused
  std::string_view written;
};

constexpr SizeCase kSizes[] = {
    {"64KiB", 65'536, "64KiB"},
    {"1MiB", 1'048'576, "1MiB"},
    {"1024KiB", 1'048'576, "1MiB"},
    {"2GiB", 2'147'483'648, "2GiB"},
    {"1000", 1'000, "1000"},
    {"1kB", 1'000, "1000"},
    {"3MB", 3'000'000, "3000000"},
    {"12B", 12, "12"},
    {"0", 0, "0"},
    {"", -1, ""},
    {"KiB", -1, ""},
    {"64K", -1, ""},
    {"-1", -1, ""},
    {"1.5MiB", -1, ""},
    {"9223372036854775808", -1, ""},
    {"8589934592GiB", -1, ""},
};

TEST(Units, SizesAreReadAndWrittenExactly) {
  for (const SizeCase& c : kSizes) {
    const auto parsed = parse_size(c.text);
    ASSERT_EQ(parsed.has_value(), c.bytes >= 0) << c.text;
    if (!parsed) continue;
    EXPECT_EQ(*parsed, static_cast<std::uint64_t>(c.bytes)) << c.text;
    EXPECT_EQ(format_size(*parsed), c.written) << c.text;
  }
}

}  // namespace
}  // namespace weir
