#include "visit.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "handshake.h"
#include "wrong.h"

namespace weir::bench {
namespace {

/// What a server, or its end, does to a connection; anything else is this host's doing.
bool is_loss(int error) noexcept {
  return error == ECONNRESET || error == EPIPE || error == ECONNREFUSED || error == ETIMEDOUT;
}

}  // namespace

Visit::Visit(Venue& venue, const PlannedSession& session, std::uint32_t number)
    : venue_{&venue},
      number_{number},
      fd_{::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)},
      handshake_{upgrade_request(session.target, venue.book->deflate())} {
  if (!fd_) fail("socket");
  const int one = 1;
  const linger reset{.l_onoff = 1, .l_linger = 0};
  sockaddr_in from{};
  from.sin_family = AF_INET;
  from.sin_addr.s_addr = session.address;
  if (::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0 ||
      ::setsockopt(fd_.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one) != 0 ||
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset) != 0 ||
      ::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0)
    fail("a client's socket");
  if (::connect(fd_.get(), venue.server.data(), venue.server.size()) != 0 && errno != EINPROGRESS)
    fail("connect");
  epoll_event interest{};
  interest.events = EPOLLIN | EPOLLOUT;
  interest.data.u32 = number;
  if (::epoll_ctl(venue.epoll, EPOLL_CTL_ADD, fd_.get(), &interest) != 0) fail("epoll_ctl");
}

void Visit::want_output(bool wanted) {
  if (wanted == wants_output_) return;
  wants_output_ = wanted;
  epoll_event interest{};
  interest.events = EPOLLIN | (wanted ? EPOLLOUT : 0U);
  interest.data.u32 = number_;
  if (::epoll_ctl(venue_->epoll, EPOLL_CTL_MOD, fd_.get(), &interest) != 0) fail("epoll_ctl");
}

void Visit::advance(std::uint32_t events) {
  if (state_ == State::connecting) {
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) return leave();
    if ((events & EPOLLOUT) == 0) return;
    // A new socket has room for a request.
    const ssize_t sent = ::send(fd_.get(), handshake_.data(), handshake_.size(), MSG_NOSIGNAL);
    if (sent < 0 && is_loss(errno)) return leave();
    if (sent != static_cast<ssize_t>(handshake_.size())) fail("send of the request");
    handshake_.clear();
    state_ = State::upgrading;
    want_output(false);
    return;
  }
  if (state_ == State::upgrading && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) {
    const ssize_t size = read_once();
    if (size > 0)
      take_answer(std::string_view{venue_->scratch}.substr(0, static_cast<std::size_t>(size)));
  }
  if (state_ == State::open && (events & EPOLLOUT) != 0) flush();
}

void Visit::take_answer(std::string_view bytes) {
  handshake_ += bytes;
  if (!handshake_.ends_with("\r\n\r\n")) {
    // Nothing may follow: nothing was asked yet.
    if (handshake_.size() > kUpgradeAnswerBytesMax ||
        handshake_.find("\r\n\r\n") != std::string::npos)
      throw Wrong{"the upgrade's answer does not end where it should"};
    return;
  }
  check_upgrade_answer(std::string_view{handshake_}.substr(0, handshake_.size() - 4),
                       venue_->book->deflate());
  std::string{}.swap(handshake_);
  state_ = State::open;
  flush();
}

void Visit::ask(RequestBook::Choice choice, std::int64_t due_ns) {
  for (std::uint32_t i = 0; i < choice.count; ++i)
    owed_.push_back({due_ns, choice.request, i + 1 == choice.count});
  if (state_ == State::open && !wants_output_) flush();
}

void Visit::flush() {
  while (sent_ < owed_.size()) {
    const std::string_view frame = (*venue_->book)[owed_[sent_].request].frame;
    const std::string_view rest = frame.substr(skip_);
    const ssize_t sent = ::send(fd_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return want_output(true);
    if (sent < 0 && is_loss(errno)) return leave();
    if (sent < 0) fail("send");
    skip_ += static_cast<std::size_t>(sent);
    if (skip_ < frame.size()) continue;
    skip_ = 0;
    ++sent_;
  }
  want_output(false);
}

std::size_t Visit::receive() {
  const ssize_t size = read_once();
  more_ = size == static_cast<ssize_t>(venue_->scratch.size());
  if (size <= 0) return 0;
  return compare(std::string_view{venue_->scratch}.substr(0, static_cast<std::size_t>(size)));
}

std::size_t Visit::compare(std::string_view bytes) {
  std::size_t done = 0;
  while (!bytes.empty()) {
    if (done == sent_)
      throw Wrong{fmt::format("{} bytes came that nothing was asked for", bytes.size())};
    const std::string_view rest =
        std::string_view{(*venue_->book)[owed_[done].request].answer}.substr(matched_);
    const std::size_t size = std::min(rest.size(), bytes.size());
    if (bytes.substr(0, size) != rest.substr(0, size))
      throw Wrong{"an answer is not the one that the same request had before"};
    bytes.remove_prefix(size);
    matched_ += size;
    if (size < rest.size()) break;
    matched_ = 0;
    ++done;
  }
  sent_ -= done;
  return done;
}

/// Bytes in the scratch; 0 for none now, or none any more: then it is gone.
ssize_t Visit::read_once() {
  const ssize_t size = ::recv(fd_.get(), venue_->scratch.data(), venue_->scratch.size(), 0);
  if (size > 0) return size;
  if (size < 0 && errno == EAGAIN) return 0;
  if (size < 0 && !is_loss(errno)) fail("recv");
  leave();
  return 0;
}

void Visit::leave() noexcept {
  fd_.reset();
  state_ = State::gone;
}

}  // namespace weir::bench
