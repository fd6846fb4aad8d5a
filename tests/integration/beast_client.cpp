// A client made of Boost.Beast's websocket stream, for the integration tests: it goes through
// cases, or makes a storm of connections. Synchronous but where a session has to answer pings
// while it has nothing to read. Whoever starts it bounds its time.
//
//   beast_client HOST PORT CASE...         the cases of cases.py, a session each; says "ok", or
//                                          what was wrong, on one line for each case
//   beast_client HOST PORT --storm N       N threads that connect, echo and close again and again
//                                          until standard input ends; says what failed, then
//                                          "done" and how many came through
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::string_view_literals;

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using asio::ip::tcp;
using beast::error_code;
using Stream = websocket::stream<tcp::socket>;

constexpr std::size_t kMessageBytesMax = 64U << 20;
constexpr std::string_view kPattern =
    "weir \u00df\u2202\U0001d11e ";  // characters of 1, 2, 3 and 4 bytes
/// Of a storm: enough to see what is wrong, and no endless loop around a dead server.
constexpr std::size_t kFailuresMax = 1'000;

struct Wrong : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class... Values>
void expect(bool good, fmt::format_string<Values...> what, Values&&... values) {
  if (!good) throw Wrong{fmt::format(what, std::forward<Values>(values)...)};
}

// --- cases ------------------------------------------------------------------------------------

/// The words of a case, taken off its front one by one.
class Words {
 public:
  explicit Words(std::string_view text) : rest_{text} {}
  std::string_view next() {
    const std::size_t end = std::min(rest_.find(' '), rest_.size());
    const std::string_view word = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    return word;
  }
  std::size_t number() { return std::stoul(std::string{next()}); }
  [[nodiscard]] std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

std::string text_of(std::size_t bytes) {
  std::string text;
  text.reserve(bytes);
  while (text.size() + kPattern.size() <= bytes) text += kPattern;
  text.resize(bytes, 'x');
  return text;
}

std::string binary_of(std::size_t bytes) {
  std::string data(bytes, '\0');
  std::uint32_t state = 1;
  for (char& byte : data)
    byte = static_cast<char>((state = state * 1'664'525 + 1'013'904'223) >> 24);
  return data;
}

std::string message_of(std::string_view kind, std::size_t bytes) {
  expect(kind == "text" || kind == "binary", "no such kind: {}", kind);
  return kind == "text" ? text_of(bytes) : binary_of(bytes);
}

/// One session, for one case.
class Session {
 public:
  explicit Session(const tcp::endpoint& server) : stream_{io_} {
    stream_.read_message_max(kMessageBytesMax);
    stream_.auto_fragment(false);
    stream_.control_callback([this](websocket::frame_type type, beast::string_view payload) {
      if (type == websocket::frame_type::pong) pong_ = payload;
    });
    stream_.next_layer().connect(server);
    stream_.handshake("localhost", "/");
  }

  void echo(Words words) {
    const std::string_view kind = words.next();
    const std::string sent = message_of(kind, words.number());
    stream_.text(kind == "text");
    stream_.write(asio::buffer(sent));
    expect_message(kind, sent);
  }

  void pieces(Words words) { echo_in_pieces(words, false); }
  void interleaved(Words words) { echo_in_pieces(words, true); }

  void pipeline(Words words) {
    const std::size_t count = words.number();
    for (std::size_t i = 0; i < count; ++i)
      stream_.write(asio::buffer(fmt::format("number {}", i)));
    for (std::size_t i = 0; i < count; ++i) expect_message("text", fmt::format("number {}", i));
  }

  void ping(Words words) {
    const std::string sent(words.number(), 'p');
    pong_ = "none";
    stream_.ping(websocket::ping_data{sent});
    stream_.write(asio::buffer("after"sv));
    expect_message("text", "after");  // the pong came before it
    expect(pong_ == sent, "a pong of {} bytes, not {}", pong_.size(), sent.size());
  }

  void silent(Words words) {
    const std::chrono::milliseconds time{words.number()};
    beast::flat_buffer in;
    error_code error;
    bool done = false;
    stream_.async_read(in, [&](error_code e, std::size_t) { error = e, done = true; });
    io_.run_for(time);
    expect(!done, "the session did not last: {}", error.message());
    stream_.write(asio::buffer("still here"sv));
    io_.run();
    if (error) throw beast::system_error{error};
    expect(beast::buffers_to_string(in.data()) == "still here", "the wrong echo");
  }

  void close(Words words) {
    const auto code = static_cast<std::uint16_t>(words.number());
    stream_.close({websocket::close_code{code}, words.rest()});
    expect(stream_.reason().code == code, "answered with {}", stream_.reason().code);
  }

  void oversized(Words words) {
    const std::string sent = binary_of(words.number());
    stream_.binary(true);
    if (const std::size_t piece = words.number(); piece > 0)
      write_pieces(sent, piece, false);
    else
      stream_.write(asio::buffer(sent));
    expect_close(websocket::close_code::too_big);
  }

  void invalid_text(Words) {
    stream_.text(true);
    stream_.write(asio::buffer("good so far \xc3("sv));
    expect_close(websocket::close_code::bad_payload);
  }

  void await_close(Words words) {
    fmt::print("waiting\n");
    std::fflush(stdout);
    expect_close(static_cast<std::uint16_t>(words.number()));
    const std::string_view reason{stream_.reason().reason.data(), stream_.reason().reason.size()};
    expect(reason == words.rest(), "the reason is: {}", reason);
  }

 private:
  void echo_in_pieces(Words words, bool with_pings) {
    const std::string_view kind = words.next();
    const std::string sent = message_of(kind, words.number());
    stream_.text(kind == "text");
    write_pieces(sent, words.number(), with_pings);
    expect_message(kind, sent);
  }

  void write_pieces(std::string_view all, std::size_t piece, bool with_pings) {
    while (!all.empty()) {
      const std::string_view part = all.substr(0, piece);
      stream_.write_some(false, asio::buffer(part));
      all.remove_prefix(part.size());
      if (with_pings) stream_.ping("between");
    }
    stream_.write_some(true, asio::const_buffer{});
  }

  void expect_message(std::string_view kind, std::string_view sent) {
    beast::flat_buffer in;
    stream_.read(in);
    expect(stream_.got_text() == (kind == "text"), "a {} message came back as another kind", kind);
    const std::string_view got{static_cast<const char*>(in.data().data()), in.size()};
    expect(got.size() == sent.size(), "{} bytes came back of {}", got.size(), sent.size());
    const auto differs = std::ranges::mismatch(got, sent).in1;
    expect(differs == got.end(), "byte {} came back different", differs - got.begin());
  }

  void expect_close(std::uint16_t code) {
    beast::flat_buffer in;
    error_code error;
    stream_.read(in, error);
    expect(error == websocket::error::closed, "not closed but: {}", error.message());
    expect(stream_.reason().code == code, "closed with {}", stream_.reason().code);
  }

  asio::io_context io_{1};
  Stream stream_;
  std::string pong_;
};

struct CaseRow {
  std::string_view name;
  void (Session::*run)(Words words);
};

constexpr std::array kCases{
    CaseRow{"echo", &Session::echo},
    CaseRow{"pieces", &Session::pieces},
    CaseRow{"interleaved", &Session::interleaved},
    CaseRow{"pipeline", &Session::pipeline},
    CaseRow{"ping", &Session::ping},
    CaseRow{"silent", &Session::silent},
    CaseRow{"close", &Session::close},
    CaseRow{"oversized", &Session::oversized},
    CaseRow{"invalid-text", &Session::invalid_text},
    CaseRow{"await-close", &Session::await_close},
};

/// "ok", or what went wrong.
std::string outcome_of(const tcp::endpoint& server, std::string_view text) {
  Words words{text};
  const auto* row = std::ranges::find(kCases, words.next(), &CaseRow::name);
  if (row == kCases.end()) return fmt::format("no such case: {}", text);
  try {
    Session session{server};
    (session.*row->run)(words);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "ok";
}

// --- the storm --------------------------------------------------------------------------------

std::int64_t monotonic_ns() {
  return std::chrono::nanoseconds{std::chrono::steady_clock::now().time_since_epoch()}.count();
}

/// A connection of the storm, from its first byte to its last.
class Visit {
 public:
  /// Stops at the first step that fails; says which, and where and when it began.
  bool pay(const tcp::endpoint& server) {
    began_ns_ = monotonic_ns();
    return step("connect", [&](error_code& e) { stream_.next_layer().connect(server, e); }) &&
           step("handshake",
                [&](error_code& e) {
                  port_ = stream_.next_layer().local_endpoint(e).port();
                  if (!e) stream_.handshake("localhost", "/", e);
                }) &&
           step("send", [&](error_code& e) { stream_.write(asio::buffer("visit"sv), e); }) &&
           step("echo", [&](error_code& e) { read(e); }) &&
           step("close", [&](error_code& e) { stream_.close(websocket::close_code::normal, e); });
  }

  [[nodiscard]] std::string failure() const {
    return fmt::format("failed {} {} {} {}", failed_at_, port_, began_ns_, error_.message());
  }

 private:
  template <class Action>
  bool step(std::string_view name, Action action) {
    failed_at_ = name;
    action(error_);
    return !error_;
  }

  void read(error_code& error) {
    beast::flat_buffer in;
    stream_.read(in, error);
    if (!error && beast::buffers_to_string(in.data()) != "visit")
      error = websocket::error::bad_data_frame;
  }

  asio::io_context io_{1};
  Stream stream_{io_};
  std::int64_t began_ns_ = 0;
  unsigned port_ = 0;
  std::string_view failed_at_;
  error_code error_;
};

int storm(const tcp::endpoint& server, std::size_t width) {
  std::mutex mutex;
  std::vector<std::string> failures;
  std::atomic<std::size_t> done{0};
  std::atomic<bool> over{false};
  const auto visit = [&] {
    while (!over) {
      Visit one;
      if (one.pay(server)) {
        ++done;
        continue;
      }
      const std::lock_guard lock{mutex};
      failures.push_back(one.failure());
      if (failures.size() >= kFailuresMax) over = true;
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < width; ++i) threads.emplace_back(visit);
  for (char byte = 0; ::read(STDIN_FILENO, &byte, 1) > 0;) {
  }
  over = true;
  for (std::thread& thread : threads) thread.join();
  for (const std::string& failure : failures) fmt::print("{}\n", failure);
  fmt::print("done {}\n", done.load());
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv, argv + argc);
  if (words.size() < 4) {
    fmt::print(stderr, "usage: beast_client HOST PORT CASE...|--storm THREADS\n");
    return 2;
  }
  const tcp::endpoint server{asio::ip::make_address(words[1]),
                             static_cast<std::uint16_t>(std::stoul(words[2]))};
  if (words[3] == "--storm") return storm(server, std::stoul(words.at(4)));
  for (std::size_t i = 3; i < words.size(); ++i) {
    fmt::print("{}\n", outcome_of(server, words[i]));
    std::fflush(stdout);
  }
  return EXIT_SUCCESS;
}
