// Steerer: a way of choosing the worker of a new connection, and what it is told of the workers.
// weir's policies are the real thing: the real load table, the real pick.h, the real LoadScore. The
// others are models: the kernel's own hash, EPOLLEXCLUSIVE on one shared queue, and Hermes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agenda.h"
#include "weir/steering/load_score.h"
#include "workload.h"

namespace weir::sim {

/// What a worker tells at the end of a turn of its loop, of that turn.
struct TurnReport {
  std::uint32_t worker = 0;
  Nanoseconds ended = 0;
  Nanoseconds busy = 0;
  std::uint32_t accepted = 0;
  std::uint32_t closed = 0;
  std::uint32_t messages = 0;
  std::uint64_t bytes = 0;
  bool sleeps = false;  // nothing waits: it will wake itself in time
};

class Steerer {
 public:
  virtual ~Steerer() = default;

  /// The worker for a session. It is never called where shares_queue().
  [[nodiscard]] virtual std::uint32_t pick(Nanoseconds now, const Session& session) = 0;
  /// Whether connections wait in one queue for whichever worker takes them.
  [[nodiscard]] virtual bool shares_queue() const noexcept { return false; }

  /// A worker woke to so many completions, which will take it until `ends`.
  virtual void woke(std::uint32_t worker, Nanoseconds now, std::uint32_t completions,
                    Nanoseconds ends) = 0;
  virtual void turned(const TurnReport& report) = 0;
  /// The master's turn.
  virtual void tick(Nanoseconds now) = 0;
  /// The worker died with its sessions; so many connections wait in its queue.
  virtual void crashed(std::uint32_t worker, std::uint32_t queued) = 0;
  virtual void restarted(std::uint32_t worker, Nanoseconds now) = 0;

  /// Of a model's forecasts, where there is one.
  [[nodiscard]] virtual std::optional<steering::ForecastError> forecast_error() const {
    return std::nullopt;
  }
};

struct SteererOptions {
  std::uint32_t workers = 2;  // 1..WEIR_SLOTS_MAX
  Duration hang_threshold = std::chrono::milliseconds{50};
  steering::ScoreOptions score{};
};

/// Every name that make_steerer() knows: weir's policies, then the baselines.
[[nodiscard]] std::span<const std::string_view> steerer_names();
/// Whether it is one of those that weir is compared with.
[[nodiscard]] bool is_baseline(std::string_view name) noexcept;
/// Null if there is none of that name.
[[nodiscard]] std::unique_ptr<Steerer> make_steerer(std::string_view name,
                                                    const SteererOptions& options);

}  // namespace weir::sim
