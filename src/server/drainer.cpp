#include "drainer.h"

#include <algorithm>

#include "weir/base/log.h"

namespace weir::server {
namespace {

/// Of very many sessions several are closed at once, this far apart.
constexpr Duration kGrain = std::chrono::milliseconds{5};

}  // namespace

Drainer::Drainer(DrainFor purpose, session::Sessions& sessions, Acceptor& acceptor,
                 steering::WorkerSlot& slot, std::size_t count, Duration timeout,
                 Duration close_timeout, Instant now)
    : purpose_{purpose},
      sessions_{sessions},
      acceptor_{acceptor},
      schedule_{count, now, timeout, slot.slot(), slot.slots()},
      patience_ends_{schedule_.end() + close_timeout},
      ran_at_{now - kGrain} {
  spdlog::debug("draining: closing {} sessions", count);
  if (purpose == DrainFor::service_end) sessions.refuse_upgrades();
}

void Drainer::close(std::size_t count, Instant now) {
  using Which = session::Sessions::Which;
  if (purpose_ == DrainFor::service_end)
    sessions_.close_some(count, wire::CloseCode::going_away, "server is shutting down", now);
  else
    sessions_.close_some(count, wire::CloseCode::service_restart, "server is restarting", now,
                         purpose_ == DrainFor::handover ? Which::that_stay : Which::all);
}

void Drainer::close_due(Instant now) {
  ran_at_ = now;
  const bool accepts_no_more = purpose_ != DrainFor::handover && acceptor_.stopped();
  if (now >= schedule_.end() || accepts_no_more) {  // also those that have come since
    const std::uint64_t opened = sessions_.traffic().upgraded + sessions_.traffic().arrived;
    if (opened_ == opened) return;
    opened_ = opened;
    return close(sessions_.open_count(), now);
  }
  const std::uint64_t due = schedule_.due(now);
  if (due > closed_) close(due - closed_, now);
  closed_ = std::max(closed_, due);
}

void Drainer::finish(Instant now) {
  if (finished_) return;
  const bool empty = sessions_.open_count() == 0;
  if (purpose_ == DrainFor::handover) {
    finished_ = now >= patience_ends_;
    if (finished_)
      sessions_.close_some(sessions_.open_count(), wire::CloseCode::service_restart,
                           "server is restarting", now);
  } else if (purpose_ == DrainFor::successor) {
    // Its listeners stay: what waits there is its successor's.
    if (!acceptor_.stopped() && (empty || now >= schedule_.end()))
      acceptor_.stop(Acceptor::Latecomers::served);
    finished_ = now >= patience_ends_;
  } else {
    // With the last session gone nobody is to be held up by those who only knock.
    finished_ = empty;
  }
  if (!finished_) return;
  acceptor_.stop(Acceptor::Latecomers::dropped);
  sessions_.drop_handshakes();
}

std::optional<Instant> Drainer::next() const noexcept {
  if (finished_) return std::nullopt;
  if (ran_at_ >= schedule_.end()) {  // what is left ends by its own deadlines, or is dropped
    if (purpose_ == DrainFor::service_end) return std::nullopt;
    return patience_ends_;
  }
  const auto close = schedule_.next(closed_);
  return close ? std::max(*close, ran_at_ + kGrain) : schedule_.end();
}

}  // namespace weir::server
