#include "cbpf_steerer.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "weir/base/unique_fd.h"

namespace weir::steering {
namespace {

constexpr std::string_view kAttaching = "attaching the classic steering program";

Result<void> attach_classic(int listener, const ClassicProgram& program) {
  const sock_fprog filter{.len = static_cast<unsigned short>(program.size()),
                          .filter = const_cast<sock_filter*>(program.data())};  // it only reads
  if (::setsockopt(listener, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &filter, sizeof filter) == 0)
    return {};
  if (errno == ENOMEM)  // until Linux 6.8 that is 20 KB by default: about 800 slots
    return os_error(kAttaching, errno,
                    "a program for that many workers has to fit into net.core.optmem_max: raise it "
                    "to 131072");
  return os_error(kAttaching, errno, "use --steer-backend none where the host forbids it");
}

std::array<std::uint32_t, 2> hash_key_of(const LoadTable& table) noexcept {
  const __u64* const key = table.raw().config.hash_key;
  return {static_cast<std::uint32_t>(key[0] ^ key[0] >> 32),
          static_cast<std::uint32_t>(key[1] ^ key[1] >> 32)};
}

}  // namespace

Result<void> probe_cbpf(std::uint32_t slots) {
  const UniqueFd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP)};
  const int on = 1;
  if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
    return os_error("trying a classic steering program", errno);
  return attach_classic(fd.get(), random_program(std::vector<double>(slots, 1)));
}

Result<void> can_cbpf(Policy policy) {
  if (policy == Policy::least_connections || is_hashed(policy) || policy == Policy::uri_hash)
    return {};
  return Error{
      fmt::format("the steering backend cbpf cannot do --steer {}", to_string(policy)),
      "it does least-connections (nearly), source-hash, tuple-hash and uri-hash; ebpf does all"};
}

void CbpfSteerer::read(LoadTable& table, const Queued& queued, Instant now) {
  readings_.clear();
  const std::uint32_t slots = std::min(table.slots(), open_);
  for (std::uint32_t slot = 0; slot < slots; ++slot) {
    table.judge(slot, now);
    const std::uint64_t waiting = queued(slot);
    const SlotSnapshot seen = table.snapshot(slot);
    readings_.push_back({.in_service = seen.serving && !seen.hung,
                         .weight = seen.weight,
                         .load = seen.load + waiting,
                         .arrived = seen.row.accepted + waiting});
  }
  // A queue beats a reset: with no healthy slot those that hang are better than none.
  if (std::ranges::none_of(readings_, &ShareReading::in_service))
    for (std::uint32_t slot = 0; slot < slots; ++slot)
      readings_[slot].in_service = table.snapshot(slot).serving;
}

/// Nothing: what is attached may stay.
std::optional<CbpfSteerer::Attached> CbpfSteerer::wanted(Policy policy, Instant now) {
  const bool any = std::ranges::any_of(readings_, &ShareReading::in_service);
  const bool same = attached_ && attached_->policy == policy;
  Attached next{.policy = policy, .shares = {}, .in_service = {}};
  if (is_hashed(policy)) {
    for (const ShareReading& slot : readings_) next.in_service.push_back(slot.in_service || !any);
    if (same && attached_->in_service == next.in_service) return std::nullopt;
  } else {
    next.shares = shares_.look(now, readings_);
    if (same && !CbpfShares::worth_it(attached_->shares, next.shares, readings_))
      return std::nullopt;
  }
  return next;
}

Result<void> CbpfSteerer::attach(const Attached& wanted, const LoadTable& table, Groups groups) {
  const ClassicProgram program =
      is_hashed(wanted.policy) ? hash_program({.in_service = wanted.in_service,
                                               .with_port = wanted.policy == Policy::tuple_hash,
                                               .key = hash_key_of(table)})
                               : random_program(wanted.shares);
  for (const int listener : groups) {
    if (auto attached = attach_classic(listener, program); !attached) return attached;
    ++count_;
  }
  return {};
}

Result<void> CbpfSteerer::follow(Instant now, LoadTable& table, const Queued& queued,
                                 Groups groups) {
  read(table, queued, now);
  auto next = wanted(table.policy(), now);
  if (!next) return {};
  attached_.reset();  // until all groups have it
  if (auto attached = attach(*next, table, groups); !attached) return attached;
  attached_ = std::move(next);
  return {};
}

}  // namespace weir::steering
