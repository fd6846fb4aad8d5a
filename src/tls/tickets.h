// Tickets: sealing sessions into what clients keep, and opening them again (RFC 5077, RFC 8446,
// 4.6.1), with the keys that all workers share.
#pragma once

#include "openssl.h"
#include "weir/base/result.h"
#include "weir/tls/vault.h"

namespace weir::tls {

class Tickets {
 public:
  Tickets() noexcept = default;
  Tickets(const Tickets&) = delete;
  Tickets& operator=(const Tickets&) = delete;
  ~Tickets();

  [[nodiscard]] Result<void> init();
  void set_keys(const TicketKeys& keys) noexcept { keys_ = keys; }

  /// Makes `context` seal and open by these, which are borrowed for as long as it and its
  /// connections live.
  [[nodiscard]] bool serve(SSL_CTX* context) noexcept;

 private:
  static int on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                       EVP_MAC_CTX* mac, int sealing) noexcept;
  [[nodiscard]] bool seal(unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                          EVP_MAC_CTX* mac) const noexcept;
  [[nodiscard]] int open(bool always_renew, const unsigned char* name, const unsigned char* iv,
                         EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) const noexcept;

  TicketKeys keys_{};
  Owned<EVP_CIPHER> cipher_;  // looked up once: by name, it costs more than the sealing
};

}  // namespace weir::tls
