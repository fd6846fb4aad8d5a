#include "weir/process/channel.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "weir/base/rights.h"

namespace weir::process {
namespace {

struct FrameHead {
  std::uint32_t magic = kMagic;
  std::uint32_t bytes = 0;
  std::uint32_t fds = 0;

  static constexpr std::uint32_t kMagic = 0x72'69'65'77;  // "weir"
};
static_assert(sizeof(FrameHead) == 12);

Error no_frame() {
  return {"what came from the other weir is no message of weir's", ""};
}

/// Reads until `into` is full. Descriptors that come with it are added to `fds`.
Result<void> read_whole(int socket, std::span<std::byte> into, std::vector<UniqueFd>& fds,
                        Instant until) {
  while (!into.empty()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - monotonic_now());
    pollfd poll{.fd = socket, .events = POLLIN, .revents = 0};
    const int ready = left.count() > 0 ? ::poll(&poll, 1, static_cast<int>(left.count())) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return os_error("waiting for the other weir", errno);
    if (ready == 0) return Error{"the other weir does not answer", ""};
    iovec part{into.data(), into.size()};
    RightsRoom<kFrameFdsMax> room;
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    await_rights(message, room.bytes);
    const ssize_t got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return os_error("reading from the other weir", errno);
    if (got == 0) return Error{"the other weir has gone", ""};
    for (UniqueFd& fd : take_rights(message)) fds.push_back(std::move(fd));
    if ((message.msg_flags & MSG_CTRUNC) != 0)
      return Error{"there are too few descriptors for what the other weir hands over",
                   "raise the descriptor limit (ulimit -n)"};
    into = into.subspan(static_cast<std::size_t>(got));
  }
  return {};
}

}  // namespace

Result<void> send_frame(int socket, std::string_view text, std::span<const int> fds) noexcept {
  if (text.size() > kFrameBytesMax || fds.size() > kFrameFdsMax)
    return Error{"a message to the other weir is too long", ""};
  FrameHead head{.bytes = static_cast<std::uint32_t>(text.size()),
                 .fds = static_cast<std::uint32_t>(fds.size())};
  std::array<iovec, 2> parts{{{&head, sizeof head}, {const_cast<char*>(text.data()), text.size()}}};
  RightsRoom<kFrameFdsMax> room;
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  attach_rights(message, room.bytes, fds);
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return os_error("telling the other weir", errno);
  if (static_cast<std::size_t>(sent) != sizeof head + text.size())
    return Error{"the other weir does not read what it is told", ""};
  return {};
}

Result<Frame> receive_frame(int socket, Duration patience) {
  const Instant until = monotonic_now() + patience;
  Frame frame;
  FrameHead head;
  if (auto read = read_whole(socket, std::as_writable_bytes(std::span{&head, 1}), frame.fds, until);
      !read)
    return read.error();
  if (head.magic != FrameHead::kMagic || head.bytes > kFrameBytesMax) return no_frame();
  frame.text.resize(head.bytes);
  if (auto read =
          read_whole(socket, std::as_writable_bytes(std::span{frame.text}), frame.fds, until);
      !read)
    return read.error();
  if (head.fds != frame.fds.size()) return no_frame();
  return frame;
}

}  // namespace weir::process
