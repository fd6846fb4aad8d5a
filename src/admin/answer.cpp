#include "answer.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <utility>

#include "weir/admin/json_text.h"

namespace weir::admin {
namespace {

namespace json = boost::json;

constexpr std::string_view kHelp = "help";

std::string names_of(const CommandTable& commands) {
  std::string names;
  for (const auto& [name, command] : commands) names += name + ", ";
  return names + std::string{kHelp};
}

// Objects are filled by assignment here: of those made of lists in braces GCC 12, with link-time
// optimisation, warns of overruns that are not there.

json::object help_of(const CommandTable& commands) {
  json::object rows;
  for (const auto& [name, command] : commands) rows[name] = command.help;
  rows[kHelp] = "the commands, and what they are for";
  json::object members;
  members["commands"] = std::move(rows);
  return members;
}

std::string ok_answer(const json::object& members) {
  json::object answer;
  answer["ok"] = true;
  answer.insert(members.begin(), members.end());
  return json_text(answer) + '\n';
}

}  // namespace

Command status_command(std::function<Status()> now) {
  return {.help = "what each worker does and carries",
          .run = [now = std::move(now)](const json::object&) -> Result<json::object> {
            json::object members;
            members["status"] = to_json(now());
            return members;
          }};
}

std::string error_answer(std::string_view message) {
  json::object answer;
  answer["ok"] = false;
  answer["error"] = message;
  return json_text(answer) + '\n';
}

void answer(const CommandTable& commands, std::string_view line,
            const std::function<void(std::string, UniqueFd)>& reply) {
  boost::system::error_code bad;
  const json::value request = json::parse(line, bad);
  const json::value* name = !bad && request.is_object()  //
                                ? request.get_object().if_contains("command")
                                : nullptr;
  if (name == nullptr || !name->is_string())
    return reply(
        error_answer(R"(expected a JSON object on one line, such as {"command":"status"})"), {});

  const std::string_view wanted = name->get_string();
  if (wanted == kHelp) return reply(ok_answer(help_of(commands)), {});
  const auto command = commands.find(wanted);
  if (command == commands.end())
    return reply(error_answer(fmt::format("unknown command '{}': expected one of {}", wanted,
                                          names_of(commands))),
                 {});
  const auto done = [reply](const Command::Answer& result) {
    reply(result ? ok_answer(*result) : error_answer(to_string(result.error())), {});
  };
  if (command->second.hand) {
    auto handed = command->second.hand(request.get_object());
    if (!handed) return done(handed.error());
    return reply(ok_answer(handed->answer), std::move(handed->fd));
  }
  if (command->second.begin) return command->second.begin(request.get_object(), done);
  done(command->second.run(request.get_object()));
}

}  // namespace weir::admin
