#include "connection.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "handshake.h"
#include "wrong.h"

namespace weir::bench {

Connection::Connection(Common& common, std::size_t slot)
    : common_{&common},
      slot_{slot},
      fd_{::socket(common.server.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)},
      reader_{*common.pool, common.deflate} {
  if (!fd_) fail("socket");
  const int one = 1;
  if (::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0) fail("TCP_NODELAY");
  if (::connect(fd_.get(), common.server.data(), common.server.size()) != 0 && errno != EINPROGRESS)
    fail("connect");
  epoll_event interest{};
  interest.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;  // set once, and no call afterwards
  interest.data.ptr = this;
  if (::epoll_ctl(common.epoll, EPOLL_CTL_ADD, fd_.get(), &interest) != 0) fail("epoll_ctl");
  other_output_ = upgrade_request("/", common.deflate);
}

Connection::Progress Connection::on_ready(std::uint32_t events) {
  if (state_ == State::connecting) finish_connect(events);
  if (state_ == State::securing && !secure()) return {};
  if (state_ == State::connecting || state_ == State::closed) return {};
  const bool was_open = state_ > State::upgrading;
  flush();
  const std::uint64_t echoes = read_all((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
  return {.opened = !was_open && state_ == State::open,
          .closed = state_ == State::closed,
          .echoes = echoes};
}

void Connection::finish_connect(std::uint32_t events) {
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    fail("connect", error);
  }
  if ((events & EPOLLOUT) == 0) return;
  if (common_->tls == nullptr) {
    state_ = State::upgrading;
    return;
  }
  ssl_.reset(SSL_new(common_->tls));
  if (!ssl_ || SSL_set_fd(ssl_.get(), fd_.get()) != 1) throw Wrong{"no TLS for a connection"};
  SSL_set_connect_state(ssl_.get());
  state_ = State::securing;
}

bool Connection::secure() {
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) {
    state_ = State::upgrading;
    return true;
  }
  const int why = SSL_get_error(ssl_.get(), result);
  if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
    throw Wrong{fmt::format("the TLS handshake failed ({})", why)};
  return false;
}

void Connection::send(std::uint64_t count) {
  owed_ += count;
  flush();
}

void Connection::say_goodbye() {
  state_ = State::closing;
  other_output_ = masked_frame(0x88, std::string_view{"\x03\xe8", 2}, 0x5bd1e995);
  flush();
}

void Connection::flush() {
  while (!other_output_.empty()) {
    const std::size_t sent = write_some(other_output_);
    if (sent == 0) return;
    other_output_.erase(0, sent);
  }
  while (owed_ > 0) {
    const std::string_view bytes = common_->pool->frames(next_, owed_, skip_);
    const std::size_t sent = write_some(bytes);
    if (sent == 0) return;
    skip_ += sent;
    while (owed_ > 0 && skip_ >= common_->pool->frame_bytes(next_)) {
      skip_ -= common_->pool->frame_bytes(next_);
      ++next_;
      --owed_;
    }
    // A socket that took less is full: writing again would only be told so.
    if (sent < bytes.size() && !ssl_) return;
  }
}

std::uint64_t Connection::read_all(bool ending) {
  std::uint64_t echoes = 0;
  while (state_ != State::closed) {
    const std::ptrdiff_t received = read_some();
    if (received == 0) break;
    if (received < 0) {
      end_of_stream();
      break;
    }
    const auto size = static_cast<std::size_t>(received);
    echoes += take(std::string_view{common_->scratch}.substr(0, size));
    // Less than there was room for: that was all, unless the end is behind it.
    if (size < common_->scratch.size() && !ending && !ssl_) break;
  }
  return echoes;
}

std::uint64_t Connection::take(std::string_view bytes) {
  if (state_ == State::upgrading) bytes = take_answer(bytes);
  if (bytes.empty()) return 0;
  const std::uint64_t echoes = reader_.feed(bytes);
  if (reader_.closed() && state_ != State::closing)
    throw Wrong{"the server closed a session in the middle of the load"};
  return echoes;
}

/// What follows the answer; nothing while that is incomplete.
std::string_view Connection::take_answer(std::string_view bytes) {
  const std::size_t before = answer_.size();
  answer_ += bytes;
  const std::size_t end = answer_.find("\r\n\r\n");
  if (end == std::string::npos) {
    if (answer_.size() > kUpgradeAnswerBytesMax) throw Wrong{"the upgrade's answer does not end"};
    return {};
  }
  check_upgrade_answer(std::string_view{answer_}.substr(0, end), common_->deflate);
  state_ = State::open;
  const std::size_t taken = end + 4 - before;
  std::string{}.swap(answer_);
  return bytes.substr(taken);
}

void Connection::end_of_stream() {
  if (state_ != State::closing || !reader_.closed())
    throw Wrong{state_ == State::upgrading ? "the server hung up before the upgrade"
                                           : "the server hung up"};
  state_ = State::closed;
  ssl_.reset();
  fd_.reset();
}

std::ptrdiff_t Connection::read_some() {
  if (ssl_) {
    const int size =
        SSL_read(ssl_.get(), common_->scratch.data(), static_cast<int>(common_->scratch.size()));
    if (size > 0) return size;
    switch (const int why = SSL_get_error(ssl_.get(), size)) {
      case SSL_ERROR_WANT_READ:
      case SSL_ERROR_WANT_WRITE: return 0;
      case SSL_ERROR_ZERO_RETURN: return -1;
      default: throw Wrong{fmt::format("TLS failed on reading ({})", why)};
    }
  }
  const ssize_t size = ::recv(fd_.get(), common_->scratch.data(), common_->scratch.size(), 0);
  if (size > 0) return size;
  if (size == 0) return -1;
  if (errno == EAGAIN || errno == EINTR) return 0;
  fail("recv");
}

std::size_t Connection::write_some(std::string_view bytes) {
  if (ssl_) {
    const int size = SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    if (size > 0) return static_cast<std::size_t>(size);
    const int why = SSL_get_error(ssl_.get(), size);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return 0;
    throw Wrong{fmt::format("TLS failed on writing ({})", why)};
  }
  const ssize_t size = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (size >= 0) return static_cast<std::size_t>(size);
  if (errno == EAGAIN || errno == EINTR) return 0;
  fail("send");
}

}  // namespace weir::bench
