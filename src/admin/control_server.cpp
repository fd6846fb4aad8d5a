#include "weir/admin/control_server.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <filesystem>
#include <set>
#include <utility>

#include "answer.h"
#include "socket_file.h"
#include "weir/base/log.h"
#include "weir/base/rights.h"

namespace weir::admin {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

using Unix = asio::local::stream_protocol;

/// Between two tries to accept, each of which logs, while the process is out of descriptors, say.
constexpr std::chrono::seconds kAcceptPause{1};

}  // namespace

class ControlServer::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& io, SocketFile file, CommandTable commands, ControlLimits limits)
      : acceptor_{io},
        pause_{io},
        file_{std::move(file)},
        commands_{std::move(commands)},
        limits_{limits} {}

  /// Hands the listening socket to the io_context and begins to accept.
  [[nodiscard]] error_code open();
  void stop() noexcept;
  void hand_over(bool kept) noexcept;
  [[nodiscard]] int fd() { return acceptor_.native_handle(); }

 private:
  class Connection;

  void accept();
  void on_accept(const error_code& error, Unix::socket socket);

  Unix::acceptor acceptor_;
  asio::steady_timer pause_;
  SocketFile file_;
  CommandTable commands_;
  ControlLimits limits_;
  std::set<std::shared_ptr<Connection>> connections_;
  bool stopped_ = false;
};

// One client's turn, again and again:
//   reading --line--> writing the answer --taken--> reading
//   any --deadline, error, end or a line too long--> closed
class ControlServer::Impl::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Impl> server, Unix::socket socket)
      : server_{std::move(server)}, socket_{std::move(socket)}, deadline_{socket_.get_executor()} {}

  void read() {
    set_deadline();
    asio::async_read_until(socket_, asio::dynamic_buffer(input_, server_->limits_.request_bytes),
                           '\n',
                           [self = shared_from_this()](const error_code& error, std::size_t bytes) {
                             self->on_line(error, bytes);
                           });
  }

  void close() noexcept {
    error_code ignored;
    socket_.close(ignored);
    deadline_.cancel();
    server_->connections_.erase(shared_from_this());
  }

 private:
  void on_line(const error_code& error, std::size_t bytes) {
    if (server_->stopped_) return;
    if (error == asio::error::not_found)
      return write(error_answer(fmt::format("a request may be {} bytes long, its newline included",
                                            server_->limits_.request_bytes)),
                   After::close);
    if (error) return close();
    deadline_.cancel();
    const std::string line = input_.substr(0, bytes - 1);
    input_.erase(0, bytes);
    answer(server_->commands_, line, [self = shared_from_this()](std::string reply, UniqueFd fd) {
      if (self->server_->stopped_ || !self->socket_.is_open()) return;
      if (fd)
        self->hand(reply, fd.get());
      else
        self->write(std::move(reply), After::read);
    });
  }

  enum class After : std::uint8_t { read, close };

  void write(std::string text, After after) {
    output_ = std::move(text);
    set_deadline();
    asio::async_write(socket_, asio::buffer(output_),
                      [self = shared_from_this(), after](const error_code& error, std::size_t) {
                        if (self->server_->stopped_) return;
                        if (error || after == After::close) return self->close();
                        self->read();
                      });
  }

  /// A short answer with a descriptor, at once: who takes no such answers has no room for it.
  void hand(std::string_view text, int fd) {
    iovec part{const_cast<char*>(text.data()), text.size()};
    RightsRoom<1> room;
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    attach_rights(message, room.bytes, std::span{&fd, 1});
    const ssize_t sent = ::sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(text.size())) return close();
    read();
  }

  void set_deadline() {
    deadline_.expires_after(server_->limits_.patience);
    deadline_.async_wait([self = shared_from_this()](const error_code& error) {
      // Cancelled, or set anew after it had expired and before this ran.
      if (error || self->deadline_.expiry() > asio::steady_timer::clock_type::now()) return;
      self->close();
    });
  }

  std::shared_ptr<Impl> server_;
  Unix::socket socket_;
  asio::steady_timer deadline_;
  std::string input_;   // at most limits_.request_bytes
  std::string output_;  // one answer
};

error_code ControlServer::Impl::open() {
  error_code error;
  UniqueFd fd = file_.take_fd();
  acceptor_.assign(Unix{}, fd.get(), error);
  if (!error) {
    static_cast<void>(fd.release());  // the acceptor's now
    accept();
  }
  return error;
}

void ControlServer::Impl::accept() {
  acceptor_.async_accept([self = shared_from_this()](const error_code& error, Unix::socket socket) {
    self->on_accept(error, std::move(socket));
  });
}

void ControlServer::Impl::on_accept(const error_code& error, Unix::socket socket) {
  if (stopped_ || !acceptor_.is_open()) return;
  if (error) {
    spdlog::warn("control socket: cannot accept: {}", error.message());
    pause_.expires_after(kAcceptPause);
    pause_.async_wait([self = shared_from_this()](const error_code& cancelled) {
      if (!cancelled && !self->stopped_ && self->acceptor_.is_open()) self->accept();
    });
    return;
  }
  if (connections_.size() >= limits_.connections) {
    // One attempt: a fresh socket has room for a line, and who does not take it goes without.
    error_code ignored;
    socket.non_blocking(true, ignored);
    const std::string line = error_answer(
        fmt::format("{} clients are connected already; try again", connections_.size()));
    socket.write_some(asio::buffer(line), ignored);
  } else {
    const auto connection = std::make_shared<Connection>(shared_from_this(), std::move(socket));
    connections_.insert(connection);
    connection->read();
  }
  accept();
}

void ControlServer::Impl::hand_over(bool kept) noexcept {
  if (!kept) file_.remove();
  file_.keep();
  error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
}

void ControlServer::Impl::stop() noexcept {
  if (std::exchange(stopped_, true)) return;
  file_.remove();
  error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
  while (!connections_.empty()) (*connections_.begin())->close();
}

ControlServer::ControlServer(std::shared_ptr<Impl> impl) noexcept : impl_{std::move(impl)} {}

Result<std::unique_ptr<ControlServer>> ControlServer::start(asio::io_context& io, std::string path,
                                                            CommandTable commands,
                                                            ControlLimits limits) {
  if (path == kSystemSocketPath) {
    const auto made = make_directory(std::filesystem::path{path}.parent_path().string());
    if (!made) return made.error();
  }
  auto file = SocketFile::listen(std::move(path), static_cast<int>(limits.connections));
  if (!file) return file.error();
  return open(io, std::move(*file), std::move(commands), limits);
}

Result<std::unique_ptr<ControlServer>> ControlServer::inherit(asio::io_context& io,
                                                              UniqueFd listening, std::string path,
                                                              CommandTable commands,
                                                              ControlLimits limits) {
  auto file = SocketFile::inherit(std::move(listening), std::move(path));
  if (!file) return file.error();
  return open(io, std::move(*file), std::move(commands), limits);
}

Result<std::unique_ptr<ControlServer>> ControlServer::open(asio::io_context& io, SocketFile file,
                                                           CommandTable commands,
                                                           ControlLimits limits) {
  auto impl = std::make_shared<Impl>(io, std::move(file), std::move(commands), limits);
  if (const error_code error = impl->open()) {
    impl->stop();
    return Error{fmt::format("cannot wait for the control socket: {}", error.message()), ""};
  }
  return std::unique_ptr<ControlServer>{new ControlServer{std::move(impl)}};
}

int ControlServer::fd() const noexcept {
  return impl_->fd();
}

void ControlServer::hand_over(bool kept) noexcept {
  impl_->hand_over(kept);
}

ControlServer::~ControlServer() {
  impl_->stop();
}

}  // namespace weir::admin
