// The control server over a real Unix socket, its io_context in a thread beside the test.
#include "weir/admin/control_server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <array>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <filesystem>
#include <functional>
#include <future>
#include <iterator>
#include <thread>

#include "temp_directory.h"
#include "weir/admin/control_client.h"
#include "weir/base/unique_fd.h"

namespace weir::admin {
namespace {

using namespace std::chrono_literals;
using boost::json::object;

/// A descriptor with the answer, unless none is asked for.
Result<Command::Handed> hand_file(const object& request) {
  if (request.contains("fail")) return Error{"no such file", ""};
  if (request.contains("none")) return Command::Handed{.answer = {{"bytes", 0}}, .fd = {}};
  Command::Handed handed{.answer = {{"bytes", 5}}, .fd = UniqueFd{::memfd_create("file", 0)}};
  EXPECT_EQ(::write(handed.fd.get(), "hello", 5), 5);
  return handed;
}

CommandTable commands() {
  CommandTable table;
  table["status"] = {"", [](const object&) -> Result<object> {
                       return object{{"status", {{"connections", 3}}}};
                     }};
  table["large"] = {"", [](const object&) -> Result<object> {
                      return object{{"text", std::string(4'000'000, 'x')}};
                    }};
  table["file"] = {.help = "", .run = nullptr, .begin = nullptr, .hand = hand_file};
  return table;
}

/// A server for the length of a test.
class Server {
 public:
  explicit Server(ControlLimits limits = {}) {
    auto started = ControlServer::start(io_, path(), commands(), limits);
    if (started) server_ = std::move(*started);
    thread_ = std::thread{[this] { io_.run(); }};
  }
  ~Server() { stop(); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void stop() {
    if (!thread_.joinable()) return;
    boost::asio::post(io_, [this] {
      server_.reset();
      guard_.reset();
    });
    thread_.join();
  }

  [[nodiscard]] std::string path() const { return directory_ / "control.sock"; }

  /// Runs `call` on the server's thread, between two of its events.
  void on_its_thread(const std::function<void()>& call) {
    std::promise<void> done;
    boost::asio::post(io_, [&] {
      call();
      done.set_value();
    });
    done.get_future().wait();
  }

 private:
  TempDirectory directory_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_{
      io_.get_executor()};
  std::unique_ptr<ControlServer> server_;
  std::thread thread_;
};

/// A client that can misbehave, byte by byte. Reads give up after 10 s, so that a server that
/// never answers fails a test rather than stopping it.
class Client {
 public:
  explicit Client(const std::string& path) : fd_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    connected_ =
        ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }

  [[nodiscard]] bool connected() const { return connected_; }

  void send(std::string_view bytes) const {
    // What the server does not want any more is refused, which is no concern of the test's.
    static_cast<void>(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
  }

  /// One line with its newline, or what came before the end of the connection.
  [[nodiscard]] std::string line() const {
    std::string out;
    for (char c = 0; c != '\n' && ::recv(fd_.get(), &c, 1, 0) == 1;) out += c;
    return out;
  }

  /// The end of the connection comes, and nothing before it.
  [[nodiscard]] bool ends() const {
    char c = 0;
    const ssize_t got = ::recv(fd_.get(), &c, 1, 0);
    return got == 0 || (got < 0 && errno == ECONNRESET);
  }

 private:
  UniqueFd fd_;
  bool connected_ = false;
};

constexpr std::string_view kRequest = "{\"command\":\"status\"}\n";
constexpr std::string_view kAnswer = "{\"ok\":true,\"status\":{\"connections\":3}}\n";
constexpr ControlLimits kPatient{.patience = 60s};

TEST(ControlServer, AnswersAsOftenAsItIsAsked) {
  const Server server{kPatient};
  const Client client{server.path()};
  for (int i = 0; i < 3; ++i) {
    client.send(kRequest);
    EXPECT_EQ(client.line(), kAnswer);
  }
}

TEST(ControlServer, TakesRequestsInPiecesAndAtOnce) {
  const Server server{kPatient};
  const Client client{server.path()};
  for (const char byte : kRequest) client.send({&byte, 1});
  EXPECT_EQ(client.line(), kAnswer);
  client.send(std::string{kRequest} + "nonsense\n" + std::string{kRequest});
  EXPECT_EQ(client.line(), kAnswer);
  EXPECT_TRUE(client.line().starts_with(R"({"ok":false,"error":"expected a JSON object)"));
  EXPECT_EQ(client.line(), kAnswer);
}

TEST(ControlServer, ALineMayBeAsLongAsTheLimitAndNoLonger) {
  const Server server{{.request_bytes = 64, .patience = 60s}};
  std::string request{"{\"command\":\"status\"}"};
  const Client fits{server.path()};
  fits.send(request + std::string(64 - 1 - request.size(), ' ') + '\n');
  EXPECT_EQ(fits.line(), kAnswer);

  const Client too_long{server.path()};
  too_long.send(request + std::string(64 - request.size(), ' ') + '\n');
  EXPECT_EQ(too_long.line(),
            "{\"ok\":false,\"error\":\"a request may be 64 bytes long, its newline included\"}\n");
  EXPECT_TRUE(too_long.ends());

  const Client flood{server.path()};  // no newline, ever
  flood.send(std::string(100'000, 'x'));
  EXPECT_TRUE(flood.line().starts_with(R"({"ok":false,)"));
}

TEST(ControlServer, DropsASilentClientAndASlowOne) {
  const Server server{{.patience = 50ms}};
  const Client silent{server.path()};
  EXPECT_TRUE(silent.ends());

  const Client slow{server.path()};  // each byte in time, and the line not
  for (int i = 0; i < 20; ++i) {
    slow.send("{");
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_TRUE(slow.ends());

  const Client served{server.path()};
  served.send(kRequest);
  EXPECT_EQ(served.line(), kAnswer);
  EXPECT_TRUE(served.ends());  // silent from then on
}

TEST(ControlServer, DropsAClientThatDoesNotTakeItsAnswer) {
  const Server server{{.connections = 1, .patience = 50ms}};
  const Client deaf{server.path()};
  deaf.send("{\"command\":\"large\"}\n");
  // The one place is free again once the deaf client is gone.
  for (;;) {
    const Client next{server.path()};
    next.send(kRequest);
    const std::string line = next.line();
    if (line == kAnswer) break;
    ASSERT_EQ(line, "{\"ok\":false,\"error\":\"1 clients are connected already; try again\"}\n");
    std::this_thread::sleep_for(5ms);
  }
}

TEST(ControlServer, HoldsNoMoreClientsThanTheLimit) {
  const Server server{{.connections = 2, .patience = 60s}};
  const Client first{server.path()};
  const Client second{server.path()};
  first.send(kRequest);
  second.send(kRequest);
  EXPECT_EQ(first.line(), kAnswer);
  EXPECT_EQ(second.line(), kAnswer);
  const Client third{server.path()};
  EXPECT_EQ(third.line(),
            "{\"ok\":false,\"error\":\"2 clients are connected already; try again\"}\n");
  EXPECT_TRUE(third.ends());
  first.send(kRequest);
  EXPECT_EQ(first.line(), kAnswer);
}

TEST(ControlServer, EndsItsClientsAndItsNameWithItself) {
  Server server{kPatient};
  const Client client{server.path()};
  client.send(kRequest);
  EXPECT_EQ(client.line(), kAnswer);
  EXPECT_TRUE(std::filesystem::exists(server.path()));
  server.stop();
  EXPECT_TRUE(client.ends());
  EXPECT_FALSE(std::filesystem::exists(server.path()));
}

TEST(ControlServer, ASecondOneIsRefused) {
  const Server server{kPatient};
  boost::asio::io_context io;
  const auto second = ControlServer::start(io, server.path(), commands());
  ASSERT_FALSE(second);
  EXPECT_TRUE(second.error().what.starts_with("another weir answers at "));
  EXPECT_TRUE(Client{server.path()}.connected());
}

TEST(ControlServer, AForkedChildThatClosesItsDescriptorsTakesNothingAway) {
  Server server{kPatient};
  const Client client{server.path()};
  client.send(kRequest);
  EXPECT_EQ(client.line(), kAnswer);
  server.on_its_thread([] {
    const pid_t child = ::fork();
    if (child == 0) {
      ::close_range(0, ~0U, 0);
      ::_exit(0);
    }
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  });
  client.send(kRequest);
  EXPECT_EQ(client.line(), kAnswer);
  const Client another{server.path()};
  another.send(kRequest);
  EXPECT_EQ(another.line(), kAnswer);
}

TEST(ControlCall, ReturnsTheAnswersMembers) {
  const Server server{kPatient};
  const auto answer = control_call(server.path(), {{"command", "status"}}, 10s);
  ASSERT_TRUE(answer);
  EXPECT_EQ(*answer, (object{{"status", {{"connections", 3}}}}));
  const auto large = control_call(server.path(), {{"command", "large"}}, 10s);
  ASSERT_TRUE(large);
  EXPECT_EQ(large->at("text").as_string().size(), 4'000'000U);
}

TEST(ControlCall, TakesTheDescriptorThatComesWithAnAnswer) {
  const Server server{kPatient};
  UniqueFd fd;
  const auto answer = control_call(server.path(), {{"command", "file"}}, 10s, fd);
  ASSERT_TRUE(answer);
  EXPECT_EQ(*answer, (object{{"bytes", 5}}));
  ASSERT_TRUE(fd);
  EXPECT_EQ(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  std::array<char, 8> bytes{};
  ASSERT_EQ(::pread(fd.get(), bytes.data(), bytes.size(), 0), 5);
  EXPECT_EQ((std::string_view{bytes.data(), 5}), "hello");

  const auto without = control_call(server.path(), {{"command", "file"}, {"none", true}}, 10s, fd);
  ASSERT_TRUE(without);
  EXPECT_EQ(*without, (object{{"bytes", 0}}));
  EXPECT_FALSE(fd);
  const auto refused = control_call(server.path(), {{"command", "file"}, {"fail", true}}, 10s, fd);
  ASSERT_FALSE(refused);
  EXPECT_EQ(to_string(refused.error()), "no such file");
}

TEST(ControlServer, GoesOnAfterAnAnswerWithADescriptorAndKeepsNone) {
  const Server server{kPatient};
  const Client client{server.path()};
  const auto count = [] {
    return std::distance(std::filesystem::directory_iterator{"/proc/self/fd"}, {});
  };
  client.send(kRequest);
  EXPECT_EQ(client.line(), kAnswer);
  const auto before = count();
  for (int i = 0; i < 3; ++i) {  // a reader that takes no descriptor has it closed
    client.send("{\"command\":\"file\"}\n");
    EXPECT_EQ(client.line(), "{\"ok\":true,\"bytes\":5}\n");
  }
  client.send(kRequest);
  EXPECT_EQ(client.line(), kAnswer);
  EXPECT_EQ(count(), before);
}

TEST(ControlCall, SaysWhatWentWrongAndWhatHelps) {
  const Server server{kPatient};
  const auto refused = control_call(server.path(), {{"command", "stop"}}, 10s);
  ASSERT_FALSE(refused);
  EXPECT_EQ(to_string(refused.error()),
            "unknown command 'stop': expected one of file, large, status, help");

  const TempDirectory directory;
  const auto nobody = control_call(directory / "s", {{"command", "status"}}, 10s);
  ASSERT_FALSE(nobody);
  EXPECT_EQ(to_string(nobody.error()),
            "no weir answers at " + (directory / "s") +
                "; start weir, or give the path of its socket with --control PATH");
}

TEST(ControlCall, DoesNotWaitForeverForASilentServer) {
  const TempDirectory directory;
  const UniqueFd listener{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (directory / "s").copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  const auto answer = control_call(directory / "s", {{"command", "status"}}, 20ms);
  ASSERT_FALSE(answer);
  EXPECT_EQ(to_string(answer.error()), "weir did not answer at " + (directory / "s") +
                                           " within 20 ms; its master is busy or stopped; try "
                                           "again");
}

}  // namespace
}  // namespace weir::admin
