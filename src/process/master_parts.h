// What the master holds for an upgrade, for the workers of a master before it, and of its keeper.
#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <vector>

#include "master_worker.h"
#include "weir/process/master.h"
#include "weir/steering/tenure.h"

namespace weir::process {

/// A new master that is not in charge yet.
struct Master::Upgrade {
  explicit Upgrade(boost::asio::io_context& io) : channel{io}, deadline{io}, settled{io} {}

  pid_t pid = 0;
  boost::asio::local::stream_protocol::socket channel;
  boost::asio::steady_timer deadline;
  boost::asio::steady_timer settled;  // while workers that were started meanwhile are waited for
  bool kept_control = false;          // by the new one: its file must not be removed
  UpgradeDone done;
};

struct Master::RecordingUnderWay {
  explicit RecordingUnderWay(boost::asio::io_context& io) : pipe{io} {}

  RecordOrder order{};
  boost::asio::posix::stream_descriptor pipe;  // to write to; its error: nobody reads any more
  std::vector<std::uint32_t> due;              // slots that are to be told of it, or of its end
  bool ended = false;
};

struct Master::Keeper {
  explicit Keeper(boost::asio::io_context& io) : pidfd{io}, pause{io} {}

  pid_t pid = 0;  // 0: it has ended, and the next one comes after the pause
  UniqueFd lifeline;
  boost::asio::posix::stream_descriptor pidfd;
  boost::asio::steady_timer pause;
};

/// A worker of the master before. It is that one's child, or nobody's any more.
struct Master::Predecessor {
  Predecessor(boost::asio::io_context& io, std::uint32_t of, steering::Tenure held)
      : slot{of}, tenure{held}, pidfd{io} {}

  std::uint32_t slot;
  steering::Tenure tenure;
  boost::asio::posix::stream_descriptor pidfd;
  bool ordered = false;  // to hand over
  bool ended = false;
};

}  // namespace weir::process
