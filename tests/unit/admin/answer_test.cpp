// The control protocol without its sockets: each request line, and the bytes of its answer.
#include "admin/answer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace weir::admin {
namespace {

CommandTable some_commands() {
  CommandTable table;
  table["status"] = {"what goes on", [](const boost::json::object&) -> Result<boost::json::object> {
                       return boost::json::object{{"status", {{"connections", 3}}}};
                     }};
  table["drain"] = {"empty a slot",
                    [](const boost::json::object& request) -> Result<boost::json::object> {
                      if (!request.contains("slot")) return Error{"no slot", "name one"};
                      return boost::json::object{};
                    }};
  return table;
}

std::string answered(const CommandTable& table, std::string_view line) {
  std::string reply;
  answer(table, line, [&reply](std::string text, const UniqueFd&) { reply = std::move(text); });
  return reply;
}

TEST(Answer, IsOneLineForEachRequest) {
  constexpr std::string_view malformed =
      R"({"ok":false,"error":"expected a JSON object on one line, such as )"
      R"({\"command\":\"status\"}"})";
  const std::string_view deep_open = "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[";
  const std::pair<std::string_view, std::string_view> cases[] = {
      {R"({"command":"status"})", R"({"ok":true,"status":{"connections":3}})"},
      {R"( {"command" : "status", "more": [1]} )", R"({"ok":true,"status":{"connections":3}})"},
      {R"({"command":"drain","slot":1})", R"({"ok":true})"},
      {R"({"command":"drain"})", R"({"ok":false,"error":"no slot; name one"})"},
      {R"({"command":"help"})",
       R"({"ok":true,"commands":{"drain":"empty a slot","status":"what goes on",)"
       R"("help":"the commands, and what they are for"}})"},
      {R"({"command":"stop"})",
       R"({"ok":false,"error":"unknown command 'stop': expected one of drain, status, help"})"},
      {R"({"command":"a\nb"})",
       R"({"ok":false,"error":"unknown command 'a\nb': expected one of drain, status, help"})"},
      {R"({"command":1})", malformed},
      {R"({})", malformed},
      {R"(["command","status"])", malformed},
      {R"({"command":"status"} x)", malformed},
      {R"({"command":"status")", malformed},
      {"status", malformed},
      {"", malformed},
      {std::string_view{"\0\xff", 2}, malformed},
      {deep_open, malformed},
  };
  for (const auto& [line, expected] : cases)
    EXPECT_EQ(answered(some_commands(), line), std::string{expected} + '\n') << line;
}

TEST(Answer, MayComeLater) {
  CommandTable table;
  std::function<void(Command::Answer)> finish;
  table["upgrade"] = {
      .help = "takes long",
      .run = nullptr,
      .begin = [&](const boost::json::object&, std::function<void(Command::Answer)> done) {
        finish = std::move(done);
      }};
  std::string reply;
  answer(table, R"({"command":"upgrade"})",
         [&reply](std::string text, const UniqueFd&) { reply = text; });
  EXPECT_EQ(reply, "");
  boost::json::object members;
  members["pid"] = 7;
  finish(members);
  EXPECT_EQ(reply, "{\"ok\":true,\"pid\":7}\n");
  answer(table, R"({"command":"upgrade"})",
         [&reply](std::string text, const UniqueFd&) { reply = text; });
  finish(Error{"no such binary", "name one"});
  EXPECT_EQ(reply, "{\"ok\":false,\"error\":\"no such binary; name one\"}\n");
}

TEST(Answer, OfStatusIsTheStatusAtThatMoment) {
  CommandTable table;
  Status status{.master_pid = 1};
  table["status"] = status_command([&status] { return status; });
  status.master_pid = 7;
  const std::string line = answered(table, R"({"command":"status"})");
  EXPECT_TRUE(line.starts_with(R"({"ok":true,"status":{"master_pid":7,"version":"",)")) << line;
}

}  // namespace
}  // namespace weir::admin
