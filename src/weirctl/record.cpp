#include "record.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <optional>

#include "weir/admin/control_client.h"
#include "weir/admin/recording.h"
#include "weir/base/clock.h"
#include "weir/base/json_number.h"
#include "weir/base/unique_fd.h"

namespace weir::ctl {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kAnswerWithin{5'000};
/// At the end, for a worker to say something more: one that hangs says nothing.
constexpr Duration kSilenceMax = std::chrono::seconds{5};
/// For a weir that cannot end it just now, in an upgrade, or between two masters, and between
/// tries.
constexpr Duration kEndWithin = std::chrono::seconds{10};
constexpr Duration kEndAgain = milliseconds{100};

/// What ends a recording in good order; read, never handled. Set up before there is one.
UniqueFd ending_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, number);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  return UniqueFd{::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
}

/// One recording that is under way.
class Session {
 public:
  Session(UniqueFd pipe, UniqueFd signals) : pipe_{std::move(pipe)}, signals_{std::move(signals)} {}

  enum class Woke : std::uint8_t { read, ended, signalled, timed_out };
  /// Takes up what comes, at the latest at `until`.
  [[nodiscard]] Woke read(Instant until) {
    std::array<pollfd, 2> fds{{{.fd = pipe_.get(), .events = POLLIN, .revents = 0},
                               {.fd = signals_.get(), .events = POLLIN, .revents = 0}}};
    const auto left = std::chrono::ceil<milliseconds>(until - monotonic_now());
    const auto wait = std::clamp<milliseconds::rep>(left.count(), 0, 60'000);
    const int ready = ::poll(fds.data(), fds.size(), static_cast<int>(wait));
    if (ready <= 0) return Woke::timed_out;  // perhaps before its time; the caller looks
    if (fds[1].revents != 0) {
      signalfd_siginfo signal{};
      if (::read(signals_.get(), &signal, sizeof signal) > 0) return Woke::signalled;
    }
    if (fds[0].revents == 0) return Woke::timed_out;
    const ssize_t got = ::read(pipe_.get(), buffer_.data(), buffer_.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return Woke::timed_out;
    if (got <= 0) return Woke::ended;
    recording.feed({buffer_.data(), static_cast<std::size_t>(got)});
    return Woke::read;
  }

  admin::Recording recording;

 private:
  UniqueFd pipe_;
  UniqueFd signals_;
  std::array<char, 65'536> buffer_{};
};

/// What the workers have left to say. Whether they said all.
bool read_rest(Session& session) {
  for (Instant until = monotonic_now() + kSilenceMax; monotonic_now() < until;) {
    switch (session.read(until)) {
      case Session::Woke::read: until = monotonic_now() + kSilenceMax; break;
      case Session::Woke::ended: return true;
      case Session::Woke::signalled: return false;  // who asks twice does not wait
      case Session::Woke::timed_out: break;
    }
  }
  return false;
}

/// Has weir end the recording, and goes on reading while it cannot yet.
Result<void> end(Session& session, const std::string& control, const boost::json::object& request) {
  for (const Instant until = monotonic_now() + kEndWithin;;) {
    const auto ended = admin::control_call(control, request, kAnswerWithin);
    if (ended) return {};
    if (monotonic_now() >= until) return ended.error();
    for (const Instant again = monotonic_now() + kEndAgain; monotonic_now() < again;) {
      const auto woke = session.read(again);
      if (woke == Session::Woke::ended) return {};
      if (woke == Session::Woke::signalled) return ended.error();
    }
  }
}

}  // namespace

Result<std::string> record(const cli::CtlOptions& options) {
  UniqueFd signals = ending_signals();
  if (!signals) return os_error("waiting for signals", errno);
  boost::json::object request;
  request["command"] = "record";
  UniqueFd pipe;
  const auto begun = admin::control_call(options.control, request, kAnswerWithin, pipe);
  if (!begun) return begun.error();
  const auto began_ns = number_in<std::uint64_t>(*begun, "began_ns").value_or(0);
  if (began_ns == 0 || !pipe) return Error{"weir did not say where to read from", ""};
  if (::isatty(STDERR_FILENO) == 1)
    fmt::print(stderr, "weirctl: recording{}\n", options.seconds ? "" : "; Ctrl-C ends it");

  Session session{std::move(pipe), std::move(signals)};
  const Instant began{Duration{static_cast<Duration::rep>(began_ns)}};
  const Instant until = options.seconds ? began + *options.seconds : Instant::max();
  for (auto woke = Session::Woke::read; woke != Session::Woke::signalled;) {
    if (monotonic_now() >= until) break;
    woke = session.read(until);
    if (woke == Session::Woke::ended) {
      session.recording.remark("weir ended before the recording did");
      return session.recording.trace(began);
    }
  }
  request["end"] = began_ns;
  if (const auto ended = end(session, options.control, request); !ended)
    session.recording.remark(
        fmt::format("sessions that are still open are missing: {}", to_string(ended.error())));
  else if (!read_rest(session))
    session.recording.remark("a worker did not say all that it had: it hangs, or nobody waited");
  return session.recording.trace(began);
}

}  // namespace weir::ctl
