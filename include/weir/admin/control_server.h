// ControlServer: the Unix socket through which weirctl asks and orders the master.
//
// One JSON object a line each way: {"command":"status"} is answered with
// {"ok":true,"status":{...}}, or {"ok":false,"error":"..."} which says what is accepted. A
// connection may ask any number of times, one after another. {"command":"help"} is answered with
// {"ok":true,"commands":{...}}: what there is, and what for.
//
// Who may ask: the socket file is mode 0600 from the moment it exists, so the kernel lets in its
// owner and root, and no other check is made.
//
// Runs on the caller's io_context, on its thread alone; starts no thread, installs no handler. A
// forked child closes the descriptors (close_range(2)) and leaves the objects be: it neither runs
// nor destroys the io_context, whose epoll set it shares with its parent, nor the server, which
// would take the parent's socket file away.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/json/object.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "weir/admin/status.h"
#include "weir/base/result.h"
#include "weir/base/unique_fd.h"
#include "weir/base/units.h"

namespace weir::admin {

class SocketFile;

/// One command: what it is for, and what it does. `run` gets the whole request. The object that it
/// returns is the answer, to which "ok" is added; an error is answered as "what; remedy". It is
/// called on the io_context's thread, between two other events: it may take no longer than those.
struct Command {
  using Answer = Result<boost::json::object>;

  std::string help;
  std::function<Answer(const boost::json::object& request)> run;
  /// Instead of `run`, for what takes longer: begins it, and calls `done` once, now or later, from
  /// the same thread. Its client waits; other clients do not.
  std::function<void(const boost::json::object& request, std::function<void(Answer)> done)> begin =
      nullptr;
  /// Instead of either, for an answer with which a descriptor may go (SCM_RIGHTS).
  struct Handed {
    boost::json::object answer;
    UniqueFd fd;  // none: -1
  };
  std::function<Result<Handed>(const boost::json::object& request)> hand = nullptr;
};

/// The command "status", which answers {"status":{...}} with what `now` returns.
[[nodiscard]] Command status_command(std::function<Status()> now);

/// By name; std::less<> so that a string_view finds.
using CommandTable = std::map<std::string, Command, std::less<>>;

/// Bounds on what clients can hold of the master.
struct ControlLimits {
  std::size_t request_bytes = 64_KiB;  // a line, its newline included
  std::size_t connections = 32;        // at once; a further one is told so and closed
  /// For a request to arrive, counted from the last answer, and for its answer to be taken.
  std::chrono::milliseconds patience{5'000};
};

/// In /run/weir, which is made (0755) if it is missing; other directories must exist.
inline constexpr const char* kSystemSocketPath = "/run/weir/control.sock";

class ControlServer {
 public:
  /// Listens at `path`. A socket file there that nobody answers is replaced. Fails when another
  /// weir answers there, when something that is no socket is there, or when the directory does
  /// not let us; the error says what to do. `io` is borrowed and must outlive the server.
  [[nodiscard]] static Result<std::unique_ptr<ControlServer>> start(boost::asio::io_context& io,
                                                                    std::string path,
                                                                    CommandTable commands,
                                                                    ControlLimits limits = {});

  /// Goes on with the listening socket of another process, whose file is at `path`.
  [[nodiscard]] static Result<std::unique_ptr<ControlServer>> inherit(boost::asio::io_context& io,
                                                                      UniqueFd listening,
                                                                      std::string path,
                                                                      CommandTable commands,
                                                                      ControlLimits limits = {});

  /// The listening socket; lent.
  [[nodiscard]] int fd() const noexcept;
  /// Accepts no more; who is connected is still answered. `kept`: another process accepts at the
  /// same socket, and the file is that one's from now on; else the file is removed.
  void hand_over(bool kept) noexcept;

  /// Closes every connection; removes the socket file if it is still the one made here.
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

 private:
  class Impl;
  explicit ControlServer(std::shared_ptr<Impl> impl) noexcept;
  [[nodiscard]] static Result<std::unique_ptr<ControlServer>> open(boost::asio::io_context& io,
                                                                   SocketFile file,
                                                                   CommandTable commands,
                                                                   ControlLimits limits);
  std::shared_ptr<Impl> impl_;  // shared with the handlers in flight
};

}  // namespace weir::admin
