#include "report.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <ostream>

namespace weir::sim {
namespace {

struct Column {
  std::string_view name;
  double Row::*member;
};
constexpr std::array kColumns{
    Column{"connections_mean", &Row::connections_mean},
    Column{"connections_deviation", &Row::connections_deviation},
    Column{"connections_largest", &Row::connections_largest},
    Column{"busy_mean", &Row::busy_mean},
    Column{"busy_deviation", &Row::busy_deviation},
    Column{"busy_largest", &Row::busy_largest},
    Column{"message_mean_us", &Row::message_mean},
    Column{"message_p50_us", &Row::message_p50},
    Column{"message_p99_us", &Row::message_p99},
    Column{"message_p999_us", &Row::message_p999},
    Column{"connect_p50_us", &Row::connect_p50},
    Column{"connect_p99_us", &Row::connect_p99},
    Column{"connect_p999_us", &Row::connect_p999},
    Column{"forecast_error", &Row::forecast_error},
    Column{"forecast_error_connections", &Row::forecast_error_connections},
};

/// Names in the order in which they first appear.
std::vector<std::string> distinct(const std::vector<Row>& rows, std::string Row::*member) {
  std::vector<std::string> names;
  for (const Row& row : rows)
    if (std::ranges::find(names, row.*member) == names.end()) names.push_back(row.*member);
  return names;
}

std::vector<double> values_of(const std::vector<Row>& rows, std::string_view scenario,
                              std::string_view policy, double Row::*member) {
  std::vector<double> values;
  for (const Row& row : rows)
    if (row.scenario == scenario && row.policy == policy) values.push_back(row.*member);
  std::ranges::sort(values);
  return values;
}

double median(const std::vector<double>& sorted) {
  if (sorted.empty()) return 0;
  const std::size_t half = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/// Three digits that say something, and no exponent.
std::string short_number(double value) {
  if (value >= 100) return fmt::format("{:.0f}", value);
  if (value >= 10) return fmt::format("{:.1f}", value);
  if (value >= 1) return fmt::format("{:.2f}", value);
  return fmt::format("{:.3f}", value);
}

std::string with_range(const std::vector<double>& sorted) {
  if (sorted.size() < 2) return short_number(median(sorted));
  return fmt::format("{} [{}, {}]", short_number(median(sorted)), short_number(sorted.front()),
                     short_number(sorted.back()));
}

constexpr std::string_view kPlot = R"(set terminal pngcairo size 1300,900 font "sans,10"
set output "{0}.png"
set multiplot layout 2,2 title "{0}"
set style fill solid 0.7
set boxwidth 0.7
set xtics rotate by -35
set grid ytics
set key off
set yrange [0:*]
set title "connections: standard deviation over the workers"
plot "{0}.dat" using 0:2:xtic(1) with boxes
set title "busy share: standard deviation over the workers"
plot "{0}.dat" using 0:3:xtic(1) with boxes
set key outside right top
set offsets 0.6, 0.6, 0, 0
set style data points
set pointsize 1.5
set logscale y
set format y "%g"
set yrange [*:*]
set title "delay of messages, ms"
plot "{0}.dat" using 0:($4/1000):xtic(1) pt 5 title "p50", \
     "" using 0:($5/1000) pt 7 title "p99", "" using 0:($6/1000) pt 9 title "p99.9"
set title "delay of connections until accepted, ms"
plot "{0}.dat" using 0:($7/1000):xtic(1) pt 5 title "p50", \
     "" using 0:($8/1000) pt 7 title "p99", "" using 0:($9/1000) pt 9 title "p99.9"
)";

}  // namespace

Row make_row(std::string_view scenario, std::string_view policy, std::uint64_t seed,
             std::uint32_t workers, const Outcome& outcome) {
  Row row{.scenario = std::string{scenario},
          .policy = std::string{policy},
          .seed = seed,
          .workers = workers,
          .sessions = outcome.sessions,
          .lost = outcome.lost};
  const double share =
      outcome.samples.empty() ? 0 : 1 / static_cast<double>(outcome.samples.size());
  for (const Sample& sample : outcome.samples) {
    row.connections_mean += share * sample.connections.mean;
    row.connections_deviation += share * sample.connections.deviation;
    row.connections_largest = std::max(row.connections_largest, sample.connections.largest);
    row.busy_mean += share * sample.busy.mean;
    row.busy_deviation += share * sample.busy.deviation;
    row.busy_largest += share * sample.busy.largest;
  }
  constexpr double kUs = 1e-3;
  row.message_mean = outcome.messages.mean() * kUs;
  row.message_p50 = outcome.messages.quantile(0.5) * kUs;
  row.message_p99 = outcome.messages.quantile(0.99) * kUs;
  row.message_p999 = outcome.messages.quantile(0.999) * kUs;
  row.connect_p50 = outcome.connections.quantile(0.5) * kUs;
  row.connect_p99 = outcome.connections.quantile(0.99) * kUs;
  row.connect_p999 = outcome.connections.quantile(0.999) * kUs;
  if (outcome.forecast_error) {
    row.forecast_error = outcome.forecast_error->of_model;
    row.forecast_error_connections = outcome.forecast_error->of_connections;
  }
  return row;
}

void write_csv(std::ostream& out, const std::vector<Row>& rows) {
  fmt::print(out, "scenario,policy,seed,workers,sessions,lost");
  for (const Column& column : kColumns) fmt::print(out, ",{}", column.name);
  fmt::print(out, "\n");
  for (const Row& row : rows) {
    fmt::print(out, "{},{},{},{},{},{}", row.scenario, row.policy, row.seed, row.workers,
               row.sessions, row.lost);
    for (const Column& column : kColumns) fmt::print(out, ",{:.6g}", row.*column.member);
    fmt::print(out, "\n");
  }
}

void write_table(std::ostream& out, const std::vector<Row>& rows, std::string_view scenario) {
  fmt::print(out,
             "| policy | connections, sd | largest / mean | busy share, sd | message p50, us | p99 "
             "| p99.9 | connect p99, us |\n|---|---|---|---|---|---|---|---|\n");
  for (const std::string& policy : distinct(rows, &Row::policy)) {
    fmt::print(out, "| {}", policy);
    for (double Row::*member :
         {&Row::connections_deviation, &Row::connections_largest, &Row::busy_deviation,
          &Row::message_p50, &Row::message_p99, &Row::message_p999, &Row::connect_p99})
      fmt::print(out, " | {}", with_range(values_of(rows, scenario, policy, member)));
    fmt::print(out, " |\n");
  }
}

std::vector<std::filesystem::path> write_plots(const std::filesystem::path& folder,
                                               const std::vector<Row>& rows) {
  std::vector<std::filesystem::path> scripts;
  for (const std::string& scenario : distinct(rows, &Row::scenario)) {
    std::ofstream data{folder / (scenario + ".dat")};
    for (const std::string& policy : distinct(rows, &Row::policy)) {
      fmt::print(data, "{}", policy);
      for (double Row::*member :
           {&Row::connections_deviation, &Row::busy_deviation, &Row::message_p50, &Row::message_p99,
            &Row::message_p999, &Row::connect_p50, &Row::connect_p99, &Row::connect_p999})
        fmt::print(data, " {:.6g}", median(values_of(rows, scenario, policy, member)));
      fmt::print(data, "\n");
    }
    scripts.push_back(folder / (scenario + ".gp"));
    std::ofstream{scripts.back()} << fmt::format(kPlot, scenario);
  }
  return scripts;
}

}  // namespace weir::sim
