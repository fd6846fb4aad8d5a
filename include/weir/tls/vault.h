// Vault: what the TLS of all workers has in common, in memory that the master writes and the
// workers read: certificates, private keys, and the keys that seal session tickets. So a session
// resumes on whichever worker it lands, keys are rotated and certificates replaced without a
// restart, and no worker ever opens a key file: the master reads those, before privileges drop.
//
// A file in memory, mapped before the fork and left out of core dumps. One writer; readers
// see whole versions (a sequence lock): a reader that meets a write in progress keeps what it has
// and looks again. Should the writer die within a write, readers keep what they have for good.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "weir/base/result.h"
#include "weir/base/unique_fd.h"

namespace weir::tls {

/// One certificate chain with its private key, as PEM. Wipes its key from memory when it ends.
struct Credential {
  std::string certificate;  // leaf first, then its chain
  std::string key;          // not encrypted

  // Declared alone, which makes a move a copy: no moved-from string is left unwiped.
  ~Credential();
};

struct CredentialFiles {
  std::string certificate;
  std::string key;  // may be the same file
};

/// Reads and checks the pairs: each file readable, each PEM sound, each key of its certificate,
/// none without a pass phrase we could not ask for, none weaker than TLS is served with (OpenSSL's
/// security level 2: RSA from 2,048 bits). The error names the file and what is wrong. An expired
/// or not yet valid certificate is taken; `warnings` gets a line that says so.
[[nodiscard]] Result<std::vector<Credential>> read_credentials(
    const std::vector<CredentialFiles>& files, std::vector<std::string>& warnings);

/// A ticket key (RFC 5077, section 4): AES-256-CBC and HMAC-SHA-256.
struct TicketKey {
  std::array<unsigned char, 16> name;  // in the clear in front of each ticket
  std::array<unsigned char, 32> cipher;
  std::array<unsigned char, 32> mac;
};
/// The first seals new tickets, the others only open those of before.
using TicketKeys = std::array<TicketKey, 3>;

constexpr std::size_t kCredentialsMax = 1'024;

class Vault {
 public:
  /// Room for `bytes` of PEM in all, in kCredentialsMax pairs or fewer; ticket keys are drawn at
  /// once.
  [[nodiscard]] static Result<Vault> create(std::size_t bytes);
  /// Another process's, of this version of weir, to read or to go on writing once that has died.
  /// The descriptor is taken. Fails on a file of another shape.
  [[nodiscard]] static Result<Vault> inherit(UniqueFd file);
  /// Has the ticket keys of another vault, so that what that one sealed opens here.
  void take_ticket_keys(const Vault& from) noexcept;
  /// What inherit() takes; lent.
  [[nodiscard]] int fd() const noexcept { return file_.get(); }
  Vault(Vault&&) noexcept;
  Vault& operator=(Vault&&) = delete;
  ~Vault();

  // The master's.

  /// Whether publish() would succeed.
  [[nodiscard]] Result<void> has_room(const std::vector<Credential>& credentials) const;
  /// Fails, and leaves everything as it was, where there is no room or nothing to publish.
  [[nodiscard]] Result<void> publish(const std::vector<Credential>& credentials);
  /// A new first ticket key; the last one is forgotten. Without randomness, which the kernel has
  /// had since boot, the keys stay as they are.
  void rotate_tickets() noexcept;

  // A worker's.

  /// For the rest of this process: read only, so that a stray store cannot change what the other
  /// workers serve with. (Whoever runs code in this process can undo it.)
  void seal() noexcept;
  /// Twice the number of publish() and rotate_tickets() so far; odd while one is being written.
  /// One atomic load.
  [[nodiscard]] std::uint64_t version() const noexcept;
  /// What version() had become when publish() was last called; 0 before.
  [[nodiscard]] std::uint64_t credentials_version() const noexcept;
  /// What version() has; nothing if a write came in between.
  [[nodiscard]] std::optional<std::vector<Credential>> credentials() const;
  [[nodiscard]] std::optional<TicketKeys> ticket_keys() const noexcept;

 private:
  struct Memory;
  Vault(UniqueFd file, Memory* memory, std::size_t bytes) noexcept
      : file_{std::move(file)}, memory_{memory}, bytes_{bytes} {}
  [[nodiscard]] static Result<Vault> map(UniqueFd file, std::size_t bytes);

  UniqueFd file_;
  Memory* memory_;
  std::size_t bytes_;  // of PEM
};

}  // namespace weir::tls
