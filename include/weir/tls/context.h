// Context: a worker's side of the vault: the OpenSSL contexts made of its present credentials,
// chosen by the name that the client asks for (SNI, RFC 6066, section 3): the first credential
// whose certificate is for that name, exactly or by a wildcard, and the very first of all where
// none is or no name is asked for. Credentials for the same names with different kinds of key (RSA
// and ECDSA, say) serve together: each client gets the kind that it can verify.
//
// For one thread, like the worker itself. TLS 1.2 and 1.3 with forward secrecy, ALPN http/1.1; no
// renegotiation, compression or early data. After create(), nothing here or in its streams makes
// a system call but for memory, randomness, the clock and getpid(2).
#pragma once

#include <cstdint>
#include <memory>

#include "weir/base/result.h"
#include "weir/tls/stream.h"
#include "weir/tls/vault.h"

namespace weir::tls {

enum class Version : std::uint8_t { tls12, tls13 };

struct ContextOptions {
  Version min_version = Version::tls12;
};

class Context {
 public:
  /// `vault` is borrowed and must outlive this; credentials have been published in it. Does all
  /// that reads files or enters OpenSSL's lazy initialisation, so that nothing of it happens in a
  /// sandbox later.
  [[nodiscard]] static Result<Context> create(const Vault& vault, const ContextOptions& options);
  Context(Context&&) noexcept;
  Context& operator=(Context&&) = delete;
  /// Streams must have ended before.
  ~Context();

  /// A new connection's stream, by the newest credentials and ticket keys; where the vault is just
  /// being written, by those of before. Once its handshake has begun, a stream keeps its
  /// certificate, whatever is published. Nothing if there is no memory.
  [[nodiscard]] std::unique_ptr<Stream> open();

 private:
  struct State;
  explicit Context(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

}  // namespace weir::tls
