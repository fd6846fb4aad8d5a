#include "listener_order.h"

#include <fmt/format.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace weir::process {
namespace {

/// A SYN over the loopback is there when connect() returns, or a moment later.
constexpr std::chrono::milliseconds kDropLook{1};
constexpr int kDropLooks = 200;
constexpr std::string_view kOrderRemedy =
    "have weir's sockets alone listen there and the loopback let through, or use --steer-backend "
    "ebpf or none";
/// More of them, where somebody else's segment was dropped just then (a queue that is full).
constexpr int kOrderTries = 2;

template <std::size_t N>
bool set_filter(int fd, int option, std::array<sock_filter, N> code) noexcept {
  const sock_fprog filter{.len = N, .filter = code.data()};
  return ::setsockopt(fd, SOL_SOCKET, option, &filter, sizeof filter) == 0;
}

/// Has the socket drop what comes from that port. The filter sees the TCP header and what follows.
bool drop_from(int fd, std::uint16_t port) noexcept {
  return set_filter(
      fd, SO_ATTACH_FILTER,
      std::array<sock_filter, 4>{
          {BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 1),
           BPF_STMT(BPF_RET | BPF_K, 0), BPF_STMT(BPF_RET | BPF_K, UINT32_MAX)}});
}

bool lead_to(int fd, std::size_t index) noexcept {
  return set_filter(
      fd, SO_ATTACH_REUSEPORT_CBPF,
      std::array<sock_filter, 1>{{BPF_STMT(BPF_RET | BPF_K, static_cast<std::uint32_t>(index))}});
}

std::uint32_t drops_of(int fd) noexcept {
  std::array<std::uint32_t, SK_MEMINFO_VARS> info{};
  socklen_t size = sizeof info;
  ::getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info.data(), &size);
  return info[SK_MEMINFO_DROPS];
}

/// Where the listeners are reached from this host.
SocketAddress reachable(const SocketAddress& address) {
  std::string text = address.to_string();
  if (text.starts_with("0.0.0.0:")) text = fmt::format("127.0.0.1:{}", address.port());
  if (text.starts_with("[::]:")) text = fmt::format("[::1]:{}", address.port());
  return SocketAddress::parse(text).value_or(address);
}

/// A socket bound to that address, where others are, too.
UniqueFd bound_to(const SocketAddress& address) noexcept {
  UniqueFd fd{::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP)};
  const int on = 1;
  if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(fd.get(), address.data(), address.size()) != 0)
    return UniqueFd{};
  return fd;
}

Error cannot_try() {
  return os_error("finding the order of the listeners", errno);
}

class OrderTrial {
 public:
  /// `group` and `address` are borrowed.
  OrderTrial(const std::vector<UniqueFd>& group, const SocketAddress& address)
      : group_{group}, to_{reachable(address)}, from_{to_} {}
  OrderTrial(const OrderTrial&) = delete;
  OrderTrial& operator=(const OrderTrial&) = delete;
  ~OrderTrial() {
    const int none = 0;
    ::setsockopt(group_.front().get(), SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &none, sizeof none);
    for (const UniqueFd& fd : group_)
      ::setsockopt(fd.get(), SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof none);
  }

  [[nodiscard]] Result<void> begin() {
    from_.set_port(0);
    port_ = bound_to(from_);
    const auto local = port_ ? SocketAddress::local_of(port_.get()) : std::nullopt;
    if (!local) return cannot_try();
    from_ = *local;
    for (const UniqueFd& fd : group_) {
      if (!drop_from(fd.get(), from_.port())) return cannot_try();
      drops_.push_back(drops_of(fd.get()));
    }
    return {};
  }

  /// Which of the group has that index.
  [[nodiscard]] Result<std::size_t> at(std::size_t index) {
    const UniqueFd syn = bound_to(from_);
    if (!syn || !lead_to(group_.front().get(), index)) return cannot_try();
    if (::connect(syn.get(), to_.data(), to_.size()) != 0 && errno != EINPROGRESS)
      return cannot_try();
    for (int look = 0; look < kDropLooks; ++look) {
      for (std::size_t i = 0; i < group_.size(); ++i) {
        const std::size_t which = (index + i) % group_.size();  // likely the first
        const std::uint32_t drops = drops_of(group_[which].get());
        if (drops == drops_[which]) continue;
        drops_[which] = drops;
        return which;
      }
      std::this_thread::sleep_for(kDropLook);
    }
    return Error{fmt::format("the order of the listeners at {} is not known", to_.to_string()),
                 std::string{kOrderRemedy}};
  }

 private:
  const std::vector<UniqueFd>& group_;
  SocketAddress to_;
  SocketAddress from_;
  UniqueFd port_;                     // holds from_'s while there is no SYN from it
  std::vector<std::uint32_t> drops_;  // so many when last looked, by socket
};

/// The socket of each index, each once.
Result<std::vector<std::size_t>> order_of(const std::vector<UniqueFd>& group,
                                          const SocketAddress& address) {
  OrderTrial trial{group, address};
  if (auto begun = trial.begin(); !begun) return begun.error();
  std::vector<std::size_t> order;
  for (std::size_t index = 0; index < group.size(); ++index) {
    auto found = trial.at(index);
    if (!found) return found.error();
    if (std::ranges::find(order, *found) != order.end())
      return Error{"the order of the listeners is not known: too much else was dropped",
                   std::string{kOrderRemedy}};
    order.push_back(*found);
  }
  return order;
}

}  // namespace

Result<void> sort_by_index(std::vector<UniqueFd>& group, const SocketAddress& address) {
  auto order = order_of(group, address);
  for (int again = 0; !order && again < kOrderTries; ++again) order = order_of(group, address);
  if (!order) return order.error();
  std::vector<UniqueFd> sorted;
  for (const std::size_t which : *order) sorted.push_back(std::move(group[which]));
  group = std::move(sorted);
  return {};
}

}  // namespace weir::process
