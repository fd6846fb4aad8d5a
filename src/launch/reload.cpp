#include "reload.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <variant>

#include "weir/base/log.h"

namespace weir::launch {
namespace {

std::string report(const std::vector<cli::Change>& changes, const process::SteeringSet& ended,
                   bool certificates, std::size_t told_later) {
  std::string out;
  if (changes.empty() && !ended.any()) {
    out = "nothing has changed";
    if (certificates) out += " but certificates were read again";
  } else {
    std::vector<std::string> said;
    said.reserve(changes.size() + 1);
    for (const cli::Change& change : changes) said.push_back(change.to_string());
    if (ended.any())
      said.push_back(fmt::format("steering as configured (weirctl had set {})", ended.to_string()));
    out = fmt::format("reloaded: {}", fmt::join(said, ", "));
    if (certificates) out += "; certificates were read again";
  }
  if (told_later > 0)
    out += fmt::format("; {} worker{} told as soon as there is room in the inbox", told_later,
                       told_later == 1 ? " is" : "s are");
  return out;
}

}  // namespace

Result<cli::Options> Reloader::read_again() const {
  // A pipe would stop the master's loop, or say now that there is nothing in it.
  std::error_code unknown;
  const std::filesystem::file_status file = std::filesystem::status(options_.config, unknown);
  if (!options_.config.empty() && std::filesystem::exists(file) &&
      !std::filesystem::is_regular_file(file))
    return Error{fmt::format("weir: --config: {} is no regular file", options_.config),
                 "it was read at start, and cannot be read again"};
  cli::ParseOutcome outcome = cli::parse(words_.argc, words_.argv, words_.host);
  if (const auto* refused = std::get_if<cli::Refused>(&outcome)) return Error{refused->line, {}};
  if (auto* options = std::get_if<cli::Options>(&outcome)) return std::move(*options);
  return Error{"the command line asks for a text", {}};  // which a start would have printed
}

Result<std::string> Reloader::take_over() {
  // All that can fail, and changes nothing.
  auto options = read_again();
  if (!options) return options.error();
  const std::vector<cli::Change> changes = cli::changes(options_, *options);
  if (const std::string fixed = cli::against(changes); !fixed.empty())
    return Error{fixed, "restart or upgrade weir for that"};
  // A number that was set since, by weirctl, stays unless another one is asked for now.
  const unsigned asked = cli::worker_count(*options, words_.host);
  cli::Options to_be = *options;
  to_be.workers = asked != cli::worker_count(options_, words_.host) ? asked : master_.workers();
  if (!options->weights.empty() && options->weights.size() != *to_be.workers)
    return Error{fmt::format("{} --weights for the {} workers that weirctl workers has set",
                             options->weights.size(), *to_be.workers),
                 "leave them out, or set another number of workers first"};
  auto plan = work_out(to_be, words_.host, plan_.descriptors);
  if (!plan) return plan.error();
  std::vector<tls::Credential> credentials;
  if (tls_ != nullptr) {
    auto read = tls_->read(plan->tls_files);
    if (!read) return read.error();
    credentials = std::move(*read);
  }
  if (auto can = master_.steering().can(plan->master.steering.table.policy); !can)
    return can.error();
  // The one step that begins something, and may fail to.
  if (plan->master.workers != master_.workers())
    if (auto begun = master_.set_workers(plan->master.workers); !begun) return begun.error();

  for (const std::string& warning : options->warnings) spdlog::warn("{}", warning);
  if (tls_ != nullptr) {
    tls_->publish(credentials);
    tls_->rotate_every(plan->tls_ticket_rotation);
  }
  std::size_t told_later = 0;
  if (!changes.empty()) {
    plan_.worker.rules = plan->worker.rules;
    plan_.max_connections = plan->max_connections;
    plan->master.terms.workers_asked = asked;  // not what weirctl has made of it since
    told_later = master_.adopt(plan->master, server::pack(plan_.worker.rules));
  }
  const process::SteeringSet ended = master_.end_steering_set();
  options_ = std::move(*options);
  return report(changes, ended, tls_ != nullptr, told_later);
}

Result<std::string> Reloader::reload() {
  auto done = take_over();
  // Said under the more talkative of the two levels, should that have changed.
  spdlog::set_level(std::min(spdlog::get_level(), options_.log_level));
  if (done)
    spdlog::info("{}", *done);
  else
    spdlog::error("not reloaded, everything stays as it was: {}", to_string(done.error()));
  spdlog::set_level(options_.log_level);
  return done;
}

}  // namespace weir::launch
