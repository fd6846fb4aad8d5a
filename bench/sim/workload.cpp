#include "workload.h"

#include <algorithm>
#include <cmath>

namespace weir::sim {
namespace {

Nanoseconds to_ns(double seconds) noexcept {
  return static_cast<Nanoseconds>(std::max(0.0, seconds) * 1e9);
}

}  // namespace

Synthetic::Synthetic(const WorkloadOptions& options, std::uint64_t seed)
    : options_{options},
      seed_{seed},
      arrivals_{seed, 0},
      next_burst_s_{options.arrivals.first_burst_s} {
  for (const Path& path : options_.paths) shares_ += path.share;
  if (options_.arrivals.kind == Arrivals::Kind::on_off)
    phase_ends_s_ = arrivals_.exponential(options_.arrivals.on_s);
}

void Synthetic::advance() {
  const Arrivals& arrivals = options_.arrivals;
  if (burst_left_ > 0) {
    --burst_left_;
    return;  // all of a burst at the same instant
  }
  const double gap = arrivals.rate > 0 ? arrivals_.exponential(1 / arrivals.rate) : INFINITY;
  if (arrivals.kind == Arrivals::Kind::bursts && now_s_ + gap >= next_burst_s_) {
    // Poisson arrivals have no memory: what would have come after the burst is drawn anew.
    now_s_ = next_burst_s_;
    next_burst_s_ += arrivals.burst_every_s;
    burst_left_ = arrivals.burst - 1;
    return;
  }
  now_s_ += gap;
  if (arrivals.kind != Arrivals::Kind::on_off) return;
  while (now_s_ > phase_ends_s_) {
    const double pause = arrivals_.exponential(arrivals.off_s);
    now_s_ += pause;
    phase_ends_s_ += pause + arrivals_.exponential(arrivals.on_s);
  }
}

const Path& Synthetic::pick_path(Random& random) const {
  double at = random.uniform() * shares_;
  for (const Path& path : options_.paths) {
    at -= path.share;
    if (at < 0) return path;
  }
  return options_.paths.back();
}

std::optional<Session> Synthetic::next() {
  if (made_ >= options_.sessions_max) return std::nullopt;
  advance();
  if (!(now_s_ <= options_.until_s)) return std::nullopt;
  Random random{seed_, ++made_};
  const Path& path = pick_path(random);
  Session session;
  session.arrives = to_ns(now_s_);
  session.client = random.next();
  session.hash = static_cast<std::uint32_t>(random.next());
  session.lifetime = to_ns(options_.lifetime.draw(random));
  const double rate = path.rate.draw(random);
  const double cost = std::min(path.cost.draw(random), path.core_max / rate);
  session.message_gap_ns = 1e9 / rate;
  session.cost = {.kind = path.spread, .mean = cost, .shape = path.spread_shape};
  session.bytes = path.bytes;
  session.random = random;
  return session;
}

}  // namespace weir::sim
