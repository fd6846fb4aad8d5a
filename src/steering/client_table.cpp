#include "weir/steering/client_table.h"

#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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

/// Sets where there is no limit on clients yet.
constexpr std::uint64_t kInReserve = 1'048'576 / sizeof(weir_client_set);

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
  const std::uint64_t most = limits.any() ? WEIR_CLIENT_SETS_MAX : kInReserve;
  const std::uint64_t wanted =
      std::clamp<std::uint64_t>(connections * 2 / WEIR_CLIENT_WAYS, 1'024, most);
  return static_cast<std::uint32_t>(std::bit_ceil(wanted));
}

// --- the master's -----------------------------------------------------------------------------

Result<ClientTable> ClientTable::in_shared_memory(std::uint32_t sets, std::uint32_t slots,
                                                  std::uint32_t places) {
  UniqueFd accounts{::memfd_create("weir-clients", MFD_CLOEXEC)};
  if (!accounts ||
      ::ftruncate(accounts.get(), static_cast<off_t>(sets * sizeof(weir_client_set))) != 0)
    return os_error("making the clients' table", errno);
  auto table = over_map(accounts.get(), sets, slots, places);
  if (table) table->accounts_ = std::move(accounts);
  return table;
}

Result<ClientTable> ClientTable::over_map(int map_fd, std::uint32_t sets, std::uint32_t slots,
                                          std::uint32_t places) {
  UniqueFd notes{::memfd_create("weir-client-notes", MFD_CLOEXEC)};
  if (!notes) return os_error("making the workers' notes on clients", errno);
  return map(map_fd, std::move(notes), sets, slots, places);
}

Result<ClientTable> ClientTable::inherit(UniqueFd accounts, UniqueFd notes, std::uint32_t sets,
                                         std::uint32_t slots, std::uint32_t places) {
  auto table = map(accounts.get(), std::move(notes), sets, slots, places);
  if (table) table->accounts_ = std::move(accounts);
  return table;
}

Result<ClientTable> ClientTable::map(int accounts, UniqueFd notes, std::uint32_t sets,
                                     std::uint32_t slots, std::uint32_t places) {
  ClientTable table;
  table.sets_ = sets;
  table.places_ = std::max(places, 1U);
  void* const at = ::mmap(nullptr, sets * sizeof(weir_client_set), PROT_READ | PROT_WRITE,
                          MAP_SHARED, accounts, 0);
  if (at == MAP_FAILED) return os_error("mapping the clients' table", errno);
  table.set_ = static_cast<weir_client_set*>(at);
  table.file_ = std::move(notes);
  if (auto grown = table.grow(slots); !grown) return grown.error();
  return table;
}

ClientTable::ClientTable(ClientTable&& other) noexcept
    : set_{std::exchange(other.set_, nullptr)},
      accounts_{std::move(other.accounts_)},
      file_{std::move(other.file_)},
      mappings_{std::exchange(other.mappings_, {})},
      notes_{std::exchange(other.notes_, {})},
      sets_{other.sets_},
      places_{other.places_} {}

ClientTable::~ClientTable() {
  if (set_ != nullptr) ::munmap(set_, sets_ * sizeof(weir_client_set));
  for (const Mapping& mapping : mappings_) ::munmap(mapping.at, mapping.bytes);
}

std::size_t ClientTable::slot_bytes() const noexcept {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t bytes = std::size_t{kBanks} * places_ * sizeof(std::uint32_t);
  return (bytes + page - 1) / page * page;
}

Result<void> ClientTable::grow(std::uint32_t slots) {
  const std::size_t before = notes_.size();
  if (slots <= before) return {};
  // A page is there once a session of its places has been counted.
  const std::size_t offset = before * slot_bytes();
  const std::size_t bytes = (slots - before) * slot_bytes();
  struct stat found {};
  const bool is_there =
      ::fstat(file_.get(), &found) == 0 && found.st_size >= static_cast<off_t>(offset + bytes);
  if (!is_there && ::ftruncate(file_.get(), static_cast<off_t>(offset + bytes)) != 0)
    return os_error("making room for the workers' notes on clients", errno);
  void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                          file_.get(), static_cast<off_t>(offset));
  if (at == MAP_FAILED) return os_error("mapping the workers' notes on clients", errno);
  mappings_.push_back({.at = at, .bytes = bytes});
  for (std::size_t i = 0; i < slots - before; ++i)
    notes_.push_back(
        reinterpret_cast<std::uint32_t*>(static_cast<std::byte*>(at) + i * slot_bytes()));
  return {};
}

void ClientTable::forget(std::uint32_t slot, std::uint32_t bank) noexcept {
  for (std::uint32_t& note : notes(slot, bank)) {
    if (note == 0) continue;
    const std::uint32_t way = std::exchange(note, 0) - 1;
    if (way < sets_ * WEIR_CLIENT_WAYS)  // its writer may have been taken over
      count_out(set_[way / WEIR_CLIENT_WAYS].way[way % WEIR_CLIENT_WAYS]);
  }
}

void ClientTable::forgive(Instant now) noexcept {
  for (weir_client_set& set : std::span{set_, sets_}) {
    for (weir_client& client : set.way) {
      const Word paid{client.paid_ns};
      __u64 seen = paid.load(std::memory_order_relaxed);
      while (static_cast<std::int64_t>(seen - to_ns(now)) > 0 &&
             !paid.compare_exchange_weak(seen, to_ns(now), std::memory_order_relaxed)) {
      }
    }
  }
}

// --- a worker's -------------------------------------------------------------------------------

ClientDesk::ClientDesk(weir_table& table, ClientTable& clients, std::uint32_t slot,
                       std::uint32_t bank) noexcept
    : table_{&table},
      row_{&table.row[slot]},
      sets_{clients.sets()},
      notes_{clients.notes(slot, bank)} {}

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

void ClientDesk::take_over(std::uint32_t place, const SocketAddress& address,
                           Instant now) noexcept {
  if (!on()) return;
  const weir_client_id id = weir_client_of(table_, words_of(address).data());
  const Claim claimed = place < notes_.size() ? claim(id, now) : Claim{};
  if (claimed.client == nullptr)
    add_own(row_->clients_untracked, 1);
  else
    Note{notes_[place]}.store(claimed.note, std::memory_order_relaxed);
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
