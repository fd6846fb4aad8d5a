// The status as JSON, byte for byte, and back; the imbalance.
#include "weir/admin/status.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <limits>
#include <string_view>

#include "weir/admin/json_text.h"

namespace weir::admin {
namespace {

Status example() {
  return {.master_pid = 100,
          .version = "0.1.0",
          .policy = "least-connections",
          .backend = "ebpf",
          .listen = {"127.0.0.1:9000", "[::1]:9000"},
          .connections = 7,
          .imbalance = 1.1428571,
          .forecast_error = 0.03125,
          .counters = {{"upgraded", 9}, {"too_big", 0}},
          .workers = {{.slot = 0,
                       .pid = 101,
                       .cpu = 3,
                       .state = "serving",
                       .weight = 3,
                       .connections = 4,
                       .queued = 1,
                       .load = 6,
                       .assigned = 12,
                       .accepted = 11,
                       .messages_in = 20,
                       .messages_out = 21,
                       .bytes_in = 18'446'744'073'709'551'615ULL,
                       .bytes_out = 5000,
                       .arrived = 3,
                       .left = 2,
                       .busy = 0.25},
                      {.slot = 1, .state = "waiting"}}};
}

constexpr std::string_view kExample =
    R"({"master_pid":100,"version":"0.1.0","policy":"least-connections","hash_on":"",)"
    R"("backend":"ebpf",)"
    R"("listen":["127.0.0.1:9000","[::1]:9000"],"connections":7,"imbalance":1.143,)"
    R"("forecast_error":0.031,"forecast_error_of_connections":null,)"
    R"("counters":{"upgraded":9,"too_big":0},"workers":[)"
    R"({"slot":0,"pid":101,"cpu":3,"state":"serving","weight":3,"connections":4,"queued":1,"load":6,)"
    R"("assigned":12,"accepted":11,"messages_in":20,"messages_out":21,"bytes_in":18446744073709551615,)"
    R"("bytes_out":5000,"arrived":3,"left":2,"busy":0.25},)"
    R"({"slot":1,"pid":0,"cpu":null,"state":"waiting","weight":1,"connections":0,"queued":0,"load":0,)"
    R"("assigned":0,"accepted":0,"messages_in":0,"messages_out":0,"bytes_in":0,"bytes_out":0,)"
    R"("arrived":0,"left":0,"busy":0}]})";

TEST(Status, IsWrittenByteForByte) {
  EXPECT_EQ(json_text(to_json(example())), kExample);
}

TEST(Status, IsReadBack) {
  const auto status = from_json(boost::json::parse(kExample));
  ASSERT_TRUE(status);
  EXPECT_EQ(json_text(to_json(*status)), kExample);
  EXPECT_EQ(status->counters[0].name, "upgraded");
  EXPECT_EQ(status->workers[0].cpu, 3);
  EXPECT_EQ(status->workers[1].cpu, std::nullopt);
  EXPECT_DOUBLE_EQ(status->workers[0].busy, 0.25);
}

TEST(Status, KeysOfANewerWeirAreSkipped) {
  boost::json::value json = boost::json::parse(kExample);
  json.as_object()["uptime"] = "3 days";
  json.as_object()["workers"].as_array()[0].as_object()["mood"] = "good";
  EXPECT_TRUE(from_json(json));
}

TEST(Status, WhatIsMissingOrOfAnotherTypeIsNamed) {
  const std::pair<const char*, boost::json::value> cases[] = {
      {"master_pid", "100"},
      {"master_pid", 1e30},
      {"policy", 3},
      {"listen", "127.0.0.1:9"},
      {"connections", -1},
      {"counters", "none"},
      {"counters", boost::json::value{{"upgraded", "9"}}},
      {"imbalance", "1"},
      {"forecast_error", "0.1"},
      {"workers", {1}},
      {"workers", nullptr},
      {"workers", boost::json::array{boost::json::object{{"slot", 1}}}},
  };
  for (const auto& [name, value] : cases) {
    for (const bool missing : {false, true}) {
      boost::json::value json = boost::json::parse(kExample);
      if (missing) {
        json.as_object().erase(name);
      } else {
        json.as_object()[name] = value;
      }
      const auto status = from_json(json);
      ASSERT_FALSE(status) << name;
      EXPECT_EQ(status.error().what, "the status lacks a sound \"" + std::string{name} + "\"");
    }
  }
  EXPECT_FALSE(from_json(nullptr));
}

struct ImbalanceCase {
  std::string_view sentence;
  std::vector<WorkerStatus> workers;
  double expected;
};

TEST(Status, ImbalanceIsTheLargestOverTheMeanOfServingSlots) {
  const ImbalanceCase cases[] = {
      {"no slots", {}, 1},
      {"no connections", {{.state = "serving"}, {.state = "serving"}}, 1},
      {"even", {{.state = "serving", .connections = 5}, {.state = "serving", .connections = 5}}, 1},
      {"three to one",
       {{.state = "serving", .connections = 3}, {.state = "serving", .connections = 1}},
       1.5},
      {"all on one of four",
       {{.state = "serving", .connections = 8},
        {.state = "serving"},
        {.state = "serving"},
        {.state = "serving"}},
       4},
      {"a slot that does not serve does not count",
       {{.state = "serving", .connections = 2}, {.state = "waiting", .connections = 9}},
       1},
  };
  for (const ImbalanceCase& c : cases)
    EXPECT_DOUBLE_EQ(imbalance(c.workers), c.expected) << c.sentence;
}

TEST(JsonText, WritesNumbersAsPeopleDo) {
  const std::pair<boost::json::value, std::string_view> cases[] = {
      {0.5, "0.5"},
      {1.0, "1"},
      {-3, "-3"},
      {std::numeric_limits<double>::infinity(), "null"},
      {std::numeric_limits<double>::quiet_NaN(), "null"},
      {true, "true"},
      {"a\"\n\x01", R"("a\"\n\u0001")"},
      {boost::json::array{}, "[]"},
      {boost::json::object{}, "{}"},
      {boost::json::object{{"a\n", boost::json::array{1, nullptr}}, {"b", 0.25}},
       R"({"a\n":[1,null],"b":0.25})"},
  };
  for (const auto& [value, text] : cases) EXPECT_EQ(json_text(value), text);
}

}  // namespace
}  // namespace weir::admin
