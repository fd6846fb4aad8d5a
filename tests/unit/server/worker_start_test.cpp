// What a worker has done by the moment it says that it is ready.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <thread>

#include "weir/apps/echo.h"
#include "weir/server/worker.h"
#include "weir/steering/load_table.h"

namespace weir::server {
namespace {

using namespace std::chrono_literals;

/// A pipe into which nothing more fits: who writes to it stays there until it is read.
std::array<UniqueFd, 2> full_pipe() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  EXPECT_EQ(::fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
  const std::array<char, 4096> page{};
  while (::write(ends[1], page.data(), page.size()) > 0) continue;
  EXPECT_EQ(::fcntl(ends[1], F_SETFL, 0), 0);
  return {UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

// From "ready" on the slot is steered to: were it not awake by then, it would be taken for hung,
// and who comes before its loop has turned once would go to the others.
TEST(WorkerStart, HasItsSlotAndIsAwakeBeforeItSaysThatItIsReady) {
  auto table = steering::LoadTable::in_shared_memory().value();
  auto clients = steering::ClientTable::in_shared_memory(1, 1, 16).value();
  table.configure({.slots = 1, .weights = {}});
  std::array<int, 2> inbox{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, inbox.data()), 0);
  const UniqueFd ours{inbox[0]};
  const UniqueFd theirs{inbox[1]};
  const UniqueFd listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  auto [read_end, write_end] = full_pipe();

  const Instant began = monotonic_now();
  const pid_t worker = ::fork();
  ASSERT_GE(worker, 0);
  if (worker == 0) {
    apps::Echo echo;
    ::_exit(run_worker({.rules = {}, .doors = {session::Door{}}, .tls = {}},
                       {.listeners = {{listener.get()}},
                        .inbox = ours.get(),
                        .inboxes = {theirs.get()},
                        .table = &table,
                        .clients = &clients,
                        .identity = {},
                        .link = process::WorkerLink{std::move(write_end)}},
                       echo));
  }
  const auto awake = [&] { return table.snapshot(0).row.awake_at_ns >= to_ns(began); };
  while (!awake() && monotonic_now() < began + 10s) std::this_thread::sleep_for(1ms);
  EXPECT_TRUE(awake());
  const auto owner = table.owner(0);
  EXPECT_TRUE(owner && owner->pid == worker);
  EXPECT_EQ(::waitpid(worker, nullptr, WNOHANG), 0) << "it waits to be heard";
  ::kill(worker, SIGKILL);
  EXPECT_EQ(::waitpid(worker, nullptr, 0), worker);
}

}  // namespace
}  // namespace weir::server
