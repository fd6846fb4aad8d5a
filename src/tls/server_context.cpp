#include "server_context.h"

#include <fmt/format.h>

#include <chrono>
#include <string_view>

namespace weir::tls {
namespace {

// Forward secret and authenticated, nothing else. AES-128 first: as strong as the key exchange,
// and cheaper than AES-256. A client whose first choice is ChaCha20, being without AES hardware,
// gets that (SSL_OP_PRIORITIZE_CHACHA).
constexpr const char* kCiphers12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* kCiphers13 =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
// OpenSSL's own list has finite fields of 8,192 bits in it, of which a handshake costs the server
// a hundred times what it costs the client to ask for it.
constexpr const char* kGroups = "X25519:P-256:P-384";

// RSA and DH from 2,048 bits, EC from 224, no SHA-1 signatures. As Debian has it; other builds of
// OpenSSL begin lower.
constexpr int kSecurityLevel = 2;

// A day's clients come back within it; how long a ticket's key is kept is the master's.
constexpr std::chrono::seconds kTicketLifetime = std::chrono::hours{2};

/// Sessions are of weir, whichever process, certificate or OpenSSL context they began with.
constexpr std::string_view kSessionContext = "weir";

constexpr std::string_view kProtocols = "\x08http/1.1";  // RFC 7301, 3.1: length, name

/// Called for clients that offer protocols: they get http/1.1 or the alert (RFC 7301, 3.2).
int choose_protocol(SSL* /*ssl*/, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* in, unsigned int in_size, void* /*none*/) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size,
                            reinterpret_cast<const unsigned char*>(kProtocols.data()),
                            kProtocols.size(), in, in_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

Result<Owned<SSL_CTX>> make_server_context(Version min_version) {
  Owned<SSL_CTX> owned{SSL_CTX_new(TLS_server_method())};
  SSL_CTX* const context = owned.get();
  const int version = min_version == Version::tls13 ? TLS1_3_VERSION : TLS1_2_VERSION;
  if (context == nullptr || SSL_CTX_set_min_proto_version(context, version) != 1 ||
      SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(context, kCiphers12) != 1 ||
      SSL_CTX_set_ciphersuites(context, kCiphers13) != 1 ||
      SSL_CTX_set1_groups_list(context, kGroups) != 1 ||
      SSL_CTX_set_session_id_context(context,
                                     reinterpret_cast<const unsigned char*>(kSessionContext.data()),
                                     kSessionContext.size()) != 1 ||
      // One for the next connection; a resumed session gets its successor.
      SSL_CTX_set_num_tickets(context, 1) != 1 || SSL_CTX_set_max_early_data(context, 0) != 1)
    return Error{fmt::format("OpenSSL: {}", take_reason()), "check openssl.cnf and its providers"};
  SSL_CTX_set_security_level(context, kSecurityLevel);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  // A silent stream keeps no record buffer. The chain is the file's: none is looked for in
  // handshakes.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
  // Sessions live in their tickets, which any worker opens.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_timeout(context, kTicketLifetime.count());
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  return owned;
}

bool use_identity(SSL_CTX* context, const Identity& identity) noexcept {
  return SSL_CTX_use_cert_and_key(context, identity.leaf.get(), identity.key.get(),
                                  identity.chain.get(), 1) == 1;
}

}  // namespace weir::tls
