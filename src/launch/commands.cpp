#include "commands.h"

#include <boost/json/object.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "record.h"
#include "status.h"
#include "steer.h"
#include "weir/base/json_number.h"

namespace weir::launch {
namespace {

/// {"command":"drain","slot":2}
Result<boost::json::object> drain(process::Master& master, const boost::json::object& request) {
  const auto slot = number_in<std::uint32_t>(request, "slot");
  if (!slot)
    return Error{R"(expected the number of a slot, such as {"command":"drain","slot":0})", ""};
  if (const auto begun = master.drain(*slot); !begun) return begun.error();
  return boost::json::object{};
}

/// {"command":"rebalance"}, answered with {"sessions":750}: so many are to move.
Result<boost::json::object> rebalance(process::Master& master) {
  const auto sessions = master.rebalance();
  if (!sessions) return sessions.error();
  boost::json::object answer;
  answer["sessions"] = *sessions;
  return answer;
}

/// {"command":"move","count":100,"from":0,"to":1}
Result<boost::json::object> move(process::Master& master, const boost::json::object& request) {
  const auto count = number_in<std::uint32_t>(request, "count");
  const auto from = number_in<std::uint32_t>(request, "from");
  const auto to = number_in<std::uint32_t>(request, "to");
  if (!count || *count == 0 || !from || !to)
    return Error{
        "expected how many sessions to move and the numbers of two slots, such as "
        R"({"command":"move","count":100,"from":0,"to":1})",
        ""};
  if (const auto ordered = master.move(*from, *to, *count); !ordered) return ordered.error();
  return boost::json::object{};
}

/// {"command":"upgrade"}, or with "binary" and a path; answered with {"pid":1234}, the new
/// master's.
void upgrade(process::Master& master, const boost::json::object& request,
             std::function<void(admin::Command::Answer)> done) {
  std::string binary;
  if (const boost::json::value* given = request.if_contains("binary")) {
    if (!given->is_string() || !given->get_string().starts_with('/'))
      return done(Error{R"(expected an absolute path, such as {"binary":"/usr/sbin/weir"})", ""});
    binary = given->get_string().c_str();
  }
  master.upgrade(binary, [done = std::move(done)](const Result<pid_t>& upgraded) {
    if (!upgraded) return done(upgraded.error());
    boost::json::object answer;
    answer["pid"] = *upgraded;
    done(std::move(answer));
  });
}

/// {"command":"reload"}, answered with {"reloaded":"reloaded: --idle-timeout 60s (was 120s)"}, or
/// so.
Result<boost::json::object> reload(process::Master& master) {
  const auto done = master.reload();
  if (!done) return done.error();
  boost::json::object answer;
  answer["reloaded"] = *done;
  return answer;
}

/// {"command":"workers","count":8}, answered with {"workers":8} as soon as that has begun.
Result<boost::json::object> workers(process::Master& master, const boost::json::object& request) {
  const auto count = number_in<std::uint32_t>(request, "count");
  if (!count)
    return Error{
        R"(expected how many workers there are to be, such as {"command":"workers","count":8})",
        ""};
  if (const auto begun = master.set_workers(*count); !begun) return begun.error();
  boost::json::object answer;
  answer["workers"] = *count;
  return answer;
}

}  // namespace

admin::CommandTable commands(const Plan& plan, process::Master& master) {
  return {
      {"drain",
       {.help = "close one worker's sessions and have a fresh worker take its slot",
        .run = [&master](const boost::json::object& request) { return drain(master, request); }}},
      {"move",
       {.help = "have one worker give sessions to another",
        .run = [&master](const boost::json::object& request) { return move(master, request); }}},
      {"rebalance",
       {.help = "move sessions until every worker holds its share",
        .run = [&master](const boost::json::object&) { return rebalance(master); }}},
      {"record", record_command(master)},
      {"steer", steer_command(master)},
      {"weight", weight_command(master)},
      {"upgrade",
       {.help = "have a new weir take over, with every session",
        .run = nullptr,
        .begin =
            [&master](const boost::json::object& request,
                      std::function<void(admin::Command::Answer)> done) {
              upgrade(master, request, std::move(done));
            }}},
      {"workers",
       {.help = "have so many workers serve",
        .run = [&master](const boost::json::object& request) { return workers(master, request); }}},
      {"status", admin::status_command([&] { return status_of(plan, master); })},
      {"reload",
       {.help = "read the configuration file and the certificates again",
        .run = [&master](const boost::json::object&) { return reload(master); }}}};
}

}  // namespace weir::launch
