// Connection: one client of the load, from connect to close. It never blocks and owns no thread:
// the loop calls on_ready() when epoll reports its socket, edge-triggered.
//
//   connecting --> [securing] --> upgrading --> open --say_goodbye--> closing --> closed
//
// Whatever the server does otherwise throws Wrong: a load that goes on after a failure measures
// something else.
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "echo_reader.h"
#include "message_pool.h"
#include "weir/base/socket_address.h"
#include "weir/base/unique_fd.h"

namespace weir::bench {

/// What all connections of a load have in common. Borrowed by each of them.
struct Common {
  SocketAddress server;
  const MessagePool* pool = nullptr;
  SSL_CTX* tls = nullptr;  // none: plain
  bool deflate = false;
  int epoll = -1;
  std::string scratch;  // what one read may bring; used only within a call
};

class Connection {
 public:
  enum class State : std::uint8_t { connecting, securing, upgrading, open, closing, closed };

  /// What one event brought about.
  struct Progress {
    bool opened = false;  // the upgrade was answered just now
    bool closed = false;  // the end of the stream came, after a Close frame each way
    std::uint64_t echoes = 0;
  };

  /// Begins to connect, and joins the epoll set with itself as the event's pointer. `slot` is the
  /// caller's, to find it again.
  Connection(Common& common, std::size_t slot);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Does all that can be done now.
  Progress on_ready(std::uint32_t events);

  /// Sends `count` more messages as soon as the socket takes them. Only while open.
  void send(std::uint64_t count);
  /// Sends a Close frame (1000). Only while open, with every message echoed.
  void say_goodbye();

  [[nodiscard]] std::size_t slot() const noexcept { return slot_; }
  [[nodiscard]] std::uint64_t compressed() const noexcept { return reader_.compressed(); }

 private:
  struct FreeSsl {
    void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
  };

  void finish_connect(std::uint32_t events);
  bool secure();
  std::uint64_t read_all(bool ending);
  std::uint64_t take(std::string_view bytes);
  std::string_view take_answer(std::string_view bytes);
  void end_of_stream();
  void flush();
  /// Bytes, 0 for "not now", -1 for the end of the stream.
  std::ptrdiff_t read_some();
  std::size_t write_some(std::string_view bytes);

  Common* common_;
  std::size_t slot_;
  UniqueFd fd_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
  State state_ = State::connecting;
  EchoReader reader_;
  std::string answer_;        // to the upgrade, as far as it has come
  std::string other_output_;  // the upgrade request or the Close frame; goes before messages
  std::uint64_t next_ = 0;    // message to send
  std::uint64_t owed_ = 0;    // messages from next_ on
  std::size_t skip_ = 0;      // of next_'s frame, sent already
};

}  // namespace weir::bench
