#include "weir/io/timer_wheel.h"

#include <algorithm>

namespace weir::io {

TimerWheel::TimerWheel(Instant now) noexcept : done_{tick_of(now)} {
  heads_.fill(kNone);
}

void TimerWheel::arm(std::uint32_t id, Instant at) {
  if (id >= nodes_.size()) nodes_.resize(std::size_t{id} + 1);
  disarm(id);
  // Rounded up, so that it never fires before its time; past the round, in the last bucket.
  const std::uint64_t due = std::clamp(tick_of(at) + 1, done_ + 1, done_ + kBuckets - 1);
  const auto bucket = static_cast<std::uint32_t>(due % kBuckets);

  nodes_[id] = {.previous = kNone, .next = heads_[bucket], .bucket = bucket};
  if (heads_[bucket] != kNone) nodes_[heads_[bucket]].previous = id;
  heads_[bucket] = id;
  occupied_[bucket / 64] |= 1ULL << (bucket % 64);
  ++armed_;
}

void TimerWheel::disarm(std::uint32_t id) noexcept {
  if (id >= nodes_.size() || nodes_[id].bucket == kNone) return;
  Node& node = nodes_[id];
  if (node.next != kNone) nodes_[node.next].previous = node.previous;
  if (node.previous != kNone) {
    nodes_[node.previous].next = node.next;
  } else {
    heads_[node.bucket] = node.next;
    if (node.next == kNone) occupied_[node.bucket / 64] &= ~(1ULL << (node.bucket % 64));
  }
  node = Node{};
  --armed_;
}

std::optional<Instant> TimerWheel::next() const noexcept {
  if (armed_ == 0) return std::nullopt;
  const std::uint64_t first = done_ + 1;
  for (std::uint64_t tick = first; tick < first + kBuckets;) {
    const auto bucket = static_cast<std::uint32_t>(tick % kBuckets);
    const std::uint64_t word = occupied_[bucket / 64] >> (bucket % 64);
    if (word != 0) {
      const std::uint64_t due = tick + static_cast<std::uint64_t>(std::countr_zero(word));
      return Instant{Duration{static_cast<std::int64_t>(due) * kTick.count()}};
    }
    tick += 64 - bucket % 64;
  }
  return std::nullopt;
}

}  // namespace weir::io
