// Retirement: decides which of the slots that stay take how many sessions of those that are to go.
// Decides, and only decides: the master posts the orders, and a test passes any loads and any time
// it likes.
//
// Each session goes to whoever then has least for its weight, so that those that stay end up as
// even as rebalancing would have them. No faster than that may move sessions, either. What cannot
// move is ordered again and again, in vain: its worker knows, and ends it (server/worker.h).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "weir/base/clock.h"
#include "weir/process/rebalancer.h"

namespace weir::process {

class Retirement {
 public:
  static constexpr Duration kObeyWithin = Rebalancer::kObeyWithin;

  /// The slots from `staying` on are to go. At most `per_second` sessions are ordered to move.
  Retirement(std::uint32_t staying, std::uint32_t per_second)
      : staying_{staying}, budget_{per_second} {}

  /// A look at the loads of all slots; call every tick. The `able` ones give or take; `counts` says
  /// nothing here. A slot gets no order while it has not carried out those before, but after
  /// kObeyWithin: what is left of them then cannot move, or not yet.
  [[nodiscard]] std::vector<MoveOrder> look(std::span<const SlotLoad> loads, Instant now);

 private:
  struct UnderWay {
    MoveOrder order;  // its count: what has not left yet
    Instant since;
  };

  void settle(std::span<const SlotLoad> loads, Instant now);

  std::uint32_t staying_;
  MoveBudget budget_;
  std::vector<std::optional<std::uint64_t>> left_seen_;  // by slot
  std::vector<UnderWay> under_way_;                      // oldest first
};

}  // namespace weir::process
