// What the master holds for one slot. Handlers of an earlier life of the slot find that `life` has
// moved on, and do nothing.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "weir/process/master.h"

namespace weir::process {

struct Master::Worker {
  explicit Worker(boost::asio::io_context& io) : pidfd{io}, link{io}, pause{io} {}

  /// Of a slot that came or went, in letters that have no room in this worker's inbox yet.
  struct News {
    bool joined = false;
    std::uint32_t slot = 0;
    std::uint32_t address = 0;  // joined: of the first listener that is still to be sent
  };

  WorkerState state = WorkerState::gone;
  pid_t pid = 0;
  std::optional<int> cpu;
  std::uint64_t life = 0;
  boost::asio::posix::stream_descriptor pidfd;
  boost::asio::posix::stream_descriptor link;  // stays open: its end tells the worker of ours
  boost::asio::steady_timer pause;
  std::string word;
  std::deque<News> news;  // that it has not been told, oldest first
  bool closed = false;    // the slot's listeners are, for it goes
  bool letters = false;   // there may be some in its inbox, for others to read: it has gone
  std::uint64_t busy_ns_sampled = 0;
  double busy = 0;
};

}  // namespace weir::process
