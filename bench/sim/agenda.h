// Agenda: what happens next. A calendar of buckets of one millisecond each, and a heap of what is
// due within the present one: at ten million sessions a single heap misses the cache at each of its
// two dozen levels, where here an event is written once and read once before its bucket is sorted.
// What is beyond the calendar waits in a list that is looked through once a turn of it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace weir::sim {

using Nanoseconds = std::uint64_t;  // since the simulation began
constexpr Nanoseconds kSecond = 1'000'000'000;

struct Event {
  enum class Kind : std::uint32_t { session, turn_end, stall, crash, restart };
  Nanoseconds at;
  Kind kind;
  std::uint32_t subject;  // a session's place, or a worker
};

class Agenda {
 public:
  void add(const Event& event) {
    ++size_;
    const std::uint64_t bucket = event.at / kBucket;
    if (bucket <= now_) {
      due_.push_back(event);
      std::push_heap(due_.begin(), due_.end(), later);
    } else if (bucket - now_ < kBuckets) {
      buckets_[bucket % kBuckets].push_back(event);
    } else {
      beyond_.push_back(event);
    }
  }

  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

  /// The earliest event; there must be one. Lent until the next call.
  [[nodiscard]] const Event& next() {
    while (due_.empty()) advance();
    return due_.front();
  }
  void pop() {
    std::pop_heap(due_.begin(), due_.end(), later);
    due_.pop_back();
    --size_;
  }

 private:
  static constexpr Nanoseconds kBucket = 1'000'000;
  static constexpr std::uint64_t kBuckets = 1U << 16;  // 65 s

  static bool later(const Event& a, const Event& b) noexcept { return a.at > b.at; }

  void advance() {
    ++now_;
    due_.swap(buckets_[now_ % kBuckets]);
    std::make_heap(due_.begin(), due_.end(), later);
    if (now_ % kBuckets != 0) return;
    std::vector<Event> waited;
    waited.swap(beyond_);
    size_ -= waited.size();
    for (const Event& event : waited) add(event);
  }

  std::uint64_t now_ = 0;  // the bucket that due_ is
  std::uint64_t size_ = 0;
  std::vector<Event> due_;
  std::vector<std::vector<Event>> buckets_{kBuckets};
  std::vector<Event> beyond_;
};

}  // namespace weir::sim
