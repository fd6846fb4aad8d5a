#include "weir/admin/control_client.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/parse.hpp>
#include <cerrno>
#include <cstddef>
#include <utility>

#include "weir/admin/json_text.h"
#include "weir/base/rights.h"
#include "weir/base/units.h"

namespace weir::admin {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using Unix = asio::local::stream_protocol;
using boost::system::error_code;

/// The status of 1,024 workers takes 0.4 MiB.
constexpr std::size_t kAnswerMax = 16_MiB;
/// Of one that may come with a descriptor.
constexpr std::size_t kShortAnswerMax = 64_KiB;

/// What a failed connect means to whoever typed weirctl.
Error unreachable(const std::string& path, const error_code& error) {
  const std::string what = fmt::format("no weir answers at {}", path);
  switch (error.value()) {
    case ENOENT:
    case ECONNREFUSED:
      return Error{what, "start weir, or give the path of its socket with --control PATH"};
    case EACCES:
    case EPERM:
      return Error{fmt::format("not allowed to use {}", path),
                   "run as root, or as the user that weir was started by"};
    default: return Error{fmt::format("{}: {}", what, error.message()), ""};
  }
}

/// One request and its answer on an io_context of its own, which is what bounds the whole in time.
struct Call {
  asio::io_context io{1};
  Unix::socket socket{io};
  std::string output;
  std::string input;
  error_code connected = asio::error::would_block;  // until the connect is done
  error_code answered = asio::error::would_block;   // until a line is there, or none will come
  UniqueFd* fd = nullptr;                           // to be set to what comes with it

  void start(const std::string& path) {
    socket.async_connect(Unix::endpoint{path}, [this](const error_code& error) {
      connected = error;
      if (!error) write();
    });
  }

  void write() {
    // A write that fails says less than the answer that may stand there already: read anyway.
    asio::async_write(socket, asio::buffer(output),
                      [this](const error_code&, std::size_t) { read(); });
  }

  void read() {
    if (fd != nullptr) return read_with_fd();
    asio::async_read_until(socket, asio::dynamic_buffer(input, kAnswerMax), '\n',
                           [this](const error_code& error, std::size_t bytes) {
                             answered = error;
                             input.resize(error ? 0 : bytes);
                           });
  }

  /// A short answer, which is sent at once and so is there at once.
  void read_with_fd() {
    socket.async_wait(Unix::socket::wait_read, [this](const error_code& error) {
      answered = error ? error : error_code{asio::error::eof};
      if (error) return;
      input.resize(kShortAnswerMax);
      iovec part{input.data(), input.size()};
      RightsRoom<1> room;
      msghdr message{};
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      await_rights(message, room.bytes);
      const ssize_t got = ::recvmsg(socket.native_handle(), &message, MSG_CMSG_CLOEXEC);
      input.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
      if (got > 0)
        for (UniqueFd& taken : take_rights(message)) *fd = std::move(taken);
      if (input.ends_with('\n')) answered = {};
    });
  }
};

Result<json::object> unpacked(const std::string& path, std::string_view line) {
  error_code bad;
  json::value value = json::parse(line, bad);
  json::object* answer = bad ? nullptr : value.if_object();
  const json::value* ok = answer == nullptr ? nullptr : answer->if_contains("ok");
  if (ok == nullptr || !ok->is_bool())
    return Error{fmt::format("what answers at {} is no weir", path),
                 "give the path of weir's socket with --control PATH"};
  if (ok->get_bool()) {
    answer->erase("ok");
    return std::move(*answer);
  }
  const json::value* message = answer->if_contains("error");
  const bool said = message != nullptr && message->is_string();
  return Error{said ? std::string{message->get_string()} : "weir refused, and did not say why", ""};
}

}  // namespace

namespace {

Result<json::object> call_at(const std::string& path, const json::object& request,
                             std::chrono::milliseconds timeout, UniqueFd* fd) {
  // Asio throws on a longer one.
  if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path))
    return Error{fmt::format("a control socket's path is 1 to {} bytes long",
                             sizeof(sockaddr_un::sun_path) - 1),
                 ""};
  Call call;
  call.fd = fd;
  call.output = json_text(request) + '\n';
  call.start(path);
  call.io.run_for(timeout);

  if (call.connected) return unreachable(path, call.connected);
  if (call.answered == asio::error::would_block)
    return Error{fmt::format("weir did not answer at {} within {} ms", path, timeout.count()),
                 "its master is busy or stopped; try again"};
  if (call.answered)
    return Error{fmt::format("weir closed the connection at {} without an answer", path),
                 "try again"};
  return unpacked(path, call.input);
}

}  // namespace

Result<json::object> control_call(const std::string& path, const json::object& request,
                                  std::chrono::milliseconds timeout) {
  return call_at(path, request, timeout, nullptr);
}

Result<json::object> control_call(const std::string& path, const json::object& request,
                                  std::chrono::milliseconds timeout, UniqueFd& fd) {
  fd.reset();
  return call_at(path, request, timeout, &fd);
}

}  // namespace weir::admin
