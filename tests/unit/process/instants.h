// When the tests of what the master's tick decides begin, and how far its ticks are apart.
#pragma once

#include "weir/base/clock.h"

namespace weir::process {

inline constexpr Instant kStart{std::chrono::seconds{5'000}};
inline constexpr Duration kTick = std::chrono::milliseconds{100};

}  // namespace weir::process
