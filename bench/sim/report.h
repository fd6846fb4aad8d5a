// Report: what a run came to, as a row of figures; rows as CSV, as a table of medians over the
// seeds, and as plots.
#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "simulation.h"

namespace weir::sim {

struct Row {
  std::string scenario;
  std::string policy;
  std::uint64_t seed = 0;
  std::uint32_t workers = 0;
  std::uint64_t sessions = 0;
  std::uint64_t lost = 0;
  // Of the workers' open connections and busy shares: the mean over the samples.
  double connections_mean = 0;
  double connections_deviation = 0;
  double connections_largest = 0;  // over the mean; the greatest of all samples
  double busy_mean = 0;
  double busy_deviation = 0;
  double busy_largest = 0;  // over the mean
  // Delays, in microseconds.
  double message_mean = 0;
  double message_p50 = 0;
  double message_p99 = 0;
  double message_p999 = 0;
  double connect_p50 = 0;
  double connect_p99 = 0;
  double connect_p999 = 0;
  // Of the forecasts, in busy share; 0 where nothing is forecast.
  double forecast_error = 0;
  double forecast_error_connections = 0;
};

[[nodiscard]] Row make_row(std::string_view scenario, std::string_view policy, std::uint64_t seed,
                           std::uint32_t workers, const Outcome& outcome);

void write_csv(std::ostream& out, const std::vector<Row>& rows);
/// Markdown: a line a policy, medians over the seeds with [least, greatest].
void write_table(std::ostream& out, const std::vector<Row>& rows, std::string_view scenario);
/// A gnuplot script and its data for each scenario, in the folder: connection spread, busy spread,
/// quantiles of the delays. Returns the scripts.
[[nodiscard]] std::vector<std::filesystem::path> write_plots(const std::filesystem::path& folder,
                                                             const std::vector<Row>& rows);

}  // namespace weir::sim
