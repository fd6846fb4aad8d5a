#include "weir/cli/options.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>

#include "command_line.h"
#include "config_file.h"
#include "cross_checks.h"
#include "weir/cli/control_path.h"
#include "weir_flags.h"

namespace weir::cli {
namespace {

constexpr std::string_view kProgram = "weir";
constexpr std::size_t kCpuMaskMax = 65'536;  // bytes: half a million CPUs

/// The file's settings that no flag of the command line replaces, then the command line's.
Result<std::vector<Given>, Refused> with_config(const std::vector<Row<Options>>& rows,
                                                std::vector<Given> flags) {
  const auto config = std::find_if(flags.begin(), flags.end(), [&rows](const Given& given) {
    return rows[given.row].flag.name == "config";
  });
  if (config == flags.end()) return flags;
  auto settings = read_config_file(kProgram, flags_of(rows), config->value);
  if (!settings) return settings;
  std::erase_if(*settings, [&flags](const Given& setting) { return gives(flags, setting.row); });
  settings->insert(settings->end(), flags.begin(), flags.end());
  return settings;
}

ParseOutcome read(int argc, const char* const* argv, const Host& host) {
  const std::vector<Row<Options>> rows = weir_rows();
  auto line = read_command_line(kProgram, flags_of(rows), argc, argv);
  if (!line) return line.error();
  if (line->help) return Printed{help_text(weir_manual())};
  if (line->version) return Printed{fmt::format("weir {}\n", version())};
  if (!line->words.empty())
    return Refused{
        fmt::format("weir: {} is no flag; --help lists them", in_quotes(line->words.front()))};

  const auto given = with_config(rows, std::move(line->flags));
  if (!given) return given.error();
  Options options;
  options.control = host.default_control;
  options.listen = host.passed;
  if (auto refused = apply(kProgram, rows, *given, options)) return *refused;
  for (const Given& each : *given) options.places.emplace(rows[each.row].flag.name, each.where);
  if (options.listen.empty())
    options.listen.push_back({.address = *SocketAddress::parse("127.0.0.1:9000")});
  if (auto refused = cross_check(options, host)) return *refused;
  return options;
}

}  // namespace

Host Host::here() {
  Host host{.cpus = {}, .default_control = default_control_path()};
  // The mask must be as long as the kernel's, which no fixed cpu_set_t is sure to be.
  for (std::size_t size = sizeof(cpu_set_t); host.cpus.empty() && size <= kCpuMaskMax; size *= 2) {
    std::vector<cpu_set_t> mask(size / sizeof(cpu_set_t));
    if (::sched_getaffinity(0, size, mask.data()) != 0) continue;  // EINVAL: longer
    for (int cpu = 0; cpu < static_cast<int>(size * 8); ++cpu)
      if (CPU_ISSET_S(static_cast<std::size_t>(cpu), size, mask.data())) host.cpus.push_back(cpu);
  }
  if (host.cpus.empty()) host.cpus.push_back(0);
  return host;
}

ParseOutcome parse(int argc, const char* const* argv, const Host& host) noexcept {
  return read(argc, argv, host);
}

ParseOutcome parse(int argc, const char* const* argv) noexcept {
  return parse(argc, argv, Host::here());
}

unsigned worker_count(const Options& options, const Host& host) noexcept {
  return options.workers.value_or(
      static_cast<unsigned>(std::clamp<std::size_t>(host.cpus.size(), 1, kWorkersMax)));
}

unsigned worker_count(const Options& options) {
  return worker_count(options, Host::here());
}

}  // namespace weir::cli
