// Visit: one planned session over its socket, from connect to close. It owns no thread and no
// timer: the loop says what is due, and calls on_ready() when epoll reports the socket
// (level-triggered).
//
//   connecting --> upgrading --> open --> gone
//        \-------------\----------^ (lost: the server ended it, or does not let it in)
//
// Messages may fall due before the session is open, and wait for that: who wants to say something
// waits for the connection as well. Every byte that comes is held against the known answers.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "request_book.h"
#include "session_plan.h"
#include "weir/base/socket_address.h"
#include "weir/base/unique_fd.h"

namespace weir::bench {

/// What all visits have in common. Borrowed by each of them.
struct Venue {
  SocketAddress server;
  const RequestBook* book = nullptr;
  int epoll = -1;
  std::string scratch;  // what one read may bring; used only within a call
};

class Visit {
 public:
  enum class State : std::uint8_t { connecting, upgrading, open, gone };

  /// A message from when it was due until its answer.
  struct Owed {
    std::int64_t due_ns;
    std::uint32_t request;
    bool last;  // of those that are one request together
  };

  /// Begins to connect from the session's address, and joins the epoll set with `number`.
  Visit(Venue& venue, const PlannedSession& session, std::uint32_t number);

  /// Does all that can be done now, and calls `answered(const Owed&)` for each answer that is
  /// complete. Throws Wrong at a wrong byte; a session that was ended or refused is `gone`.
  template <class Answered>
  void on_ready(std::uint32_t events, Answered answered) {
    advance(events);
    while (state_ == State::open) {
      const std::size_t done = receive();
      for (std::size_t i = 0; i < done; ++i) {
        answered(owed_.front());
        owed_.pop_front();
      }
      if (!more_) break;
    }
  }

  /// Sends a request, now or as soon as the socket takes it.
  void ask(RequestBook::Choice choice, std::int64_t due_ns);
  /// Hangs up, by a reset: no port stays in TIME_WAIT.
  void leave() noexcept;

  [[nodiscard]] State state() const noexcept { return state_; }
  /// What was asked and has not been answered; the oldest first.
  [[nodiscard]] const std::deque<Owed>& owed() const noexcept { return owed_; }

 private:
  void advance(std::uint32_t events);
  /// Reads once; returns how many answers of owed_ are complete by that.
  std::size_t receive();
  void take_answer(std::string_view bytes);
  std::size_t compare(std::string_view bytes);
  void flush();
  void want_output(bool wanted);
  [[nodiscard]] ssize_t read_once();

  Venue* venue_;
  std::uint32_t number_;
  UniqueFd fd_;
  State state_ = State::connecting;
  bool wants_output_ = true;
  bool more_ = false;      // the last read filled its room
  std::string handshake_;  // the request, then the answer as far as it has come
  std::deque<Owed> owed_;
  std::size_t sent_ = 0;     // of owed_, in whole
  std::size_t skip_ = 0;     // bytes sent of the next
  std::size_t matched_ = 0;  // bytes come of owed_.front()'s answer
};

}  // namespace weir::bench
