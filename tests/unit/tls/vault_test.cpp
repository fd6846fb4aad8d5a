// What the master writes is what workers read, whole, in every process.
#include "weir/tls/vault.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <set>
#include <thread>

namespace weir::tls {
namespace {

std::vector<Credential> texts(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::vector<Credential> made;
  for (const auto& [certificate, key] : pairs)
    made.push_back({.certificate = certificate, .key = key});
  return made;
}

/// A version whose every byte tells which one it is, in lengths of all remainders.
std::vector<Credential> version(std::size_t number) {
  const char letter = static_cast<char>('a' + number % 26);
  const std::size_t size = 1 + number * 7 % 900;
  return texts({{std::string(size, letter), std::string(size / 2, letter)},
                {std::string(size + 3, letter), std::string(1, letter)}});
}

bool is_whole(const std::vector<Credential>& read) {
  if (read.size() != 2 || read[0].certificate.empty()) return false;
  const char letter = read[0].certificate[0];
  const std::size_t size = read[0].certificate.size();
  return read[0].certificate == std::string(size, letter) &&
         read[0].key == std::string(size / 2, letter) &&
         read[1].certificate == std::string(size + 3, letter) &&
         read[1].key == std::string(1, letter);
}

bool equal(const TicketKey& one, const TicketKey& other) {
  return one.name == other.name && one.cipher == other.cipher && one.mac == other.mac;
}

TEST(Vault, BeginsWithKeysThatAllDifferAndNoCredentials) {
  const Vault vault = Vault::create(100).value();
  EXPECT_EQ(vault.version(), 0U);
  EXPECT_EQ(vault.credentials_version(), 0U);
  EXPECT_TRUE(vault.credentials()->empty());
  const TicketKeys keys = vault.ticket_keys().value();
  std::set<std::string> seen;
  for (const TicketKey& key : keys) {
    seen.emplace(key.name.begin(), key.name.end());
    seen.emplace(key.cipher.begin(), key.cipher.end());
    seen.emplace(key.mac.begin(), key.mac.end());
  }
  EXPECT_EQ(seen.size(), 9U);
}

TEST(Vault, GivesBackWhatWasPublishedToTheByte) {
  Vault vault = Vault::create(5'000).value();
  for (std::size_t size = 1; size < 40; ++size) {
    const std::string certificate(size, static_cast<char>('A' + size % 26));
    const std::string key(40 - size, static_cast<char>('a' + size % 26));
    ASSERT_TRUE(vault.publish(texts({{certificate, key}, {key, certificate}})));
    const std::vector<Credential> read = vault.credentials().value();
    ASSERT_EQ(read.size(), 2U);
    EXPECT_EQ(read[0].certificate, certificate);
    EXPECT_EQ(read[0].key, key);
    EXPECT_EQ(read[1].certificate, key);
    EXPECT_EQ(read[1].key, certificate);
    EXPECT_EQ(vault.version(), 2 * size);
    EXPECT_EQ(vault.credentials_version(), 2 * size);
  }
}

TEST(Vault, RefusesWhatHasNoRoomAndKeepsWhatItHad) {
  Vault vault = Vault::create(10).value();
  ASSERT_TRUE(vault.publish(texts({{"12345", "67890"}}))) << "exactly the room there is";
  const auto refused = [&](const std::vector<Credential>& credentials, std::string_view words) {
    const auto published = vault.publish(credentials);
    ASSERT_FALSE(published);
    EXPECT_NE(published.error().what.find(words), std::string::npos) << published.error().what;
    EXPECT_EQ(vault.version(), 2U);
    EXPECT_EQ(vault.credentials()->front().certificate, "12345");
    EXPECT_EQ(vault.credentials()->front().key, "67890");
  };
  refused(texts({{"12345", "678901"}}), "of 11 bytes, where 10 were set aside");
  refused({}, "no certificate");
  refused(std::vector<Credential>(kCredentialsMax + 1), "1025 certificates");
}

/// Whether `text` stands anywhere in memory that this process shares.
bool in_shared_memory(const std::string& text) {
  std::ifstream maps{"/proc/self/maps"};
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    char shared = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx rw-%c", &begin, &end, &shared) != 3 || shared != 's')
      continue;
    const std::string_view memory{reinterpret_cast<const char*>(begin), end - begin};
    if (memory.find(text) != memory.npos) return true;
  }
  return false;
}

TEST(Vault, LeavesNothingOfALongerKeyOfBefore) {
  Vault vault = Vault::create(4'000).value();
  ASSERT_TRUE(vault.publish(texts({{"certificate", std::string(900, 'k') + "the end of it"}})));
  ASSERT_TRUE(in_shared_memory("the end of it"));
  ASSERT_TRUE(vault.publish(texts({{"certificate", "short"}})));
  EXPECT_FALSE(in_shared_memory("the end of it"));
  EXPECT_FALSE(in_shared_memory("kkkkkkkk"));  // fewer may stand in a ticket key, by chance
}

TEST(Vault, HasRoomForAllPairsAtOnce) {
  Vault vault = Vault::create(2 * kCredentialsMax).value();
  const std::vector<Credential> smallest(kCredentialsMax,
                                         Credential{.certificate = "c", .key = "k"});
  ASSERT_TRUE(vault.publish(smallest));
  const std::vector<Credential> read = vault.credentials().value();
  ASSERT_EQ(read.size(), kCredentialsMax);
  EXPECT_EQ(read.back().certificate, "c");
  EXPECT_EQ(read.back().key, "k");
}

TEST(Vault, RotationMovesEachTicketKeyBackByOne) {
  Vault vault = Vault::create(10).value();
  const TicketKeys before = vault.ticket_keys().value();
  vault.rotate_tickets();
  const TicketKeys after = vault.ticket_keys().value();
  EXPECT_EQ(vault.version(), 2U);
  EXPECT_EQ(vault.credentials_version(), 0U) << "the credentials are the same";
  EXPECT_FALSE(equal(after[0], before[0]));
  EXPECT_TRUE(equal(after[1], before[0]));
  EXPECT_TRUE(equal(after[2], before[1]));
}

constexpr std::size_t kWrites = 3'000;

void write_many(Vault& vault) {
  for (std::size_t i = 0; i < kWrites; ++i) {
    if (i % 3 == 0)
      vault.rotate_tickets();
    else
      (void)vault.publish(version(i));
  }
}

TEST(Vault, ReadersInAnotherThreadSeeWholeVersions) {
  Vault vault = Vault::create(4'000).value();
  ASSERT_TRUE(vault.publish(version(1)));
  std::set<std::string> drawn;  // every key there ever was, as bytes
  const auto note = [](const TicketKeys& keys, std::set<std::string>& into) {
    for (const TicketKey& key : keys) {
      std::string bytes(sizeof key, '\0');
      std::memcpy(bytes.data(), &key, sizeof key);
      into.insert(bytes);
    }
  };
  note(vault.ticket_keys().value(), drawn);
  std::set<std::string> read;
  std::size_t torn = 0;
  std::thread reader{[&] {
    while (vault.version() < 2 * (kWrites + 1)) {
      if (const auto credentials = vault.credentials(); credentials && !is_whole(*credentials))
        ++torn;
      if (const auto keys = vault.ticket_keys()) note(*keys, read);
    }
  }};
  for (std::size_t i = 0; i < kWrites; ++i) {
    if (i % 3 == 0)
      vault.rotate_tickets();
    else
      (void)vault.publish(version(i));
    note(vault.ticket_keys().value(), drawn);
  }
  reader.join();
  EXPECT_EQ(torn, 0U);
  for (const std::string& key : read) EXPECT_TRUE(drawn.contains(key)) << "a key that never was";
}

TEST(Vault, ReadersInAnotherProcessSeeWholeVersions) {
  Vault vault = Vault::create(4'000).value();
  ASSERT_TRUE(vault.publish(version(1)));
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    vault.seal();
    while (vault.version() < 2 * (kWrites + 1))
      if (const auto read = vault.credentials(); read && !is_whole(*read)) ::_exit(1);
    const auto last = vault.credentials();
    ::_exit(last && is_whole(*last) ? 0 : 2);
  }
  write_many(vault);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST(VaultDeathTest, OnceSealedAWriteFaultsAndReadingGoesOn) {
  Vault vault = Vault::create(100).value();
  ASSERT_TRUE(vault.publish(texts({{"certificate", "key"}})));
  EXPECT_DEATH(
      {
        vault.seal();
        if (vault.credentials()->front().key != "key" || !vault.ticket_keys()) std::_Exit(0);
        vault.rotate_tickets();
        std::_Exit(0);
      },
      "");
}

}  // namespace
}  // namespace weir::tls
