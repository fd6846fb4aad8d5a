#include "weir/steering/key_owner.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>

#include "weir/steering/connection_count.h"
#include "weir/steering/pick.h"
#include "weir/steering/siphash.h"
#include "weir/steering/tenure.h"

namespace weir::steering {
namespace {

static_assert(std::endian::native == std::endian::little, "SipHash reads words so");

/// Entries looked up before the slots are walked through in turn. With half of the slots out of
/// service one key in 65,000 gets there, and with all but one of 1,024 nearly every one.
constexpr int kLookups = 16;

/// Relaxed, unless something that was written before has to be seen: an old word names an owner
/// that was the right one a moment ago.
template <class Word>
Word load_word(Word& word, std::memory_order order = std::memory_order_relaxed) noexcept {
  return std::atomic_ref<Word>{word}.load(order);
}

}  // namespace

std::uint64_t siphash(std::uint64_t key0, std::uint64_t key1, std::string_view text, int compress,
                      int finish) noexcept {
  weir_sip_state state = weir_sip_begin(key0, key1);
  const std::uint64_t length = text.size();
  __u64 word = 0;
  for (; text.size() >= sizeof word; text.remove_prefix(sizeof word)) {
    std::memcpy(&word, text.data(), sizeof word);
    weir_sip_absorb(&state, word, compress);
  }
  word = 0;
  std::memcpy(&word, text.data(), text.size());
  weir_sip_absorb(&state, word | length << 56, compress);
  return weir_sip_end(&state, finish);
}

bool KeyOwners::on() const noexcept {
  return load_word(table_->config.policy) == WEIR_URI_HASH;
}

/// As weir_healthy() (pick.h), but that a hang found is for the program to note.
bool KeyOwners::is_well(std::uint32_t slot, Instant now) const noexcept {
  if ((load_word(table_->key[slot]) & WEIR_KEY_UNHEALTHY) != 0) return false;
  return !weir_overslept(to_ns(now), load_word(table_->row[slot].awake_at_ns),
                         load_word(table_->config.hang_threshold_ns));
}

std::optional<std::uint32_t> KeyOwners::owner_of(std::string_view key, Instant now) const noexcept {
  const std::uint32_t slots = std::min(load_word(table_->config.slot_count), WEIR_SLOTS_MAX);
  if (slots == 0) return std::nullopt;
  // Acquire: what this number names has been written whole.
  weir_lookup& lookup =
      table_->lookup[load_word(table_->config.live, std::memory_order_acquire) & 1U];
  __u64 hash = siphash(table_->config.hash_key[0], table_->config.hash_key[1], key, 1, 3);
  for (int i = 0; i < kLookups; ++i) {
    const __u32 entry = weir_range(static_cast<__u32>(hash >> 32), WEIR_MAGLEV_SIZE);
    const std::uint32_t slot = load_word(lookup.maglev[entry]) & WEIR_SLOT_MASK;
    if (is_well(slot, now)) return slot;
    hash = weir_mix(hash + 1);
  }
  const std::uint32_t first = weir_range(static_cast<__u32>(hash), slots);
  for (std::uint32_t i = 0; i < slots; ++i)
    if (const std::uint32_t slot = (first + i) % slots; is_well(slot, now)) return slot;
  return std::nullopt;
}

bool KeyOwners::is_of_our_master(std::uint32_t slot) const noexcept {
  const auto owner = Tenure::of(load_word(table_->owner[slot], std::memory_order_acquire));
  const std::uint32_t bank = owner ? owner->bank : load_word(table_->admission.bank);
  return bank == bank_;
}

std::uint64_t KeyOwners::connections(std::uint32_t slot) const noexcept {
  const std::uint64_t step = std::max<std::uint64_t>(load_word(table_->steered[slot].step), 1);
  return (load_word(table_->key[slot]) & WEIR_KEY_LOAD_MASK) / step;
}

}  // namespace weir::steering
