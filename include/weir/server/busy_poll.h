// BusyPoll: whether a worker that has run out of work looks for more before it sleeps.
//
// To be put to sleep, and woken from another CPU, takes longer than a small message: on one
// connection across two CPUs of a virtual machine a round trip took 61 us with a sleep in it and 21
// without, and no less CPU. But looking takes all of a CPU for as long as it lasts. So a worker
// looks only while work comes soon: each wait that was no longer than the limit is a reason to look
// before later ones, each longer one takes a reason away. One whose clients fall silent has looked
// in vain kReasonsMax times, and sleeps from then on.
#pragma once

#include <algorithm>

#include "weir/base/clock.h"

namespace weir::server {

class BusyPoll {
 public:
  static constexpr int kReasonsMax = 8;

  /// 0: it never looks.
  explicit BusyPoll(Duration limit) noexcept : limit_{limit} {}

  /// Another limit from here on.
  void limit(Duration limit) noexcept {
    if (limit != limit_) *this = BusyPoll{limit};
  }

  /// For how long to look before the next sleep; 0: not at all.
  [[nodiscard]] Duration ahead() const noexcept { return reasons_ > 0 ? limit_ : Duration::zero(); }

  /// That long it waited, looking or asleep, and then there was `work`, or only the time to give a
  /// sign of life.
  void waited(Duration time, bool work) noexcept {
    const bool soon = work && time <= limit_;
    reasons_ = std::clamp(reasons_ + (soon ? 1 : -1), 0, kReasonsMax);
  }

 private:
  Duration limit_;
  int reasons_ = 0;
};

}  // namespace weir::server
