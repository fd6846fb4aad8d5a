#include "weir/admin/status_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

namespace weir::admin {
namespace {

constexpr std::size_t kColumns = 14;
using Row = std::array<std::string, kColumns>;

constexpr std::array<std::string_view, kColumns> kHead{
    "SLOT",     "PID",      "CPU",     "STATE",    "WEIGHT", "CONNS", "QUEUED",
    "ASSIGNED", "ACCEPTED", "MSGS IN", "MSGS OUT", "IN",     "OUT",   "BUSY"};
constexpr std::size_t kState = 3;  // the one column of words, flush left

constexpr std::array kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};

/// Three digits or more that matter, and a unit: 999B, 1.5KiB, 12.0GiB.
std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{}B", bytes);
  auto scaled = static_cast<double>(bytes);
  std::size_t unit = 0;
  // From 1023.95 on, one decimal would show 1024.0.
  while (scaled >= 1023.95 && unit + 1 < kUnits.size()) {
    scaled /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f}{}", scaled, kUnits[unit]);
}

std::string percent(double share) {
  return fmt::format("{:.0f}%", share * 100);
}

Row row_of(const WorkerStatus& w) {
  return {fmt::to_string(w.slot),
          w.pid == 0 ? "-" : fmt::to_string(w.pid),
          w.cpu ? fmt::to_string(*w.cpu) : "-",
          w.state,
          fmt::to_string(w.weight),
          fmt::to_string(w.connections),
          fmt::to_string(w.queued),
          fmt::to_string(w.assigned),
          fmt::to_string(w.accepted),
          fmt::to_string(w.messages_in),
          fmt::to_string(w.messages_out),
          human_bytes(w.bytes_in),
          human_bytes(w.bytes_out),
          percent(w.busy)};
}

/// The sums, and the mean of the busy shares: how full the machine is.
Row total_of(const std::vector<WorkerStatus>& workers) {
  WorkerStatus sum;
  for (const WorkerStatus& w : workers) {
    sum.connections += w.connections;
    sum.queued += w.queued;
    sum.assigned += w.assigned;
    sum.accepted += w.accepted;
    sum.messages_in += w.messages_in;
    sum.messages_out += w.messages_out;
    sum.bytes_in += w.bytes_in;
    sum.bytes_out += w.bytes_out;
    sum.busy += w.busy;
  }
  sum.busy /= static_cast<double>(std::max<std::size_t>(workers.size(), 1));
  Row row = row_of(sum);
  row[0] = "total";
  row[1] = row[2] = row[kState] = row[kState + 1] = "";
  return row;
}

/// "rejected 3, tls failed 1": those that have counted something, under the table, wrapped.
std::string counter_lines(const Counters& counters) {
  constexpr std::size_t kWidth = 100;
  std::string out;
  std::size_t line = 0;
  for (const Counter& counter : counters) {
    if (counter.value == 0) continue;
    std::string item = fmt::format("{} {}", counter.name, counter.value);
    std::ranges::replace(item, '_', ' ');
    const bool wrap = line == 0 || line + item.size() + 2 > kWidth;
    out += line == 0 ? "\n" : wrap ? ",\n" : ", ";
    line = wrap ? item.size() : line + 2 + item.size();
    out += item;
  }
  return out.empty() ? out : out + '\n';
}

}  // namespace

std::string render_table(const Status& status) {
  std::vector<Row> rows(1);
  std::copy(kHead.begin(), kHead.end(), rows.front().begin());
  for (const WorkerStatus& worker : status.workers) rows.push_back(row_of(worker));
  rows.push_back(total_of(status.workers));

  std::array<std::size_t, kColumns> widths{};
  for (const Row& row : rows)
    for (std::size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], row[i].size());

  std::string out = fmt::format(
      "weir {}, master {}: {}{} by {}, on {}\n{} connections, imbalance {:.2f}\n\n", status.version,
      status.master_pid, status.policy,
      status.hash_on.empty() ? "" : fmt::format(" on {}", status.hash_on), status.backend,
      fmt::join(status.listen, " "), status.connections, status.imbalance);
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < kColumns; ++i) {
      if (i > 0) out += "  ";
      out += i == kState ? fmt::format("{:<{}}", row[i], widths[i])
                         : fmt::format("{:>{}}", row[i], widths[i]);
    }
    out += '\n';
  }
  out += counter_lines(status.counters);
  return out;
}

}  // namespace weir::admin
