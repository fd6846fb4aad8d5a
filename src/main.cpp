// weir: parse the flags, build the master, run it. Each worker comes out of here as well, in a
// fork of its own.
#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "launch/before.h"
#include "launch/check.h"
#include "launch/commands.h"
#include "launch/passed.h"
#include "launch/plan.h"
#include "launch/reload.h"
#include "launch/status.h"
#include "launch/tls_keeper.h"
#include "weir/admin/control_server.h"
#include "weir/apps/echo.h"
#include "weir/base/descriptor_limit.h"
#include "weir/base/log.h"
#include "weir/cli/options.h"
#include "weir/process/channel.h"
#include "weir/process/estate.h"
#include "weir/process/master.h"
#include "weir/process/passed_sockets.h"
#include "weir/process/takeover.h"
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

/// Opens the control socket, or goes on with the one that the weir before had at that path. Only
/// one that was asked for by name is worth not starting for.
Result<std::unique_ptr<admin::ControlServer>> open_control(asio::io_context& io,
                                                           const cli::Options& options,
                                                           UniqueFd inherited,
                                                           admin::CommandTable commands) {
  using Server = std::unique_ptr<admin::ControlServer>;
  if (options.control.empty()) {
    spdlog::warn("no control socket: XDG_RUNTIME_DIR is not set; weirctl needs --control PATH");
    return Server{};
  }
  auto server = inherited ? admin::ControlServer::inherit(io, std::move(inherited), options.control,
                                                          std::move(commands))
                          : admin::ControlServer::start(io, options.control, std::move(commands));
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
               steering.policy_in_force(), to_string(steering.backend()), plan.max_connections);
  for (const std::string& address : launch::listen_names(plan, master))
    spdlog::info("listening on {}", address);
}

/// What a weir has from the one before it, and from its own command line.
struct Start {
  std::optional<process::Inheritance> inheritance;
  std::string binary;  // absolute
  launch::StartWords words;
  std::vector<process::PassedSocket> stored;  // weir's own listeners, of an earlier run
};

/// The descriptor of that name, if there is an estate with it.
UniqueFd take(std::optional<process::Inheritance>& inheritance, const std::string& name) {
  if (!inheritance || !inheritance->estate.has(name)) return UniqueFd{};
  return *inheritance->estate.take(name);
}

Result<int> run(const cli::Options& options, Start start) {
  cli::Options begins_with = options;
  if (start.inheritance) {  // one worker takes over from each; then the count may change
    begins_with.workers = start.inheritance->estate.terms.workers;
    if (options.weights.size() != *begins_with.workers) begins_with.weights.clear();
  }
  auto plan = launch::make_plan(begins_with);
  if (!plan) return plan.error();
  plan->master.terms.workers_asked = cli::worker_count(options);
  plan->master.terms.settings = launch::settings_of(start.words, options.config);
  plan->master.binary = std::move(start.binary);
  plan->master.arguments = {start.words.argv, start.words.argv + start.words.argc};
  std::optional<process::Inheritance>& before = start.inheritance;
  launch::use_stored(plan->master.listen, before ? 0 : plan->master.workers, start.stored);
  if (before) {  // its tables are laid out for these
    plan->master.steering.places = before->estate.terms.places;
    plan->master.terms.places = before->estate.terms.places;
    for (process::EstateTerms::Listen& listen : plan->master.terms.listens)
      for (const process::EstateTerms::Listen& was : before->estate.terms.listens)
        if (was.asked.to_string() == listen.asked.to_string()) listen.passed = was.passed;
  }

  asio::io_context io{1};
  std::unique_ptr<launch::TlsKeeper> tls;
  UniqueFd vault = take(before, "vault");
  if (!plan->tls_files.empty()) {  // read before the master's privileges go
    auto started =
        launch::TlsKeeper::start(io, plan->tls_files, plan->tls_ticket_rotation, std::move(vault),
                                 before && before->goes_on_with(plan->master.terms));
    if (!started) return started.error();
    tls = std::move(*started);
    plan->worker.vault = &tls->vault();
  }
  UniqueFd control_before = take(before, "control");
  if (before && before->estate.terms.control != options.control) control_before.reset();
  const bool first = !before;

  auto worker_main = [&plan](process::WorkerSeat seat) {
    const auto handler = make_handler(plan->app);
    return server::run_worker(plan->worker, std::move(seat), *handler);
  };
  auto created = process::Master::create(io, plan->master, worker_main, std::move(before));
  if (!created) return created.error();
  process::Master& master = **created;
  if (tls) master.bequeath("vault", tls->vault().fd());

  std::unique_ptr<admin::ControlServer> control;
  const auto open = [&]() -> Result<void> {
    const bool bequeathed = static_cast<bool>(control_before);
    auto opened =
        open_control(io, options, std::move(control_before), launch::commands(*plan, master));
    if (!opened) return opened.error();
    control = std::move(*opened);
    if (control && !bequeathed) master.bequeath("control", control->fd());
    return {};
  };
  if (first) {
    if (auto opened = open(); !opened) return opened.error();
  } else if (control_before) {
    master.bequeath("control", control_before.get());
  }
  master.on_charge([&] {
    if (auto opened = open(); !opened) {
      master.withdraw("control");
      spdlog::error("no control socket: {}", to_string(opened.error()));
    }
  });
  master.on_succeeded([&](bool kept) {
    if (control) control->hand_over(kept);
  });
  master.on_ready([&] { announce(*plan, master); });
  launch::Reloader reloader{start.words, options, *plan, master, tls.get()};
  master.on_reload([&] {
    auto done = reloader.reload();
    if (done) master.set_settings(launch::settings_of(start.words, options.config));
    return done;
  });
  return master.run();
}

int serve(const cli::Options& options, Start start) {
  // A log that nobody reads any more (weir 2>&1 | tee, and tee gone) must not end the service.
  std::signal(SIGPIPE, SIG_IGN);
  log::init(options.log_level, options.log_format);
  for (const std::string& warning : options.warnings) spdlog::warn("{}", warning);
  UniqueFd channel;  // the inheritance's is the master's
  if (start.inheritance) channel = duplicate(start.inheritance->channel.get());
  const auto status = run(options, std::move(start));
  if (status) return *status;
  if (channel) (void)process::send_frame(channel.get(), to_string(status.error()));
  return fail(status.error());
}

int check(const cli::Options& options) {
  log::init(spdlog::level::warn, options.log_format);
  const auto report = launch::check(options);
  if (!report) return fail(report.error());
  fmt::print("{}", *report);
  return EXIT_SUCCESS;
}

/// Where this program is, as it was called: an upgrade runs what is there by then.
std::string path_of(const char* called) {
  const std::string_view name{called};
  std::error_code bad;
  if (name.find('/') != name.npos) {
    const auto absolute = std::filesystem::absolute(called, bad);
    return bad ? std::string{name} : absolute.lexically_normal().string();
  }
  const auto self = std::filesystem::read_symlink("/proc/self/exe", bad);  // found in PATH
  return bad ? std::string{name} : self.string();
}

int start(int argc, const char* const* argv) {
  auto inheritance = launch::inheritance_of_environment();
  if (!inheritance) return fail(inheritance.error());
  auto sockets = process::take_passed_sockets();
  if (!sockets) return fail(sockets.error());
  std::vector<process::PassedSocket> stored = process::take_stored(*sockets);
  auto passed = launch::listens_of(*sockets);
  if (!passed) return fail(passed.error());
  cli::Host host = cli::Host::here();
  host.passed =
      *inheritance ? launch::passed_before((*inheritance)->estate.terms) : std::move(*passed);
  const cli::ParseOutcome outcome = cli::parse(argc, argv, host);
  if (const auto* printed = std::get_if<cli::Printed>(&outcome)) {
    fmt::print("{}", printed->text);
    return EXIT_SUCCESS;
  }
  if (const auto* refused = std::get_if<cli::Refused>(&outcome)) {
    fmt::print(stderr, "{}\n", refused->line);
    if (*inheritance) (void)process::send_frame((*inheritance)->channel.get(), refused->line);
    return cli::kUsageError;
  }
  const auto& options = std::get<cli::Options>(outcome);
  if (options.check) return check(options);
  if (options.takeover && !*inheritance) {
    raise_descriptor_limit();  // for what it is handed, before all else is worked out
    auto left = process::ask_for_estate(options.control);
    if (!left) return fail(left.error());
    *inheritance = std::move(*left);
  }
  return serve(options, {.inheritance = std::move(*inheritance),
                         .binary = path_of(argv[0]),
                         .words = {.argc = argc, .argv = argv, .host = std::move(host)},
                         .stored = std::move(stored)});
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) {
  return weir::start(argc, argv);
}
