// steering_sim: every policy against the same sessions. `steering_sim --help` shows the flags,
// bench/README.md the method and the figures.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "report.h"
#include "scenario.h"
#include "steerer.h"
#include "trace.h"

namespace {

using namespace weir;
using namespace weir::sim;

struct Options {
  std::vector<std::string> scenarios{"many-cheap"};
  std::vector<std::string> policies{"all"};
  std::uint64_t first_seed = 1;
  std::uint32_t seeds = 1;
  std::uint32_t workers = 0;  // 0: the scenario's
  double shorten = 1;
  std::string trace;
  std::string out;
  bool list = false;
  bool quiet = false;
  SteererOptions steerer;
  // Of the scenario, changed; empty or below 0: as it is.
  std::string lifetime;
  std::string message_rate;
  std::string cost;
  double arrivals = -1;
  double report_delay_s = -1;
  double stall_every_s = -1;
  double crash_every_s = -1;
  // 0: as it is without.
  double tick_s = 0;
  double horizon_s = 0;
  double average_s = 0;
  double memory_s = 0;
};

[[noreturn]] void fail(const std::string& what) {
  fmt::print(stderr, "steering_sim: {}\n", what);
  std::exit(EXIT_FAILURE);
}

void list() {
  fmt::print("scenarios:\n");
  for (const Scenario& scenario : scenarios())
    fmt::print("  {:12} {}\n", scenario.name, scenario.about);
  fmt::print("policies:\n");
  for (const std::string_view name : steerer_names())
    fmt::print("  {}{}\n", name, is_baseline(name) ? " (a baseline)" : "");
}

void change(double& value, double given) {
  if (given >= 0) value = given;
}

void change(Distribution& value, std::string_view flag, const std::string& given) {
  if (given.empty()) return;
  const auto read = parse_distribution(given);
  if (!read)
    fail(
        fmt::format("--{}: '{}' is not accepted: expected fixed:MEAN, exp:MEAN, "
                    "pareto:MEAN:ALPHA with an alpha above 1, or lognormal:MEAN:SIGMA",
                    flag, given));
  value = *read;
}

/// Puts in what was given of the scenario's own figures.
void change(Scenario& scenario, const Options& options) {
  change(scenario.workload.arrivals.rate, options.arrivals);
  change(scenario.workload.lifetime, "lifetime", options.lifetime);
  for (Path& path : scenario.workload.paths) {
    change(path.rate, "message-rate", options.message_rate);
    change(path.cost, "cost", options.cost);
  }
  change(scenario.service.report_delay_s, options.report_delay_s);
  change(scenario.service.stall_every_s, options.stall_every_s);
  change(scenario.service.crash_every_s, options.crash_every_s);
}

std::vector<Scenario> chosen_scenarios(const Options& options) {
  std::vector<Scenario> chosen;
  if (!options.trace.empty()) {
    Scenario replay{.name = "trace", .about = options.trace, .service = {}, .workload = {}};
    replay.service.warm_up_s = 0;
    replay.service.until_s = 1e9;
    chosen.push_back(replay);
  } else {
    for (const std::string& name : options.scenarios) {
      const Scenario* const found = find_scenario(name);
      if (found == nullptr) fail(fmt::format("no scenario '{}': --list names them", name));
      chosen.push_back(*found);
    }
  }
  for (Scenario& scenario : chosen) {
    change(scenario, options);
    if (options.workers != 0) scenario.service.workers = options.workers;
    if (options.tick_s > 0) scenario.service.tick_s = options.tick_s;
    scenario.service.until_s =
        scenario.service.warm_up_s +
        options.shorten * (scenario.service.until_s - scenario.service.warm_up_s);
    scenario.workload.until_s = scenario.service.until_s;
  }
  return chosen;
}

std::vector<std::string> chosen_policies(const Options& options) {
  std::vector<std::string> chosen;
  for (const std::string& name : options.policies) {
    if (name == "all") {
      for (const std::string_view known : steerer_names()) chosen.emplace_back(known);
    } else if (std::ranges::find(steerer_names(), name) != steerer_names().end()) {
      chosen.push_back(name);
    } else {
      fail(fmt::format("no policy '{}': --list names them", name));
    }
  }
  return chosen;
}

Row simulate(const Options& options, const Scenario& scenario, const std::string& policy,
             std::uint64_t seed) {
  SteererOptions steerer_options = options.steerer;
  steerer_options.workers = scenario.service.workers;
  const auto steerer = make_steerer(policy, steerer_options);
  const auto run = [&](Workload& workload) {
    return Simulation{scenario.service, workload, *steerer, seed}.run();
  };
  if (options.trace.empty()) {
    Synthetic workload{scenario.workload, seed};
    return make_row(scenario.name, policy, seed, scenario.service.workers, run(workload));
  }
  std::ifstream file{options.trace};
  if (!file) fail(fmt::format("cannot read {}", options.trace));
  auto trace = Trace::open(file, options.trace, seed);
  if (!trace) fail(to_string(trace.error()));
  const Outcome outcome = run(*trace);
  if (trace->error()) fail(to_string(*trace->error()));
  return make_row(scenario.name, policy, seed, scenario.service.workers, outcome);
}

void plot(const std::filesystem::path& folder, const std::vector<Row>& rows) {
  for (const std::filesystem::path& script : write_plots(folder, rows)) {
    const std::string command =
        fmt::format("cd '{}' && gnuplot '{}'", folder.string(), script.filename().string());
    if (std::system(command.c_str()) != 0)
      fmt::print(stderr, "steering_sim: no plot of {}: is gnuplot installed?\n", script.string());
  }
}

void run(const Options& options) {
  std::vector<Row> rows;
  const std::vector<std::string> policies = chosen_policies(options);
  for (const Scenario& scenario : chosen_scenarios(options)) {
    for (const std::string& policy : policies)
      for (std::uint32_t i = 0; i < options.seeds; ++i) {
        const auto began = std::chrono::steady_clock::now();
        rows.push_back(simulate(options, scenario, policy, options.first_seed + i));
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
        if (!options.quiet)
          fmt::print(stderr, "{} {} seed {}: {} sessions in {:.1f} s\n", scenario.name, policy,
                     options.first_seed + i, rows.back().sessions, took.count());
      }
    fmt::print("## {}: {}\n\n", scenario.name, scenario.about);
    std::fflush(stdout);
    write_table(std::cout, rows, scenario.name);
    std::cout << std::endl;
  }
  if (options.out.empty()) return;
  std::filesystem::create_directories(options.out);
  const std::filesystem::path folder{options.out};
  std::ofstream csv{folder / "runs.csv"};
  write_csv(csv, rows);
  if (!csv.flush()) fail(fmt::format("cannot write into {}", options.out));
  plot(folder, rows);
}

Duration seconds(double count) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(count));
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  steering::ScoreOptions& score = options.steerer.score;
  CLI::App app{"Simulates how policies steer connections to workers.", "steering_sim"};
  app.add_flag("--list", options.list, "show scenarios and policies, and end");
  app.add_option("--scenario", options.scenarios, "which scenarios")->delimiter(',');
  app.add_option("--policy", options.policies, "which policies, or all")->delimiter(',');
  app.add_option("--trace", options.trace, "replay this file instead of a scenario (trace.h)");
  app.add_option("--seed", options.first_seed, "the first seed");
  app.add_option("--seeds", options.seeds, "so many seeds, counted up from there")
      ->check(CLI::Range(1U, 1'000U));
  app.add_option("--workers", options.workers, "instead of the scenario's number")
      ->check(CLI::Range(2U, static_cast<unsigned>(WEIR_SLOTS_MAX)));
  app.add_option("--shorten", options.shorten, "simulate this part of the measured time")
      ->check(CLI::Range(0.001, 1.0));
  const auto number = [&app](const char* flag, double& value, const char* help) {
    app.add_option(flag, value, help)->check(CLI::NonNegativeNumber);
  };
  number("--arrivals", options.arrivals, "sessions a second, instead of the scenario's");
  app.add_option("--lifetime", options.lifetime, "of a session, seconds; such as pareto:20:1.5");
  app.add_option("--message-rate", options.message_rate, "of a session, a second; likewise");
  app.add_option("--cost", options.cost, "of a message, a session's mean, seconds; likewise");
  number("--report-delay", options.report_delay_s, "seconds until a turn's report is known");
  number("--stall-every", options.stall_every_s, "seconds between a worker's stalls; 0: none");
  number("--crash-every", options.crash_every_s, "seconds between a worker's deaths; 0: none");
  app.add_option("--out", options.out, "write runs.csv and plots into this folder");
  app.add_flag("--quiet", options.quiet, "say nothing of single runs");
  app.add_option("--busy-part", score.busy_part, "least-load: of the blend, busy share's part");
  app.add_option("--prior", score.prior,
                 "predictive: samples of busy workers that outweigh the prior");
  app.add_option("--tick", options.tick_s, "seconds between the master's looks at the load");
  app.add_option("--horizon", options.horizon_s, "predictive: seconds it forecasts");
  app.add_option("--average", options.average_s, "both: seconds over which load is averaged");
  app.add_option("--memory", options.memory_s, "predictive: seconds that the model remembers");
  CLI11_PARSE(app, argc, argv);
  if (options.horizon_s > 0) score.horizon = seconds(options.horizon_s);
  if (options.average_s > 0) score.average = seconds(options.average_s);
  if (options.memory_s > 0) score.memory = seconds(options.memory_s);
  if (options.list)
    list();
  else
    run(options);
}
