// What the commands steer and weight are asked, and what they say beside their answer.
#include "launch/steer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <string_view>

namespace weir::launch {
namespace {

using steering::Backend;
using steering::Policy;

boost::json::object request(std::string_view text) {
  return boost::json::parse(text).as_object();
}

TEST(SteerCommand, TakesEveryPolicyByItsName) {
  for (const std::string_view name : steering::policy_names()) {
    const auto policy = policy_in(request(fmt::format(R"({{"policy":"{}"}})", name)));
    ASSERT_TRUE(policy) << name;
    EXPECT_EQ(steering::to_string(*policy), name);
  }
}

TEST(SteerCommand, NamesThePoliciesToWhoNamesNone) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {R"({"policy":"fastest"})", "'fastest' is no policy: expected least-connections, "},
      {R"({"policy":""})", "'' is no policy: expected least-connections, "},
      {R"({"policy":1})", "the policy is missing: expected least-connections, "},
      {R"({})", "the policy is missing: expected least-connections, "},
  };
  for (const auto& [text, begin] : cases) {
    const auto policy = policy_in(request(text));
    ASSERT_FALSE(policy) << text;
    EXPECT_TRUE(policy.error().what.starts_with(begin)) << policy.error().what;
    for (const std::string_view name : steering::policy_names())
      EXPECT_NE(policy.error().what.find(name), std::string::npos) << name;
  }
}

TEST(WeightCommand, TakesASlotAndAWeight) {
  const auto taken = slot_weight_in(request(R"({"slot":7,"weight":1000})"));
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->slot, 7U);
  EXPECT_EQ(taken->weight, 1'000U);
  for (const std::string_view text :
       {R"({})", R"({"slot":7})", R"({"weight":1})", R"({"slot":"7","weight":1})",
        R"({"slot":-1,"weight":1})", R"({"slot":0,"weight":1.5})", R"({"slot":0,"weight":null})"}) {
    const auto refused = slot_weight_in(request(text));
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().what,
              "expected the number of a slot and a weight from 1 to 1000, such as "
              R"({"command":"weight","slot":0,"weight":2})");
  }
}

TEST(SteerNote, SaysWhyWhatIsSetDoesNotDoWhatItIsFor) {
  struct Case {
    Standing standing;
    std::string_view note;
  };
  constexpr std::string_view none =
      "the steering backend is none: the kernel's own hash picks, whatever policy and weights";
  constexpr std::string_view heedless = "round-robin does not heed weights";
  constexpr std::string_view hashes = "the hashes of the backend cbpf do not heed weights";
  constexpr std::string_view nowhere =
      "no worker is bound to a CPU: cpu-local is the same as least-connections";
  const Case cases[] = {
      {{Policy::least_connections, Backend::ebpf, false, true}, ""},
      {{Policy::round_robin, Backend::ebpf, false, false}, ""},
      {{Policy::round_robin, Backend::ebpf, true, true}, heedless},
      {{Policy::weighted_round_robin, Backend::ebpf, false, true}, ""},
      {{Policy::source_hash, Backend::ebpf, false, true}, ""},
      {{Policy::cpu_local, Backend::ebpf, true, true}, ""},
      {{Policy::cpu_local, Backend::ebpf, false, false}, nowhere},
      {{Policy::round_robin, Backend::none, false, true}, none},
      {{Policy::uri_hash, Backend::none, false, true}, ""},
      {{Policy::source_hash, Backend::cbpf, false, true}, hashes},
      {{Policy::tuple_hash, Backend::cbpf, false, true}, hashes},
      {{Policy::tuple_hash, Backend::cbpf, false, false}, ""},
      {{Policy::uri_hash, Backend::cbpf, false, true}, ""},
  };
  for (const Case& c : cases)
    EXPECT_EQ(note_on(c.standing), c.note) << steering::to_string(c.standing.policy);
}

}  // namespace
}  // namespace weir::launch
