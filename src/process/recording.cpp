// The master's part in a recording: it makes the pipe, sees to it that every worker has an end of
// it, and that the recording ends with who records.
#include "weir/process/recording.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <numeric>
#include <utility>

#include "master_parts.h"
#include "weir/base/log.h"
#include "weir/process/master.h"

namespace weir::process {
namespace {

/// What an unprivileged user may have by default (fs.pipe-max-size): some 15,000 sessions.
constexpr int kPipeBytes = 1 << 20;

}  // namespace

Result<RecordingEnd> Master::record() {
  if (auto may = may_be_ordered(); !may) return may.error();
  if (recording_)
    return Error{"a recording is under way already", "it ends with the weirctl that makes it"};
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0)
    return os_error("making a pipe for the recording", errno);
  UniqueFd reader{ends[0]};
  UniqueFd writer{ends[1]};
  (void)::fcntl(writer.get(), F_SETPIPE_SZ, kPipeBytes);  // or as large as it is
  const RecordOrder order{.began_ns = to_ns(monotonic_now())};
  spdlog::info("recording sessions");
  go_on_recording(order, std::move(writer));
  tell_all_of_recording();
  if (ready_once_) renew_keeper();
  return RecordingEnd{.order = order, .pipe = std::move(reader)};
}

/// Whoever began it.
void Master::go_on_recording(RecordOrder order, UniqueFd writer) {
  recording_ = std::make_unique<RecordingUnderWay>(io_);
  recording_->order = order;
  recording_->pipe.assign(writer.release());
  options_.terms.recording_began_ns = order.began_ns;
  recording_->pipe.async_wait(boost::asio::posix::descriptor_base::wait_error,
                              [this, order](boost::system::error_code error) {
                                if (!error) (void)end_recording(order);
                              });
}

Result<void> Master::end_recording(RecordOrder order) {
  if (succeeded_) return Error{"a new master has taken over", "ask that one"};
  if (upgrade_)  // the new one has been told that it goes on
    return Error{"an upgrade is under way", "try again when it is over"};
  if (!recording_ || recording_->ended || recording_->order.began_ns != order.began_ns)
    return Error{"that recording is not under way", "it has ended, or was never begun"};
  spdlog::info("the recording ends");
  recording_->ended = true;
  recording_->pipe.close();
  options_.terms.recording_began_ns = 0;
  tell_all_of_recording();
  if (ready_once_) renew_keeper();  // which has an end of the pipe
  return {};
}

void Master::tell_all_of_recording() {
  if (!recording_) return;
  recording_->due.resize(options_.workers);
  std::iota(recording_->due.begin(), recording_->due.end(), 0U);
  tell_of_recording();
}

/// The worker that a slot has been given since.
void Master::tell_of_recording(std::uint32_t slot) {
  if (!recording_ || recording_->ended || !in_charge_) return;
  std::erase(recording_->due, slot);
  recording_->due.push_back(slot);
  tell_of_recording();
}

/// As many as have room; the others at the next tick. A worker that waits for its slot reads no
/// letter before its predecessor has been ordered to read no more.
void Master::tell_of_recording() {
  if (!recording_) return;
  std::erase_if(recording_->due, [this](std::uint32_t slot) {
    if (slot >= options_.workers) return true;
    const bool waits = std::ranges::any_of(
        predecessors_, [slot](const auto& one) { return one->slot == slot && !one->ordered; });
    if (waits) return false;
    const LetterKind kind = recording_->ended ? LetterKind::record_end : LetterKind::record;
    const int pipe = recording_->ended ? -1 : recording_->pipe.native_handle();
    const Posted posted =
        post(inboxes_.writer(slot), kind, slot, content_of(recording_->order), pipe);
    if (posted == Posted::failed)
      spdlog::error("slot {}: cannot be told of a recording: {}", slot, std::strerror(errno));
    return posted != Posted::no_room;
  });
  if (recording_->ended && recording_->due.empty()) recording_.reset();
}

/// What the slot's worker knew of its sessions has gone with it.
void Master::note_in_recording(std::uint32_t slot) {
  if (!recording_ || recording_->ended) return;
  const std::string line = fmt::format("d,{}\n", slot);  // weir/admin/recording.h
  if (::write(recording_->pipe.native_handle(), line.data(), line.size()) < 0)
    spdlog::warn("the recording has no room to say that the worker of slot {} died", slot);
}

}  // namespace weir::process
