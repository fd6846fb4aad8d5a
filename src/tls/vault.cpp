#include "weir/tls/vault.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

namespace weir::tls {
namespace {

using Word = std::atomic_ref<std::uint64_t>;

constexpr std::size_t kWordBytes = sizeof(std::uint64_t);
constexpr std::size_t words(std::size_t bytes) {
  return (bytes + kWordBytes - 1) / kWordBytes;
}

static_assert(Word::is_always_lock_free, "a lock would be one process's own");
static_assert(sizeof(TicketKeys) % kWordBytes == 0 && sizeof(TicketKey) == 80);

std::uint64_t load(const std::uint64_t& word, std::memory_order order) noexcept {
  // atomic_ref wants a word that it could write; loading writes none, also where it is sealed.
  return Word{const_cast<std::uint64_t&>(word)}.load(order);
}

/// Word by word and atomically, so that a reader in the middle of it is no data race: what it
/// copied may be torn, and the sequence tells it to throw that away.
void put(std::uint64_t* to, const void* from, std::size_t bytes) noexcept {
  const auto* at = static_cast<const char*>(from);
  for (std::size_t left = bytes; left > 0; ++to) {
    const std::size_t part = std::min(left, kWordBytes);
    std::uint64_t word = 0;
    std::memcpy(&word, at, part);
    Word{*to}.store(word, std::memory_order_relaxed);
    at += part;
    left -= part;
  }
}

void get(void* to, const std::uint64_t* from, std::size_t bytes) noexcept {
  auto* at = static_cast<char*>(to);
  for (std::size_t left = bytes; left > 0; ++from) {
    const std::size_t part = std::min(left, kWordBytes);
    const std::uint64_t word = load(*from, std::memory_order_relaxed);
    std::memcpy(at, &word, part);
    at += part;
    left -= part;
  }
}

bool draw(TicketKey& key) noexcept {
  // 80 bytes come in one piece: the kernel cuts, or is interrupted, only past 256.
  return ::getrandom(&key, sizeof key, 0) == sizeof key;
}

constexpr int kKeyTries = 1'000;

}  // namespace

Credential::~Credential() {
  OPENSSL_cleanse(key.data(), key.size());
}

/// What is mapped, in words of 64 bits. The PEM follows it: certificate and key of each pair in
/// turn, each beginning at a word.
struct Vault::Memory {
  struct Lengths {
    std::uint64_t certificate;
    std::uint64_t key;
  };

  std::uint64_t sequence;             // see Writing; odd while the writer is at it
  std::uint64_t credentials_version;  // the sequence that publish() last began to write
  std::uint64_t pairs;
  std::uint64_t text_words;
  std::uint64_t tickets[words(sizeof(TicketKeys))];
  Lengths lengths[kCredentialsMax];  // in bytes

  [[nodiscard]] static constexpr std::size_t text_words_max(std::size_t bytes) {
    return words(bytes) + 2 * kCredentialsMax;  // each text may leave most of a word unused
  }
  [[nodiscard]] static constexpr std::size_t mapped(std::size_t bytes) {
    return sizeof(Memory) + text_words_max(bytes) * kWordBytes;
  }
  [[nodiscard]] std::uint64_t* text() noexcept {
    return reinterpret_cast<std::uint64_t*>(this + 1);
  }

  /// One write, from its first word to its last. The fence orders the odd sequence before every
  /// word of the write: a reader that copied any of them, and then fences in its turn, cannot
  /// find the old sequence any more. The release at the end is for the reader that begins with
  /// the new sequence: it finds all the words of the write.
  class Writing {
   public:
    explicit Writing(Memory& memory) noexcept
        // Even, also where a writer before this one died in its write, which this one then ends.
        : memory_{memory},
          from_{load(memory.sequence, std::memory_order_relaxed) & ~std::uint64_t{1}} {
      Word{memory_.sequence}.store(from_ + 1, std::memory_order_relaxed);
      std::atomic_thread_fence(std::memory_order_release);
    }
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;
    ~Writing() { Word{memory_.sequence}.store(version(), std::memory_order_release); }

    [[nodiscard]] std::uint64_t version() const noexcept { return from_ + 2; }

   private:
    Memory& memory_;
    std::uint64_t from_;
  };

  /// Runs `copy`; whether what it copied is of one version. The acquiring load pairs with a
  /// write's last store, the fence with its first (see Writing).
  template <class Copy>
  [[nodiscard]] bool read_whole(const Copy& copy) const {
    const std::uint64_t begin = load(sequence, std::memory_order_acquire);
    if (begin % 2 != 0) return false;
    copy();
    std::atomic_thread_fence(std::memory_order_acquire);
    return load(sequence, std::memory_order_relaxed) == begin;
  }
};

Result<Vault> Vault::create(std::size_t bytes) {
  TicketKeys keys;
  for (TicketKey& key : keys)
    if (!draw(key)) return os_error("drawing session ticket keys", errno);
  UniqueFd file{::memfd_create("weir-vault", MFD_CLOEXEC)};
  if (!file || ::ftruncate(file.get(), static_cast<off_t>(Memory::mapped(bytes))) != 0)
    return os_error("making memory for certificates", errno);
  auto vault = map(std::move(file), bytes);
  if (!vault) return vault;
  put(vault->memory_->tickets, &keys, sizeof keys);  // the rest is zero: no pairs
  OPENSSL_cleanse(&keys, sizeof keys);
  return vault;
}

Result<Vault> Vault::map(UniqueFd file, std::size_t bytes) {
  void* const at =
      ::mmap(nullptr, Memory::mapped(bytes), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (at == MAP_FAILED)
    return os_error("mapping memory for certificates", errno, "raise the memory limit");
  // If the kernel will not, a core dump has the keys in it, and nothing else is worse.
  (void)::madvise(at, Memory::mapped(bytes), MADV_DONTDUMP);
  return Vault{std::move(file), static_cast<Memory*>(at), bytes};
}

Result<Vault> Vault::inherit(UniqueFd file) {
  struct stat found {};
  constexpr std::size_t kLeast = Memory::mapped(0);
  if (::fstat(file.get(), &found) != 0) return os_error("the memory for certificates", errno);
  const auto size = static_cast<std::size_t>(found.st_size);
  if (!S_ISREG(found.st_mode) || size < kLeast || size % kWordBytes != 0)
    return Error{"the memory for certificates has another layout",
                 "restart weir instead of upgrading it in place"};
  return map(std::move(file), size - kLeast);
}

void Vault::take_ticket_keys(const Vault& from) noexcept {
  // A write in progress there is over in a moment, unless its writer has died in it.
  for (int i = 0; i < kKeyTries; ++i) {
    auto keys = from.ticket_keys();
    if (!keys) continue;
    {
      const Memory::Writing writing{*memory_};
      put(memory_->tickets, &*keys, sizeof *keys);
    }
    OPENSSL_cleanse(&*keys, sizeof *keys);
    return;
  }
}

Vault::Vault(Vault&& other) noexcept
    : file_{std::move(other.file_)},
      memory_{std::exchange(other.memory_, nullptr)},
      bytes_{other.bytes_} {}

Vault::~Vault() {
  if (memory_ != nullptr) ::munmap(memory_, Memory::mapped(bytes_));
}

Result<void> Vault::has_room(const std::vector<Credential>& credentials) const {
  if (credentials.empty())
    return Error{"no certificate to serve with", "give at least one certificate and its key"};
  if (credentials.size() > kCredentialsMax)
    return Error{fmt::format("{} certificates", credentials.size()),
                 fmt::format("give {} or fewer", kCredentialsMax)};
  std::size_t bytes = 0;
  for (const Credential& each : credentials) bytes += each.certificate.size() + each.key.size();
  if (bytes > bytes_)
    return Error{fmt::format("certificates and keys of {} bytes, where {} were set aside at start",
                             bytes, bytes_),
                 "restart weir to make room for them"};
  return {};
}

Result<void> Vault::publish(const std::vector<Credential>& credentials) {
  if (auto room = has_room(credentials); !room) return room;
  const Memory::Writing writing{*memory_};
  const auto set = [](std::uint64_t& word, std::uint64_t value) {
    Word{word}.store(value, std::memory_order_relaxed);
  };
  // Release, and acquired by its reader: whoever sees this number sees the odd sequence as well,
  // and so cannot take the credentials of before for those that it numbers.
  Word{memory_->credentials_version}.store(writing.version(), std::memory_order_release);
  set(memory_->pairs, credentials.size());
  std::uint64_t* at = memory_->text();
  const auto append = [&at](const std::string& text) {
    put(at, text.data(), text.size());
    at += words(text.size());
  };
  for (std::size_t i = 0; i < credentials.size(); ++i) {
    set(memory_->lengths[i].certificate, credentials[i].certificate.size());
    set(memory_->lengths[i].key, credentials[i].key.size());
    append(credentials[i].certificate);
    append(credentials[i].key);
  }
  // Of longer keys of before, nothing is left behind.
  std::uint64_t* const before =
      memory_->text() + load(memory_->text_words, std::memory_order_relaxed);
  set(memory_->text_words, static_cast<std::uint64_t>(at - memory_->text()));
  for (; at < before; ++at) set(*at, 0);
  return {};
}

void Vault::rotate_tickets() noexcept {
  TicketKeys keys;
  get(&keys, memory_->tickets, sizeof keys);
  std::move_backward(keys.begin(), keys.end() - 1, keys.end());
  if (draw(keys.front())) {
    const Memory::Writing writing{*memory_};
    put(memory_->tickets, &keys, sizeof keys);
  }
  OPENSSL_cleanse(&keys, sizeof keys);
}

void Vault::seal() noexcept {
  // Fails only for memory that is not mapped. If it failed, nothing but this guard would be lost.
  (void)::mprotect(memory_, Memory::mapped(bytes_), PROT_READ);
}

std::uint64_t Vault::version() const noexcept {
  // Acquire, so that what is then read is of this version or a later one.
  return load(memory_->sequence, std::memory_order_acquire);
}

std::uint64_t Vault::credentials_version() const noexcept {
  return load(memory_->credentials_version, std::memory_order_acquire);
}

std::optional<std::vector<Credential>> Vault::credentials() const {
  std::vector<Credential> credentials;
  const bool whole = memory_->read_whole([&] {
    // Torn numbers are held within the mapping; what they lead to is thrown away.
    const std::size_t pairs =
        std::min(load(memory_->pairs, std::memory_order_relaxed), std::uint64_t{kCredentialsMax});
    const std::uint64_t* at = memory_->text();
    std::size_t left = Memory::text_words_max(bytes_);
    const auto take = [&](const std::uint64_t& length) {
      const std::size_t bytes =
          std::min(load(length, std::memory_order_relaxed), std::uint64_t{left * kWordBytes});
      std::string text(bytes, '\0');
      get(text.data(), at, bytes);
      at += words(bytes);
      left -= words(bytes);
      return text;
    };
    credentials.reserve(pairs);
    for (const Memory::Lengths& length : std::span{memory_->lengths}.first(pairs)) {
      Credential& credential = credentials.emplace_back();
      credential.certificate = take(length.certificate);
      credential.key = take(length.key);
    }
  });
  if (!whole) return std::nullopt;
  return credentials;
}

std::optional<TicketKeys> Vault::ticket_keys() const noexcept {
  TicketKeys keys;
  const bool whole = memory_->read_whole([&] { get(&keys, memory_->tickets, sizeof keys); });
  if (!whole) return std::nullopt;
  return keys;
}

}  // namespace weir::tls
