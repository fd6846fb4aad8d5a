#include "scenario.h"

#include <algorithm>
#include <vector>

namespace weir::sim {
namespace {

using Kind = Distribution::Kind;

/// So many sessions open at once, on average, that live as long as `lifetime` says.
Arrivals steady(double open, const Distribution& lifetime) {
  return {.rate = open / lifetime.mean};
}

Scenario spread() {
  Scenario out{.name = "spread",
               .about = "100,000 connections open, lifetimes lognormal, little to do",
               .service = {.workers = 32, .warm_up_s = 120, .until_s = 180},
               .workload = {}};
  out.workload.lifetime = {.kind = Kind::lognormal, .mean = 30, .shape = 1};
  out.workload.arrivals = steady(100'000, out.workload.lifetime);
  out.workload.paths = {{.rate = {.mean = 0.05}, .cost = {.mean = 50e-6}}};
  return out;
}

Scenario burst() {
  Scenario out{.name = "burst",
               .about = "10,000 connects at once to an idle service",
               .service = {.workers = 32, .warm_up_s = 1, .until_s = 3, .sample_s = 0.1},
               .workload = {}};
  out.workload.lifetime = {.mean = 100};
  out.workload.arrivals = {
      .kind = Arrivals::Kind::bursts, .rate = 0, .burst_every_s = 1'000, .burst = 10'000};
  out.workload.paths = {{.rate = {.mean = 0.1}}};
  return out;
}

/// Hermes' four cases, at 65 % of 16 cores: many or few connections, cheap or costly requests. How
/// much a client asks for differs: lognormal, sigma 1.
Scenario hermes(std::string name, std::string about, double open, double message_rate,
                double cost_s) {
  Scenario out{.name = std::move(name),
               .about = std::move(about),
               .service = {.workers = 16, .warm_up_s = 30, .until_s = 90},
               .workload = {}};
  out.workload.lifetime = {.kind = Kind::lognormal, .mean = 15, .shape = 1};
  out.workload.arrivals = steady(open, out.workload.lifetime);
  out.workload.paths = {{.rate = {.kind = Kind::lognormal, .mean = message_rate, .shape = 1},
                         .cost = {.mean = cost_s},
                         .core_max = 0.3}};
  return out;
}

/// Three paths: most sessions chat, some follow a feed, a few compute.
Scenario paths(std::string name, double open, double shape) {
  Scenario out{.name = std::move(name),
               .about = "costs per session differ by path, and are heavy-tailed within it",
               .service = {.workers = 16, .warm_up_s = 40, .until_s = 120},
               .workload = {}};
  out.workload.lifetime = {.kind = Kind::lognormal, .mean = 20, .shape = 1.2};
  out.workload.arrivals = steady(open, out.workload.lifetime);
  const double scale = 4'000 / open;
  const auto path = [&](std::string path_name, double share, double rate, double cost_s,
                        std::uint32_t bytes) {
    return Path{.name = std::move(path_name),
                .share = share,
                .rate = {.mean = rate * scale},
                .cost = {.kind = Kind::pareto, .mean = cost_s, .shape = shape},
                .core_max = 0.3,
                .bytes = bytes};
  };
  out.workload.paths = {path("/chat", 0.8, 1, 60e-6, 200), path("/feed", 0.15, 10, 150e-6, 1'000),
                        path("/compute", 0.05, 5, 8e-3, 20'000)};
  return out;
}

Scenario burst_busy() {
  Scenario out = paths("burst-busy", 4'000, 1.5);
  out.about = "10,000 connects at once to a service with 4,000 unequal sessions";
  out.service.warm_up_s = 41;
  out.service.until_s = 43;
  out.service.sample_s = 0.1;
  out.workload.arrivals.kind = Arrivals::Kind::bursts;
  out.workload.arrivals.first_burst_s = 41;
  out.workload.arrivals.burst_every_s = 1'000;
  out.workload.arrivals.burst = 10'000;
  out.workload.paths.back().share = 0.01;  // or the burst alone would be more than all can do
  return out;
}

Scenario on_off() {
  Scenario out{.name = "on-off",
               .about = "arrivals come in waves of seconds, lifetimes Pareto",
               .service = {.workers = 32, .warm_up_s = 30, .until_s = 90},
               .workload = {}};
  out.workload.lifetime = {.kind = Kind::pareto, .mean = 5, .shape = 1.5};
  out.workload.arrivals = {.kind = Arrivals::Kind::on_off, .rate = 4'000, .on_s = 2, .off_s = 3};
  out.workload.paths = {
      {.rate = {.kind = Kind::lognormal, .mean = 5, .shape = 1}, .cost = {.mean = 400e-6}}};
  return out;
}

Scenario mishaps() {
  Scenario out = hermes("mishaps", "workers stand still for 0.2 s, and some die", 4'000, 2.6, 1e-3);
  out.service.stall_every_s = 10;
  out.service.stall = {.kind = Kind::exponential, .mean = 0.2};
  out.service.crash_every_s = 120;
  return out;
}

Scenario stale() {
  Scenario out = hermes("stale", "what a worker did is known half a second late", 4'000, 2.6, 1e-3);
  out.service.report_delay_s = 0.5;
  return out;
}

/// Sessions of a message or two: what the table says of one moment is all that there is.
Scenario short_lived() {
  Scenario out{.name = "short",
               .about = "sessions of 0.2 s and one costly request or two",
               .service = {.workers = 16, .warm_up_s = 10, .until_s = 60},
               .workload = {}};
  out.workload.lifetime = {.kind = Kind::exponential, .mean = 0.2};
  out.workload.arrivals = steady(400, out.workload.lifetime);
  out.workload.paths = {
      {.rate = {.mean = 5}, .cost = {.kind = Kind::lognormal, .mean = 5e-3, .shape = 1}}};
  return out;
}

Scenario many() {
  Scenario out{.name = "many",
               .about = "10 million connections over 256 workers",
               .service = {.workers = 256, .warm_up_s = 20, .until_s = 120},
               .workload = {}};
  out.workload.lifetime = {.kind = Kind::pareto, .mean = 20, .shape = 1.5};
  out.workload.arrivals = {.rate = 84'000};
  out.workload.sessions_max = 10'000'000;
  out.workload.paths = {{.rate = {.mean = 0.05}, .cost = {.mean = 1e-3}}};
  return out;
}

std::vector<Scenario> all() {
  return {spread(),
          burst(),
          hermes("many-cheap", "Hermes: many connections, cheap requests", 16'000, 6.5, 100e-6),
          hermes("many-costly", "Hermes: many connections, costly requests", 16'000, 0.13, 5e-3),
          hermes("few-cheap", "Hermes: few connections, cheap requests", 320, 325, 100e-6),
          hermes("few-costly", "Hermes: few connections, costly requests", 320, 6.5, 5e-3),
          paths("paths", 4'000, 1.5),
          paths("paths-few", 400, 1.5),
          burst_busy(),
          short_lived(),
          on_off(),
          mishaps(),
          stale(),
          many()};
}

}  // namespace

std::span<const Scenario> scenarios() {
  static const std::vector<Scenario> made = all();
  return made;
}

const Scenario* find_scenario(std::string_view name) noexcept {
  const auto known = scenarios();
  const auto found = std::ranges::find(known, name, &Scenario::name);
  return found == known.end() ? nullptr : &*found;
}

}  // namespace weir::sim
