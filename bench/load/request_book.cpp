#include "request_book.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <string_view>

#include "echo_reader.h"
#include "handshake.h"
#include "message_pool.h"
#include "weir/base/unique_fd.h"
#include "wrong.h"

namespace weir::bench {
namespace {

MessagePool pool_of(const RequestBook::Size& size) {
  return MessagePool{{.bytes = size.bytes, .compressed = size.compressed, .count_max = 1}};
}

void send_whole(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) fail("send");
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string_view receive_some(int fd, std::string& room) {
  const ssize_t size = ::recv(fd, room.data(), room.size(), 0);
  if (size < 0) fail("recv");
  if (size == 0) throw Wrong{"recv: the server hung up"};
  return std::string_view{room}.substr(0, static_cast<std::size_t>(size));
}

}  // namespace

RequestBook::RequestBook(const std::vector<Size>& sizes) : sizes_{sizes} {
  for (const Size& size : sizes_)
    requests_.push_back({.frame = std::string{pool_of(size).frames(0, 1, 0)}, .answer = {}});
}

void RequestBook::learn_answers(const SocketAddress& server, std::chrono::seconds patience) {
  const UniqueFd fd{::socket(server.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const timeval wait{.tv_sec = patience.count(), .tv_usec = 0};
  if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) != 0 ||
      ::connect(fd.get(), server.data(), server.size()) != 0)
    fail("connect");
  std::string room(256U << 10, '\0');
  send_whole(fd.get(), upgrade_request("/", deflate()));
  std::string head;
  while (!head.ends_with("\r\n\r\n")) head += receive_some(fd.get(), room);
  check_upgrade_answer(std::string_view{head}.substr(0, head.size() - 4), deflate());

  for (std::size_t i = 0; i < requests_.size(); ++i) {
    const MessagePool pool = pool_of(sizes_[i]);
    EchoReader reader{pool, sizes_[i].compressed};
    send_whole(fd.get(), requests_[i].frame);
    while (true) {
      const std::string_view bytes = receive_some(fd.get(), room);
      requests_[i].answer += bytes;
      if (reader.feed(bytes) > 0) break;
    }
    if (sizes_[i].compressed && reader.compressed() == 0)
      throw Wrong{"it agreed to compress, and did not"};
  }
}

RequestBook::Choice RequestBook::choose(double cost_ns) const noexcept {
  const auto largest = static_cast<double>(sizes_.back().cost_ns);
  if (cost_ns >= largest)
    return {static_cast<std::uint32_t>(sizes_.size() - 1),
            static_cast<std::uint32_t>(std::lround(cost_ns / largest))};
  const auto above = std::ranges::lower_bound(
      sizes_, cost_ns, {}, [](const Size& size) { return static_cast<double>(size.cost_ns); });
  auto index = static_cast<std::uint32_t>(above - sizes_.begin());
  if (index > 0 && cost_ns - static_cast<double>(sizes_[index - 1].cost_ns) <
                       static_cast<double>(sizes_[index].cost_ns) - cost_ns)
    --index;
  return {index, 1};
}

}  // namespace weir::bench
