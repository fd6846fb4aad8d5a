#include "sim/trace.h"

#include <gtest/gtest.h>

#include <sstream>

namespace weir::sim {
namespace {

constexpr const char* kHeader = "arrival_s,client,lifetime_s,messages,cost_us,bytes\n";

TEST(Trace, EveryFieldIsRead) {
  std::istringstream in{std::string{kHeader} +
                        "0.5,10.0.0.7,20,40,85.5,5120\n"
                        "\n"
                        "# a word in between\n"
                        "0.5,10.0.0.8,3,0,0,0\n"
                        "2.25,10.0.0.7,1e1,1,0,0"};
  auto trace = Trace::open(in, "made.csv", 1);
  ASSERT_TRUE(trace);
  const auto one = trace->next();
  const auto two = trace->next();
  const auto three = trace->next();
  ASSERT_TRUE(one && two && three);
  EXPECT_EQ(one->arrives, kSecond / 2);
  EXPECT_EQ(one->lifetime, 20 * kSecond);
  EXPECT_DOUBLE_EQ(one->message_gap_ns, 0.5e9);
  EXPECT_DOUBLE_EQ(one->cost.mean, 85.5e-6);
  EXPECT_EQ(one->bytes, 128U);
  EXPECT_EQ(two->message_gap_ns, 0);
  EXPECT_EQ(three->arrives, 9 * kSecond / 4);
  EXPECT_EQ(one->client, three->client);
  EXPECT_NE(one->client, two->client);
  EXPECT_NE(one->hash, three->hash) << "another connection of the same client";
  EXPECT_FALSE(trace->next());
  EXPECT_FALSE(trace->error());
}

TEST(Trace, AnotherHeaderIsRefused) {
  std::istringstream in{"time,client\n"};
  const auto trace = Trace::open(in, "made.csv", 1);
  ASSERT_FALSE(trace);
  EXPECT_EQ(to_string(trace.error()),
            "made.csv: the first line is not that of a trace; it has to be "
            "arrival_s,client,lifetime_s,messages,cost_us,bytes");
}

TEST(Trace, AWrongLineIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"1,a,1,1,1", "is no session"},
      {"1,a,1,1,1,1,1", "is no session"},
      {"x,a,1,1,1,1", "is no session"},
      {"-1,a,1,1,1,1", "is no session"},
      {"1,,1,1,1,1", "is no session"},
      {"1,a,nan,1,1,1", "is no session"},
      {"1,a,1e99,1,1,1", "is no session"},
      {"1,a,1,1,1,1 ", "is no session"},
      {"0.25,a,1,1,1,1", "arrives before the line above"},
  };
  for (const auto& [line, why] : cases) {
    std::istringstream in{std::string{kHeader} + "0.5,a,1,1,1,1\n" + line + "\n"};
    auto trace = Trace::open(in, "t", 1);
    ASSERT_TRUE(trace);
    EXPECT_TRUE(trace->next());
    EXPECT_FALSE(trace->next()) << line;
    ASSERT_TRUE(trace->error()) << line;
    EXPECT_EQ(trace->error()->what, std::string{"t, line 3: "} + why) << line;
  }
}

}  // namespace
}  // namespace weir::sim
