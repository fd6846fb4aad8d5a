#include "keeper.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <string>
#include <thread>

#include "weir/base/log.h"
#include "weir/process/channel.h"

namespace weir::process {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// For a question to arrive, and for a new master to say that it is in charge.
constexpr Duration kQuestionPatience = seconds{5};
constexpr Duration kTakeoverPatience = seconds{30};
constexpr std::size_t kQuestionBytesMax = 4'096;
/// Between two looks at whether any worker is alive, and how many in vain are enough.
constexpr milliseconds kLook{1'000};
constexpr int kLooksMax = 30;

constexpr std::string_view kNoMaster =
    "{\"ok\":false,\"error\":\"the master of this weir has died, and its workers go on; weir "
    "--takeover, with the flags that it had, puts a new one in charge\"}\n";

/// Whether `fd` is readable, or at its end, within `time`.
bool await(int fd, Duration time) noexcept {
  pollfd poll{.fd = fd, .events = POLLIN, .revents = 0};
  const auto left = std::max<std::int64_t>(std::chrono::ceil<milliseconds>(time).count(), 0);
  return ::poll(&poll, 1, static_cast<int>(left)) > 0;
}

/// One line, without its newline; empty if none comes.
std::string read_question(int client) {
  const Instant until = monotonic_now() + kQuestionPatience;
  std::string line;
  while (line.size() < kQuestionBytesMax && await(client, until - monotonic_now())) {
    char byte = 0;
    const ssize_t got = ::recv(client, &byte, 1, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return {};
    if (got != 1) continue;
    if (byte == '\n') return line;
    line += byte;
  }
  return {};
}

/// Hands everything over. Whether there is a new master in charge now.
bool hand_over(int client, const KeeperSeat& seat) {
  spdlog::info("handing listeners, tables and inboxes to a new master");
  if (auto sent = send_estate(client, seat.terms, seat.items); !sent) {
    spdlog::error("the new master does not take them: {}", to_string(sent.error()));
    return false;
  }
  const auto said = receive_frame(client, kTakeoverPatience);
  if (said && said->text == kTakenOver) return true;
  spdlog::error("the new master did not take over: {}",
                said ? said->text : to_string(said.error()));
  return false;
}

bool any_alive(const steering::LoadTable& table) noexcept {
  for (std::uint32_t slot = 0; slot < table.slots(); ++slot)
    if (const auto owner = table.owner(slot))
      if (::kill(owner->pid, 0) == 0 || errno == EPERM) return true;
  return false;
}

}  // namespace

void keep(const KeeperSeat& seat) {
  while (!await(seat.lifeline, std::chrono::hours{1})) {
  }
  spdlog::warn(
      "the master has died; the workers go on, and weir --takeover can put a new one in "
      "charge of them");
  for (int in_vain = 0; in_vain < kLooksMax;) {
    if (!await(seat.control, kLook)) {
      in_vain = any_alive(*seat.table) ? 0 : in_vain + 1;
      continue;
    }
    const UniqueFd client{::accept4(seat.control, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    if (!client) {
      ++in_vain;
      std::this_thread::sleep_for(kLook);
      continue;
    }
    const std::string question = read_question(client.get());
    if (question == kTakeoverCommand) {
      if (hand_over(client.get(), seat)) return;
    } else if (!question.empty()) {
      (void)::send(client.get(), kNoMaster.data(), kNoMaster.size(), MSG_NOSIGNAL);
    }
  }
  spdlog::error("no worker is alive, and no new master has come: the listeners are closed");
}

}  // namespace weir::process
