// A worker's insides without the worker: real ring and sockets of this process, made-up time. The
// client's end is a plain descriptor, so that tests write and read bytes, not messages.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "weir/base/unique_fd.h"
#include "weir/session/sessions.h"

namespace weir::session {

using namespace std::string_literals;
using namespace std::string_view_literals;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Echoes by copies, or forwards, and notes what it was told.
class Recorder final : public Handler {
 public:
  void on_open(Peer&) override { ++opened; }
  void on_message(Peer& peer, const Message& message) override {
    messages.emplace_back(reinterpret_cast<const char*>(message.bytes.data()),
                          message.bytes.size());
    if (close_on_message) peer.close(wire::CloseCode::normal, "enough");
    if (throws) throw std::runtime_error{"out of ideas"};
    if (forwards) {
      sent += peer.forward(message) ? 1 : 0;
      return;
    }
    for (int i = 0; i < copies; ++i) sent += peer.send(message.opcode, message.bytes) ? 1 : 0;
  }
  void on_close(Peer& peer, wire::CloseCode code) override {
    closed.push_back(code);
    peer.send(wire::Opcode::text, {});  // must come to nothing
  }

  int opened = 0;
  std::vector<std::string> messages;
  std::vector<wire::CloseCode> closed;
  bool close_on_message = false;
  bool throws = false;
  bool forwards = false;
  int copies = 1;
  int sent = 0;
};

/// A masked client frame with the key 0, which leaves the payload readable in a test.
inline std::string frame(unsigned char first, std::string_view payload) {
  std::string bytes{static_cast<char>(first)};
  if (payload.size() < 126) {
    bytes += static_cast<char>(0x80 | payload.size());
  } else if (payload.size() < 65'536) {
    bytes += '\xfe';
    bytes += static_cast<char>(payload.size() >> 8);
    bytes += static_cast<char>(payload.size());
  } else {
    bytes += '\xff';
    for (int shift = 56; shift >= 0; shift -= 8)
      bytes += static_cast<char>(payload.size() >> shift);
  }
  return bytes + "\0\0\0\0"s + std::string{payload};
}

/// The server's frame around `payload`.
inline std::string answer(unsigned char first, std::string_view payload) {
  std::string bytes = frame(first, payload);
  bytes[1] = static_cast<char>(bytes[1] & 0x7f);
  const std::size_t header = payload.size() < 126 ? 2 : payload.size() < 65'536 ? 4 : 10;
  return bytes.erase(header, 4);  // the mask
}

inline constexpr std::string_view kUpgrade =
    "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

class SessionTest : public testing::Test {
 protected:
  static constexpr Instant kStart{seconds{1'000}};

  void SetUp() override {
    auto ring = io::Ring::create({.submissions = 64, .completions = 256});
    if (!ring) GTEST_SKIP() << to_string(ring.error());
    ring_ = std::make_unique<io::Ring>(std::move(*ring));
    auto buffers = io::BufferRing::create(*ring_, {.buffers = 16, .buffer_bytes = buffer_bytes_});
    ASSERT_TRUE(buffers);
    buffers_ = std::make_unique<io::BufferRing>(std::move(*buffers));
    ASSERT_TRUE(ring_->enable());
    sessions_ =
        std::make_unique<Sessions>(*ring_, *buffers_, handler_, gate_, nullptr, rules_, now_);
  }

  /// A connection whose other end is the session's.
  [[nodiscard]] UniqueFd connect(Door door = {}) {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    sessions_->adopt(UniqueFd{ends[0]}, door, now_);
    return UniqueFd{ends[1]};
  }

  /// A connection past its handshake.
  [[nodiscard]] UniqueFd open() {
    UniqueFd peer = connect();
    write(peer, kUpgrade);
    EXPECT_EQ(read(peer, 129).substr(0, 12), "HTTP/1.1 101");
    return peer;
  }

  static void write(const UniqueFd& fd, std::string_view bytes) {
    ASSERT_EQ(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }

  /// One turn of the loop, as the worker does it.
  void turn(Duration wait = milliseconds{1}) {
    enter(wait);
    take_in();
  }

  void enter(Duration wait) {
    sessions_->flush(now_);
    ASSERT_TRUE(ring_->submit_and_wait(wait));
  }

  void take_in() {
    completions_ += ring_->completions().size();
    sessions_->begin_batch(ring_->completions());
    sessions_->finish_sends(now_);
    ring_->reap([&](const io::Completion& c) {
      if (c.tag.operation() == io::Op::receive) sessions_->on_receive(c, now_);
      if (c.tag.operation() == io::Op::send) sessions_->on_send(c, now_);
    });
    buffers_->end_batch();
    sessions_->run_deadlines(now_);
    sessions_->flush(now_);
  }

  /// Turns until `done()`; a failure after very many.
  template <class Done>
  void turn_until(Done done) {
    Duration wait{};  // only once nothing has happened: a send that succeeds ends no wait
    for (int i = 0; i < 5'000; ++i) {
      if (done()) return;
      const std::uint64_t before = completions_;
      turn(wait);
      wait = completions_ == before ? milliseconds{1} : Duration{};
    }
    ADD_FAILURE() << "the condition never came true";
  }

  /// Turns until `bytes` more have come from the session, or its end of stream.
  [[nodiscard]] std::string read(const UniqueFd& fd, std::size_t bytes) {
    std::string got;
    turn_until([&] { return got.size() >= bytes || !read_some(fd, bytes - got.size(), got); });
    return got;
  }

  /// All that the session sends up to its end of stream.
  [[nodiscard]] std::string read_to_end(const UniqueFd& fd) {
    std::string got;
    turn_until([&] { return !read_some(fd, 65'536, got); });
    return got;
  }

  /// Sends until the session takes no more, with a `turn` after each piece; what is left over.
  template <class Turn>
  static std::string_view fill_up(const UniqueFd& peer, std::string_view out, Turn turn) {
    for (int idle = 0; idle < 50;) {
      const ssize_t n = ::send(peer.get(), out.data(), out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n > 0) out.remove_prefix(static_cast<std::size_t>(n));
      idle = n > 0 ? 0 : idle + 1;
      turn();
    }
    return out;
  }

  /// Advances the time and lets what is due happen.
  void pass(Duration time) {
    now_ += time;
    turn();
    turn();
  }

  /// Whether the kernel has nothing more to say, once every session has ended.
  [[nodiscard]] bool is_quiet() {
    const std::uint64_t before = completions_;
    for (int i = 0; i < 5; ++i) turn();
    return completions_ == before;
  }

  std::uint32_t buffer_bytes_ = 4'096;
  SessionRules rules_;
  std::uint64_t completions_ = 0;
  Recorder handler_;
  Gate gate_;
  Instant now_ = kStart;
  std::unique_ptr<io::Ring> ring_;
  std::unique_ptr<io::BufferRing> buffers_;
  std::unique_ptr<Sessions> sessions_;

 private:
  /// False at the end of the stream.
  static bool read_some(const UniqueFd& fd, std::size_t at_most, std::string& into) {
    std::string piece(at_most, '\0');
    const ssize_t got = ::recv(fd.get(), piece.data(), piece.size(), MSG_DONTWAIT);
    if (got > 0) into.append(piece, 0, static_cast<std::size_t>(got));
    return got != 0;
  }
};

}  // namespace weir::session
