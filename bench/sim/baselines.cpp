#include "baselines.h"

#include <algorithm>
#include <array>
#include <bit>

#include "weir/steering/pick.h"  // weir_range, which is the kernel's reciprocal_scale()

namespace weir::sim {
namespace {

/// Of the workers in `set`, those whose value is less than the set's mean and a half, or the mean.
std::uint64_t below_mean(std::uint64_t set, std::span<const double> values) {
  double sum = 0;
  for (std::uint64_t left = set; left != 0; left &= left - 1)
    sum += values[static_cast<std::size_t>(std::countr_zero(left))];
  const double mean = set == 0 ? 0 : sum / std::popcount(set);
  std::uint64_t kept = 0;
  for (std::uint64_t left = set; left != 0; left &= left - 1) {
    const auto bit = static_cast<std::size_t>(std::countr_zero(left));
    if (values[bit] < 1.5 * mean || values[bit] <= mean) kept |= std::uint64_t{1} << bit;
  }
  return kept;
}

}  // namespace

std::uint32_t KernelHash::pick(Nanoseconds, const Session& session) {
  return weir_range(session.hash, workers_);
}

Hermes::Hermes(std::uint32_t workers, Duration threshold)
    : threshold_{static_cast<Nanoseconds>(threshold.count())},
      status_(workers),
      sets_((workers + kGroup - 1) / kGroup) {}

std::uint32_t Hermes::pick(Nanoseconds, const Session& session) {
  const auto groups = static_cast<std::uint32_t>(sets_.size());
  // The bits that chose the group must not choose within it.
  const std::uint32_t group = weir_range(session.hash, groups);
  const auto hash = static_cast<std::uint32_t>(std::uint64_t{session.hash} * groups);
  const std::uint32_t first = group * kGroup;
  const auto workers = std::min(kGroup, static_cast<std::uint32_t>(status_.size()) - first);
  std::uint64_t set = sets_[group];
  const auto members = static_cast<std::uint32_t>(std::popcount(set));
  if (members <= 1) return first + weir_range(hash, workers);
  for (std::uint32_t skip = weir_range(hash, members); skip > 0; --skip) set &= set - 1;
  return first + static_cast<std::uint32_t>(std::countr_zero(set));
}

void Hermes::woke(std::uint32_t worker, Nanoseconds now, std::uint32_t completions,
                  Nanoseconds ends) {
  Status& status = status_[worker];
  status.began = now;
  status.ends = ends;
  status.events = completions;
  status.sleeps = false;
}

void Hermes::turned(const TurnReport& report) {
  Status& status = status_[report.worker];
  status.connections += report.accepted;
  status.connections -= report.closed;
  status.events = 0;
  status.sleeps = report.sleeps;
  publish(report.worker / kGroup, report.ended);
}

void Hermes::crashed(std::uint32_t worker, std::uint32_t) {
  status_[worker] = {.down = true};
}

void Hermes::restarted(std::uint32_t worker, Nanoseconds now) {
  status_[worker] = {.began = now};
}

void Hermes::publish(std::uint32_t group, Nanoseconds now) {
  const std::uint32_t first = group * kGroup;
  const auto workers = std::min(kGroup, static_cast<std::uint32_t>(status_.size()) - first);
  std::array<double, kGroup> connections{};
  std::array<double, kGroup> events{};
  std::uint64_t set = 0;
  for (std::uint32_t i = 0; i < workers; ++i) {
    const Status& status = status_[first + i];
    if (status.down || (!status.sleeps && now - status.began >= threshold_)) continue;
    set |= std::uint64_t{1} << i;
    connections[i] = static_cast<double>(status.connections);
    if (status.events > 0 && status.ends > now && status.ends > status.began)
      events[i] = status.events * static_cast<double>(status.ends - now) /
                  static_cast<double>(status.ends - status.began);
  }
  set = below_mean(set, connections);
  sets_[group] = below_mean(set, events);
}

}  // namespace weir::sim
