#include "weir/steering/client_table.h"

#include <netinet/in.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "weir/steering/worker_slot.h"

namespace weir::steering {
namespace {

using Note = std::atomic_ref<std::uint32_t>;

/// The two words of an address as the steering program has them: IPv4 mapped into IPv6.
std::array<__u64, 2> words_of(const SocketAddress& address) noexcept {
  std::array<unsigned char, 16> bytes{};
  if (address.is_ipv6()) {
    sockaddr_in6 ipv6{};
    std::memcpy(&ipv6, address.data(), sizeof ipv6);
    std::memcpy(bytes.data(), &ipv6.sin6_addr, bytes.size());
  } else {
    sockaddr_in ipv4{};
    std::memcpy(&ipv4, address.data(), sizeof ipv4);
    bytes[10] = bytes[11] = 0xff;
    std::memcpy(&bytes[12], &ipv4.sin_addr, 4);
  }
  return std::bit_cast<std::array<__u64, 2>>(bytes);
}

/// Takes one connection out of an account; one that has none stays so.
void count_out(weir_client& client) noexcept {
  const Word account{client.account};
  __u64 seen = account.load(std::memory_order_relaxed);
  do {
    if ((seen & WEIR_CLIENT_OPEN_MASK) == 0) return;
  } while (!account.compare_exchange_weak(seen, seen - 1, std::memory_order_relaxed));
}

bool is_free(const weir_client& client, __u64 account, __u64 now) noexcept {
  if ((account & WEIR_CLIENT_OPEN_MASK) != 0) return false;
  const __u64 paid = Word{const_cast<__u64&>(client.paid_ns)}.load(std::memory_order_relaxed);
  return static_cast<std::int64_t>(paid - now) <= 0;
}

}  // namespace

std::uint32_t client_sets_for(const ClientLimits& limits, std::uint64_t connections) noexcept {
  if (!limits.any()) return 1;
  const std::uint64_t wanted =
      std::clamp<std::uint64_t>(connections * 2 / WEIR_CLIENT_WAYS, 1'024, WEIR_CLIENT_SETS_MAX);
  return static_cast<std::uint32_t>(std::bit_ceil(wanted));
}

// --- the master's -----------------------------------------------------------------------------

Result<ClientTable> ClientTable::in_shared_memory(std::uint32_t sets, std::uint32_t slots,
                                                  std::uint32_t places) {
  return map(MAP_ANONYMOUS, -1, sets, slots, places);
}

Result<ClientTable> ClientTable::over_map(int map_fd, std::uint32_t sets, std::uint32_t slots,
                                          std::uint32_t places) {
  return map(0, map_fd, sets, slots, places);
}

Result<ClientTable> ClientTable::map(int flags, int map_fd, std::uint32_t sets, std::uint32_t slots,
                                     std::uint32_t places) {
  ClientTable table;
  table.sets_ = sets;
  table.slots_ = slots;
  table.places_ = std::max(places, 1U);
  constexpr int access = PROT_READ | PROT_WRITE;
  void* at = ::mmap(nullptr, sets * sizeof(weir_client_set), access, MAP_SHARED | flags, map_fd, 0);
  if (at == MAP_FAILED) return os_error("mapping the clients' table", errno);
  table.set_ = static_cast<weir_client_set*>(at);
  // Not reserved: a page is there once a session of its places has been counted.
  at = ::mmap(nullptr, std::size_t{slots} * table.places_ * sizeof(std::uint32_t), access,
              MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return os_error("mapping the workers' notes on clients", errno);
  table.notes_ = static_cast<std::uint32_t*>(at);
  return table;
}

ClientTable::ClientTable(ClientTable&& other) noexcept
    : set_{std::exchange(other.set_, nullptr)},
      notes_{std::exchange(other.notes_, nullptr)},
      sets_{other.sets_},
      slots_{other.slots_},
      places_{other.places_} {}

ClientTable::~ClientTable() {
  if (set_ != nullptr) ::munmap(set_, sets_ * sizeof(weir_client_set));
  if (notes_ != nullptr) ::munmap(notes_, std::size_t{slots_} * places_ * sizeof(std::uint32_t));
}

void ClientTable::forget(std::uint32_t slot) noexcept {
  for (std::uint32_t& note : notes(slot)) {
    if (note == 0) continue;
    const std::uint32_t way = std::exchange(note, 0) - 1;
    if (way < sets_ * WEIR_CLIENT_WAYS)  // its writer may have been taken over
      count_out(set_[way / WEIR_CLIENT_WAYS].way[way % WEIR_CLIENT_WAYS]);
  }
}

// --- a worker's -------------------------------------------------------------------------------

ClientDesk::ClientDesk(weir_table& table, ClientTable& clients, std::uint32_t slot) noexcept
    : table_{&table}, row_{&table.row[slot]}, sets_{clients.sets()}, notes_{clients.notes(slot)} {}

/// Counts one connection in at the client's way; nothing if its set is full.
ClientDesk::Claim ClientDesk::claim(weir_client_id id, Instant now) noexcept {
  weir_client_set& set = sets_[id.set];
  // Its own way if it has one, else the first that is free. Two workers that look for the same
  // new client at once agree on that one, unless another way becomes free in that moment: then
  // the client has two accounts until one of them is empty.
  for (int attempt = 0; attempt < 4; ++attempt) {
    std::uint32_t found = WEIR_CLIENT_WAYS;
    __u64 seen = 0;
    for (std::uint32_t i = 0; i < WEIR_CLIENT_WAYS; ++i) {
      const __u64 account = Word{set.way[i].account}.load(std::memory_order_relaxed);
      const bool own = (account & WEIR_CLIENT_TAG_MASK) == id.tag;
      const bool taken = found != WEIR_CLIENT_WAYS || !is_free(set.way[i], account, to_ns(now));
      if (!own && taken) continue;
      found = i;
      seen = account;
      if (own) break;
    }
    if (found == WEIR_CLIENT_WAYS) return {};
    const bool own = (seen & WEIR_CLIENT_TAG_MASK) == id.tag;
    if (own && (seen & WEIR_CLIENT_OPEN_MASK) == WEIR_CLIENT_OPEN_MASK) return {};
    const __u64 counted = own ? seen + 1 : id.tag | 1;
    if (Word{set.way[found].account}.compare_exchange_strong(seen, counted,
                                                             std::memory_order_relaxed))
      return {.client = &set.way[found],
              .note = id.set * WEIR_CLIENT_WAYS + found + 1,
              .open = counted & WEIR_CLIENT_OPEN_MASK};
  }
  return {};
}

Verdict ClientDesk::admit(std::uint32_t place, const SocketAddress& address, Instant now) noexcept {
  if (!on()) return Verdict::admitted;
  const weir_client_id id = weir_client_of(table_, words_of(address).data());
  const Claim claimed = place < notes_.size() ? claim(id, now) : Claim{};
  weir_client* const client = claimed.client;
  if (client == nullptr) {
    add_own(row_->clients_untracked, 1);
    return Verdict::admitted;
  }

  const __u64 open_max = Word{table_->admission.open_max}.load(std::memory_order_relaxed);
  if (open_max != 0 && claimed.open > open_max) {
    count_out(*client);
    add_own(row_->clients_too_many, 1);
    return Verdict::too_many;
  }
  const __u64 interval = Word{table_->admission.interval_ns}.load(std::memory_order_relaxed);
  const __u64 burst = Word{table_->admission.burst_ns}.load(std::memory_order_relaxed);
  const Word paid{client->paid_ns};
  __u64 seen = paid.load(std::memory_order_relaxed);
  __u64 wanted = 0;
  do {
    if (!weir_client_may_pay(seen, to_ns(now), interval, burst)) {
      count_out(*client);
      add_own(row_->clients_too_fast, 1);
      return Verdict::too_fast;
    }
    wanted = std::max<__u64>(seen, to_ns(now)) + interval;
  } while (interval != 0 && !paid.compare_exchange_weak(seen, wanted, std::memory_order_relaxed));
  Note{notes_[place]}.store(claimed.note, std::memory_order_relaxed);
  return Verdict::admitted;
}

void ClientDesk::leave(std::uint32_t place) noexcept {
  if (place >= notes_.size()) return;
  const std::uint32_t note = Note{notes_[place]}.load(std::memory_order_relaxed);
  if (note == 0) return;
  Note{notes_[place]}.store(0, std::memory_order_relaxed);
  const std::uint32_t way = note - 1;
  count_out(sets_[way / WEIR_CLIENT_WAYS].way[way % WEIR_CLIENT_WAYS]);
}

}  // namespace weir::steering
