#include "weir/process/service_report.h"

#include <fmt/format.h>

namespace weir::process {
namespace {

/// A third, as workers give their signs of life; half would do (sd_watchdog_enabled(3)).
constexpr int kSignsPerWatchdog = 3;

std::int64_t micros(Duration duration) {
  return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
}

std::string counted(std::uint64_t number, std::string_view noun) {
  return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s");
}

std::string status_of(const ServiceState& state) {
  const std::string connections = counted(state.connections, "connection");
  if (state.stopping) return fmt::format("stopping, {} left", connections);
  return fmt::format("{}, {} of {} serving", connections, state.serving,
                     counted(state.workers, "worker"));
}

}  // namespace

std::string ServiceReport::due(const ServiceState& state, Instant now) {
  next_ = said_;
  std::string out;
  if (state.stopping && !said_.stopping) {
    out += fmt::format("STOPPING=1\nEXTEND_TIMEOUT_USEC={}\n", micros(stop_patience_));
    next_.stopping = true;
  }
  if (state.ready && !state.stopping && !said_.ready) {
    out += "READY=1\n";
    next_.ready = true;
  }
  const bool may = said_.status.empty() || now - said_.status_at >= kStatusEvery;
  if (std::string status = status_of(state); may && status != said_.status) {
    out += fmt::format("STATUS={}\n", status);
    next_.status = std::move(status);
    next_.status_at = now;
  }
  const bool well = state.stopping || (state.ready && state.sound);
  if (watchdog_.count() > 0 && well && now - said_.alive_at >= watchdog_ / kSignsPerWatchdog) {
    out += "WATCHDOG=1\n";
    next_.alive_at = now;
  }
  return out;
}

std::string ServiceReport::reloading(Instant now) {
  said_.ready = false;
  return fmt::format("RELOADING=1\nMONOTONIC_USEC={}\n", micros(now.time_since_epoch()));
}

}  // namespace weir::process
