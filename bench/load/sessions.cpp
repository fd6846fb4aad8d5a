// bench_sessions: clients that come, ask and go as a plan says, whatever the server does meanwhile.
// One thread, one epoll set. skew, beside this file, writes the plans and starts it.
//
// It is an open loop: when a session arrives and when each of its messages is due stands in the
// plan and its seeds alone. Delays are counted from then: of a message to the last byte of its
// answer, of a connection to the 101. A server that falls behind is asked no less. The delays of
// what was due in the window count; the load goes on after its end until those are answered, or for
// `patience`: then what is still owed counts with the delay that it has come to.
//
//   {"event":"ready"}      answers are learnt; it waits for a line: the begin, monotonic, in ns
//   {"event":"end", ...}   counts, and histograms as [[ns, count], ...]: upper ends of their steps
//
// Exits with 1 and says why at the first thing that a right server would not have done. Sessions
// that end early are that too, unless --lossy: then they are counted as lost.
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <iterator>
#include <memory>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "../sim/histogram.h"
#include "../sim/random.h"
#include "message_pool.h"
#include "request_book.h"
#include "session_options.h"
#include "session_plan.h"
#include "visit.h"
#include "weir/base/clock.h"
#include "weir/base/descriptor_limit.h"
#include "wrong.h"

namespace weir::bench {
namespace {

using namespace std::chrono_literals;

std::int64_t now_ns() noexcept {
  return monotonic_now().time_since_epoch() / 1ns;
}

std::int64_t cpu_ns() noexcept {
  timespec spent{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
  return spent.tv_sec * 1'000'000'000 + spent.tv_nsec;
}

class Sessions {
 public:
  explicit Sessions(const SessionOptions& options)
      : options_{options},
        book_{options.sizes},
        plan_{read_plan(options.plan, options.part, options.parts)},
        places_(plan_.size()),
        epoll_{::epoll_create1(EPOLL_CLOEXEC)} {
    venue_.server = options.server;
    venue_.book = &book_;
    venue_.epoll = epoll_.get();
    venue_.scratch.resize(256U << 10);
  }

  void run() {
    book_.learn_answers(options_.server, 20s);
    announce(R"({"event":"ready"})");
    if (std::scanf("%ld", &begin_) != 1) throw Wrong{"no begin was given"};
    window_begins_ = begin_ + options_.warm_up_ns;
    window_ends_ = window_begins_ + options_.window_ns;
    const std::int64_t deadline = window_ends_ + options_.patience_ns;
    std::int64_t now = now_ns();
    while (now < window_ends_ || (now < deadline && owed_ > 0)) {
      if (cpu_began_ == 0 && now >= window_begins_) cpu_began_ = cpu_ns();
      if (cpu_ended_ == 0 && now >= window_ends_) cpu_ended_ = cpu_ns();
      admit(now);
      run_timers(now);
      wait(std::min(next_due(), now < window_ends_ ? window_ends_ : deadline));
      now = now_ns();
    }
    if (cpu_ended_ == 0) cpu_ended_ = cpu_ns();
    report(now);
  }

 private:
  // planned --its time comes--> visit --its end, all answered--> none
  struct Place {
    std::unique_ptr<Visit> visit;
    sim::Random random{0};
    std::int64_t due = 0;  // of the next message
    std::int64_t ends = 0;
    bool leaving = false;  // its time is over; it waits for answers
  };
  struct Timer {
    std::int64_t at;
    std::uint32_t number;
    bool operator>(const Timer& other) const noexcept { return at > other.at; }
  };

  [[nodiscard]] bool counts(std::int64_t due) const noexcept {
    return due >= window_begins_ && due < window_ends_;
  }

  [[nodiscard]] std::int64_t next_due() const noexcept {
    std::int64_t due = timers_.empty() ? INT64_MAX : timers_.top().at;
    if (next_ < plan_.size()) due = std::min(due, begin_ + plan_[next_].arrives_ns);
    return due;
  }

  void admit(std::int64_t now) {
    for (; next_ < plan_.size() && begin_ + plan_[next_].arrives_ns <= now; ++next_) {
      const auto number = static_cast<std::uint32_t>(next_);
      const PlannedSession& session = plan_[number];
      const std::int64_t arrived = begin_ + session.arrives_ns;
      Place& place = places_[number];
      place.random = sim::Random{session.seed};
      place.ends = arrived + session.lifetime_ns;
      place.visit = std::make_unique<Visit>(venue_, session, number);
      if (counts(arrived)) ++owed_;
      if (session.gap_ns == 0) {  // what it has to say, it says once it is open
        place.leaving = true;
        ask(number, arrived);
      } else {
        place.due = arrived + gap(place, session);
        timers_.push({std::min(place.due, place.ends), number});
      }
    }
  }

  [[nodiscard]] static std::int64_t gap(Place& place, const PlannedSession& session) noexcept {
    return std::llround(place.random.exponential(session.gap_ns)) + 1;
  }

  void run_timers(std::int64_t now) {
    while (!timers_.empty() && timers_.top().at <= now) {
      const auto [at, number] = timers_.top();
      timers_.pop();
      Place& place = places_[number];
      if (!place.visit) continue;  // lost meanwhile
      if (place.due >= place.ends) {
        place.leaving = true;
        settle(number);
        continue;
      }
      if (counts(at) && place.visit->state() == Visit::State::open)
        late_.add(static_cast<std::uint64_t>(now_ns() - at));
      ask(number, at);
      place.due = at + gap(place, plan_[number]);
      timers_.push({std::min(place.due, place.ends), number});
      settle(number);
    }
  }

  void ask(std::uint32_t number, std::int64_t due) {
    Place& place = places_[number];
    if (counts(due)) ++owed_;
    place.visit->ask(book_.choose(place.random.exponential(plan_[number].cost_ns)), due);
  }

  void wait(std::int64_t until) {
    const std::int64_t left = std::max<std::int64_t>(0, until - now_ns());
    const timespec time{.tv_sec = left / 1'000'000'000, .tv_nsec = left % 1'000'000'000};
    std::array<epoll_event, 256> events;
    const int count = ::epoll_pwait2(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                     &time, nullptr);
    if (count < 0 && errno != EINTR) fail("epoll_pwait2");
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      on_event(event.data.u32, event.events);
    }
  }

  void on_event(std::uint32_t number, std::uint32_t events) {
    Visit& visit = *places_[number].visit;
    const bool was_open = visit.state() == Visit::State::open;
    const std::int64_t now = now_ns();
    visit.on_ready(events, [&](const Visit::Owed& owed) {
      if (owed.last && counts(owed.due_ns)) {
        --owed_;
        messages_.add(static_cast<std::uint64_t>(now - owed.due_ns));
      }
    });
    if (!was_open && visit.state() == Visit::State::open) {
      ++opened_;
      const std::int64_t arrived = begin_ + plan_[number].arrives_ns;
      if (counts(arrived)) {
        --owed_;
        connects_.add(static_cast<std::uint64_t>(now - arrived));
      }
      was_opened_[number] = true;
    }
    settle(number);
  }

  /// Ends the visit if its time is over and it is owed nothing, and notes what a lost one was owed.
  void settle(std::uint32_t number) {
    Place& place = places_[number];
    if (place.visit->state() == Visit::State::gone) {
      if (!options_.lossy)
        throw Wrong{was_opened_[number] ? "the server ended a session"
                                        : "a session was not let in"};
      ++lost_;
      forget_owed(number, [&](std::int64_t) { ++lost_owed_; });
      place.visit.reset();
    } else if (place.leaving && place.visit->state() == Visit::State::open &&
               place.visit->owed().empty()) {
      place.visit.reset();
    }
  }

  /// Calls `each(due)` for all that the session is owed and that counts.
  template <class Each>
  void forget_owed(std::uint32_t number, Each each) {
    for (const Visit::Owed& owed : places_[number].visit->owed())
      if (owed.last && counts(owed.due_ns)) {
        --owed_;
        each(owed.due_ns);
      }
    const std::int64_t arrived = begin_ + plan_[number].arrives_ns;
    if (!was_opened_[number] && counts(arrived)) --owed_;
  }

  void report(std::int64_t now) {
    std::uint64_t unopened = 0;
    std::uint64_t unanswered = 0;
    for (std::uint32_t number = 0; number < next_; ++number) {
      if (!places_[number].visit) continue;
      const std::int64_t arrived = begin_ + plan_[number].arrives_ns;
      if (!was_opened_[number] && counts(arrived)) {
        ++unopened;
        connects_.add(static_cast<std::uint64_t>(now - arrived));
      }
      forget_owed(number, [&](std::int64_t due) {
        ++unanswered;
        messages_.add(static_cast<std::uint64_t>(now - due));
      });
    }
    announce(fmt::format(
        R"({{"event":"end","cpu_ns":{},"sessions":{},"opened":{},"lost":{},"lost_owed":{},"unopened":{},)"
        R"("unanswered":{},"connects":[{}],"messages":[{}],"late":[{}]}})",
        cpu_ended_ - cpu_began_, next_, opened_, lost_, lost_owed_, unopened, unanswered,
        steps(connects_), steps(messages_), steps(late_)));
  }

  static std::string steps(const sim::Histogram& histogram) {
    std::string text;
    histogram.for_each_step([&](double end, std::uint64_t count) {
      fmt::format_to(std::back_inserter(text), "{}[{:.0f},{}]", text.empty() ? "" : ",", end,
                     count);
    });
    return text;
  }

  static void announce(const std::string& line) {
    fmt::print("{}\n", line);
    std::fflush(stdout);
  }

  const SessionOptions& options_;
  RequestBook book_;
  std::vector<PlannedSession> plan_;
  std::vector<Place> places_;
  std::vector<bool> was_opened_ = std::vector<bool>(plan_.size());
  UniqueFd epoll_;
  Venue venue_;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;  // one a visit, at most
  std::size_t next_ = 0;                                                   // of plan_, to arrive
  std::int64_t begin_ = 0;
  std::int64_t window_begins_ = 0;
  std::int64_t window_ends_ = 0;
  std::int64_t cpu_began_ = 0;  // this process' CPU time, at the window's ends
  std::int64_t cpu_ended_ = 0;
  std::uint64_t owed_ = 0;  // answers, and 101s, to what was due in the window
  std::uint64_t opened_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t lost_owed_ = 0;
  sim::Histogram connects_;
  sim::Histogram messages_;
  sim::Histogram late_;  // from when a message was due until this program came to send it
};

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  using namespace weir::bench;
  const auto options = parse_session_options(argc, argv);
  if (!options) return 2;
  weir::raise_descriptor_limit();
  (void)::prctl(PR_SET_TIMERSLACK, 1);  // a microsecond late is late
  try {
    Sessions{*options}.run();
  } catch (const std::exception& wrong) {
    fmt::print(stderr, "bench_sessions: {}\n", wrong.what());
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
