// What weir's policies are compared with. Listeners outlive their workers here as they do in weir,
// so that no baseline loses by a crash what another design would have saved.
#pragma once

#include <vector>

#include "steerer.h"

namespace weir::sim {

/// SO_REUSEPORT without a program: a hash of the connection, whatever the load.
class KernelHash final : public Steerer {
 public:
  explicit KernelHash(std::uint32_t workers) noexcept : workers_{workers} {}

  [[nodiscard]] std::uint32_t pick(Nanoseconds now, const Session& session) override;
  void woke(std::uint32_t, Nanoseconds, std::uint32_t, Nanoseconds) override {}
  void turned(const TurnReport&) override {}
  void tick(Nanoseconds) override {}
  void crashed(std::uint32_t, std::uint32_t) override {}
  void restarted(std::uint32_t, Nanoseconds) override {}

 private:
  std::uint32_t workers_;
};

/// One listening socket that all workers wait for with EPOLLEXCLUSIVE. The kernel wakes the one
/// that went to sleep last; while all are awake, each takes one connection a turn.
class EpollExclusive final : public Steerer {
 public:
  [[nodiscard]] bool shares_queue() const noexcept override { return true; }
  [[nodiscard]] std::uint32_t pick(Nanoseconds, const Session&) override { return 0; }
  void woke(std::uint32_t, Nanoseconds, std::uint32_t, Nanoseconds) override {}
  void turned(const TurnReport&) override {}
  void tick(Nanoseconds) override {}
  void crashed(std::uint32_t, std::uint32_t) override {}
  void restarted(std::uint32_t, Nanoseconds) override {}
};

/// Hermes (SIGCOMM 2025), after its paper. A worker has a status: when its loop last began, how
/// many events of this turn it has not handled yet, how many connections are open. At the end of
/// each turn a worker keeps, of its group's workers, those whose loop began within the threshold;
/// of these, those with fewer connections than the mean + theta; of these, those with fewer events
/// than the mean + theta; and publishes the set as a bitmap. The kernel hashes among the set; with
/// one worker in it or none, among all.
///
/// theta is half of the mean, which did best in the paper. Where the mean is 0 there is nothing
/// below it, and whoever is at the mean is kept: taken by the letter, an idle service would be
/// hashed without regard to connections. With more than 64 workers, groups of 64 are hashed to
/// first.
class Hermes final : public Steerer {
 public:
  Hermes(std::uint32_t workers, Duration threshold);

  [[nodiscard]] std::uint32_t pick(Nanoseconds now, const Session& session) override;
  void woke(std::uint32_t worker, Nanoseconds now, std::uint32_t completions,
            Nanoseconds ends) override;
  void turned(const TurnReport& report) override;
  void tick(Nanoseconds) override {}
  void crashed(std::uint32_t worker, std::uint32_t queued) override;
  void restarted(std::uint32_t worker, Nanoseconds now) override;

 private:
  static constexpr std::uint32_t kGroup = 64;
  struct Status {
    Nanoseconds began = 0;
    Nanoseconds ends = 0;  // of this turn; with `events` it tells how many are left
    std::uint32_t events = 0;
    std::int64_t connections = 0;
    bool sleeps = true;  // its epoll_wait has a timeout below the threshold
    bool down = false;
  };

  void publish(std::uint32_t group, Nanoseconds now);

  Nanoseconds threshold_;
  std::vector<Status> status_;
  std::vector<std::uint64_t> sets_;  // the bitmaps, by group
};

}  // namespace weir::sim
