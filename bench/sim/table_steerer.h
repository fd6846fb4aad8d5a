// TableSteerer: weir's policies in the simulator. Not a model of them: the load table is weir's
// own, in memory, workers report to it through WorkerSlot, and weir_steer() of pick.h decides.
#pragma once

#include <vector>

#include "steerer.h"
#include "weir/steering/load_table.h"
#include "weir/steering/worker_slot.h"

namespace weir::sim {

class TableSteerer final : public Steerer {
 public:
  TableSteerer(steering::Policy policy, const SteererOptions& options);

  [[nodiscard]] std::uint32_t pick(Nanoseconds now, const Session& session) override;
  void woke(std::uint32_t worker, Nanoseconds now, std::uint32_t completions,
            Nanoseconds ends) override;
  void turned(const TurnReport& report) override;
  void tick(Nanoseconds now) override;
  void crashed(std::uint32_t worker, std::uint32_t queued) override;
  void restarted(std::uint32_t worker, Nanoseconds now) override;
  [[nodiscard]] std::optional<steering::ForecastError> forecast_error() const override {
    return score_.forecast_error();
  }

 private:
  steering::Policy policy_;
  steering::LoadTable table_;
  std::vector<steering::WorkerSlot> slots_;
  steering::LoadScore score_;
  std::vector<steering::LoadReading> readings_;
};

}  // namespace weir::sim
