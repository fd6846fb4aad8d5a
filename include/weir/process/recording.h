// A recording of sessions (weirctl record), as the processes know it.
//
// weirctl asks the master, which makes a pipe and gives weirctl the reading end, and each worker,
// by letter, the other. From then on the workers write to weirctl, and no other process is in
// between; weir/admin/recording.h says what. Whoever begins to serve while it lasts is told as
// well: workers that are forked, those of the next master after an upgrade, and those of one that
// takes over, which has the pipe from the estate. A worker that has been told already passes the
// letter over.
//
// It ends when weirctl says so, or has closed its end, which the master sees and the next write of
// each worker; then each writes what it has left and closes the pipe. One at a time.
#pragma once

#include <cstdint>

#include "weir/base/unique_fd.h"

namespace weir::process {

/// Which recording is meant: the one that began then, by CLOCK_MONOTONIC. To the worker of a slot,
/// with the pipe's writing end: it has begun; without: it ends.
struct RecordOrder {
  std::uint64_t began_ns;
};

/// What whoever records is given.
struct RecordingEnd {
  RecordOrder order;
  UniqueFd pipe;  // to read from until its end
};

}  // namespace weir::process
