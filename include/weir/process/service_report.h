// ServiceReport: what the service manager is told, and when, in the words of sd_notify(3). Decides,
// and only decides: NotifySocket sends, and a test passes any time it likes.
//
// The watchdog is kept quiet only as long as at least one worker serves and wakes: when it bites,
// systemd ends the whole service with every session, so it is for when nothing works any more. One
// worker that hangs is killed and replaced by the master itself.
#pragma once

#include <cstdint>
#include <string>

#include "weir/base/clock.h"

namespace weir::process {

/// The service at one moment.
struct ServiceState {
  bool ready = false;  // every worker has served
  bool stopping = false;
  bool sound = false;         // some worker serves and wakes
  std::uint32_t serving = 0;  // workers
  std::uint32_t workers = 0;
  std::uint64_t connections = 0;
};

class ServiceReport {
 public:
  static constexpr Duration kStatusEvery = std::chrono::seconds{1};  // and only when it changed

  /// `watchdog`: how often the manager wants to hear that all is well (WATCHDOG_USEC); 0: never.
  /// `stop_patience`: how long stopping may take, for which the manager is asked to wait.
  ServiceReport(Duration watchdog, Duration stop_patience) noexcept
      : watchdog_{watchdog}, stop_patience_{stop_patience} {}

  void set_stop_patience(Duration patience) noexcept { stop_patience_ = patience; }

  /// The assignments to send now, a line each; empty where there is nothing to say. The same again
  /// until sent() says that they went out.
  [[nodiscard]] std::string due(const ServiceState& state, Instant now);
  void sent() { said_ = next_; }

  /// What precedes a reload; READY=1 is due again after it.
  [[nodiscard]] std::string reloading(Instant now);

 private:
  struct Said {
    bool ready = false;
    bool stopping = false;
    std::string status;
    Instant status_at;
    Instant alive_at;
  };
  Duration watchdog_;
  Duration stop_patience_;
  Said said_;
  Said next_;  // once sent
};

}  // namespace weir::process
