// weir: parse the flags, build the master, run it. Each worker comes out of here as well, in a
// fork of its own.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

#include "launch/check.h"
#include "launch/passed.h"
#include "launch/plan.h"
#include "launch/status.h"
#include "launch/tls_keeper.h"
#include "weir/admin/control_server.h"
#include "weir/apps/echo.h"
#include "weir/base/log.h"
#include "weir/cli/options.h"
#include "weir/process/master.h"
#include "weir/process/passed_sockets.h"
#include "weir/server/worker.h"

namespace weir {
namespace {

namespace asio = boost::asio;

int fail(const Error& error) {
  fmt::print(stderr, "weir: {}\n", to_string(error));
  return EXIT_FAILURE;
}

std::unique_ptr<session::Handler> make_handler(cli::App app) {
  switch (app) {
    case cli::App::echo: return std::make_unique<apps::Echo>();
  }
  return nullptr;
}

/// Reads again what can change while weir runs: the certificates.
Result<void> reload(launch::TlsKeeper* tls) {
  if (tls == nullptr) {
    spdlog::warn("there is nothing to reload: no listen address has TLS");
    return Error{"there is nothing to reload", "only certificates (--tls-cert) are read again"};
  }
  const auto done = tls->reload();
  if (done)
    spdlog::info("certificates reloaded");
  else
    spdlog::error("the certificates stay as they were: {}", to_string(done.error()));
  return done;
}

/// The number that a request gives by that name.
std::optional<std::uint32_t> number_in(const boost::json::object& request, std::string_view name) {
  const boost::json::value* given = request.if_contains(name);
  if (given == nullptr || !given->is_number()) return std::nullopt;
  boost::system::error_code bad;
  const auto number = given->to_number<std::uint32_t>(bad);
  return bad ? std::nullopt : std::optional{number};
}

/// {"command":"drain","slot":2}
Result<boost::json::object> drain(process::Master& master, const boost::json::object& request) {
  const auto slot = number_in(request, "slot");
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
  const auto count = number_in(request, "count");
  const auto from = number_in(request, "from");
  const auto to = number_in(request, "to");
  if (!count || *count == 0 || !from || !to)
    return Error{
        "expected how many sessions to move and the numbers of two slots, such as "
        R"({"command":"move","count":100,"from":0,"to":1})",
        ""};
  if (const auto ordered = master.move(*from, *to, *count); !ordered) return ordered.error();
  return boost::json::object{};
}

admin::CommandTable commands(const launch::Plan& plan, process::Master& master) {
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
      {"status", admin::status_command([&] { return launch::status_of(plan, master); })},
      {"reload",
       {.help = "read the certificates again", .run = [&master](const boost::json::object&) {
          const auto done = master.reload();
          return done ? Result<boost::json::object>{boost::json::object{}} : done.error();
        }}}};
}

/// Opens the control socket. Only one that was asked for by name is worth not starting for.
Result<std::unique_ptr<admin::ControlServer>> open_control(asio::io_context& io,
                                                           const cli::Options& options,
                                                           admin::CommandTable commands) {
  using Server = std::unique_ptr<admin::ControlServer>;
  if (options.control.empty()) {
    spdlog::warn("no control socket: XDG_RUNTIME_DIR is not set; weirctl needs --control PATH");
    return Server{};
  }
  auto server = admin::ControlServer::start(io, options.control, std::move(commands));
  if (!server && !options.control_given) {
    spdlog::warn("no control socket: {}", to_string(server.error()));
    return Server{};
  }
  return server;
}

void announce(const launch::Plan& plan, const process::Master& master) {
  const steering::Steering& steering = master.steering();
  if (!steering.fallback_reason().empty())
    spdlog::warn("steering falls back to {}: {}", to_string(steering.backend()),
                 steering.fallback_reason());
  spdlog::info("{} workers, steering {} by {}, at most {} connections", master.workers(),
               to_string(steering.table().policy()), to_string(steering.backend()),
               plan.max_connections);
  for (const std::string& address : launch::listen_names(plan, master))
    spdlog::info("listening on {}", address);
}

int serve(const cli::Options& options) {
  // A log that nobody reads any more (weir 2>&1 | tee, and tee gone) must not end the service.
  std::signal(SIGPIPE, SIG_IGN);
  log::init(options.log_level, options.log_format);
  for (const std::string& warning : options.warnings) spdlog::warn("{}", warning);
  auto plan = launch::make_plan(options);
  if (!plan) return fail(plan.error());

  asio::io_context io{1};
  std::unique_ptr<launch::TlsKeeper> tls;
  if (!plan->tls_files.empty()) {  // read before the master's privileges go
    auto started = launch::TlsKeeper::start(io, plan->tls_files, plan->tls_ticket_rotation);
    if (!started) return fail(started.error());
    tls = std::move(*started);
    plan->worker.vault = &tls->vault();
  }
  auto worker_main = [&plan](process::WorkerSeat seat) {
    const auto handler = make_handler(plan->app);
    return server::run_worker(plan->worker, std::move(seat), *handler);
  };
  auto master = process::Master::create(io, plan->master, worker_main);
  if (!master) return fail(master.error());
  const auto control = open_control(io, options, commands(*plan, **master));
  if (!control) return fail(control.error());
  (*master)->on_ready([&] { announce(*plan, **master); });
  (*master)->on_reload([&] { return reload(tls.get()); });
  return (*master)->run();
}

int check(const cli::Options& options) {
  log::init(spdlog::level::warn, options.log_format);
  const auto report = launch::check(options);
  if (!report) return fail(report.error());
  fmt::print("{}", *report);
  return EXIT_SUCCESS;
}

int start(int argc, const char* const* argv) {
  const auto sockets = process::take_passed_sockets();
  if (!sockets) return fail(sockets.error());
  auto passed = launch::listens_of(*sockets);
  if (!passed) return fail(passed.error());
  cli::Host host = cli::Host::here();
  host.passed = std::move(*passed);
  const cli::ParseOutcome outcome = cli::parse(argc, argv, host);
  if (const auto* printed = std::get_if<cli::Printed>(&outcome)) {
    fmt::print("{}", printed->text);
    return EXIT_SUCCESS;
  }
  if (const auto* refused = std::get_if<cli::Refused>(&outcome)) {
    fmt::print(stderr, "{}\n", refused->line);
    return cli::kUsageError;
  }
  const auto& options = std::get<cli::Options>(outcome);
  return options.check ? check(options) : serve(options);
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) {
  return weir::start(argc, argv);
}
