// The two ends of a connection in memory: a client of OpenSSL's own, and the stream under test.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tls/openssl.h"
#include "weir/tls/context.h"
#include "weir/tls/stream.h"
#include "weir/tls/vault.h"

namespace weir::tls {

struct ClientOptions {
  int min_version = TLS1_2_VERSION;
  int max_version = TLS1_3_VERSION;
  std::string name = {};       // SNI; none if empty
  std::string protocols = {};  // ALPN, in its wire form; none if empty
  const char* signatures = nullptr;
  const char* ciphers = nullptr;   // TLS 1.2
  SSL_SESSION* session = nullptr;  // to resume
};

struct FreeSession {
  void operator()(SSL_SESSION* session) const noexcept { SSL_SESSION_free(session); }
};
using Session = std::unique_ptr<SSL_SESSION, FreeSession>;

class Client {
 public:
  explicit Client(const ClientOptions& options = {});
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  /// However it ends, its session stays good: OpenSSL else drops that of a cut connection.
  ~Client() { SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); }

  /// What it sends next: handshakes as far as it can, and whatever write() left.
  std::string take();
  /// Gives it ciphertext; what it decrypts is added to `got`.
  void give(std::string_view ciphertext);
  void write(std::string_view plaintext);
  void close() { SSL_shutdown(ssl_.get()); }

  [[nodiscard]] bool established() const { return SSL_is_init_finished(ssl_.get()) == 1; }
  [[nodiscard]] bool resumed() const { return SSL_session_reused(ssl_.get()) == 1; }
  /// The peer's close_notify has come.
  [[nodiscard]] bool closed() const {
    return (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
  }
  [[nodiscard]] int version() const { return SSL_version(ssl_.get()); }
  [[nodiscard]] std::string protocol() const;
  [[nodiscard]] std::string certificate_name() const;
  [[nodiscard]] std::vector<std::string> chain_names() const;
  [[nodiscard]] int certificate_key_kind() const;
  /// The session to resume next: of a TLS 1.3 server, its last ticket's, if one came.
  [[nodiscard]] Session take_session();
  [[nodiscard]] SSL* raw() { return ssl_.get(); }

  std::string got;
  std::string error;  // the last reason

 private:
  static int on_session(SSL* ssl, SSL_SESSION* session);
  void step();

  Owned<SSL_CTX> context_;
  Owned<SSL> ssl_;
  Session session_;
};

class Collected final : public Sink {
 public:
  void put(std::span<const std::byte> ciphertext) override;
  std::string take() {
    sizes.clear();
    return std::exchange(bytes, {});
  }
  std::string bytes;
  std::vector<std::size_t> sizes;  // of each put()
};

class Server {
 public:
  explicit Server(Context& context) : stream{context.open()} {}

  /// Feeds a copy that is gone as soon as the stream has said something other than data, and reads
  /// until then, `step` bytes at a time.
  Stream::Kind give(std::string_view ciphertext, std::size_t step = 16 << 10);
  bool write(std::string_view plaintext) {
    return stream->write(std::as_bytes(std::span{plaintext}), sink);
  }

  std::unique_ptr<Stream> stream;
  Collected sink;
  std::string got;
};

/// Carries bytes both ways until both are silent. The last word of the server's.
Stream::Kind exchange(Client& client, Server& server);

/// A vault with what it serves, and a worker's context on it.
struct Service {
  explicit Service(const std::vector<Credential>& credentials, const ContextOptions& options = {});
  Vault vault;
  Context context;
};

}  // namespace weir::tls
