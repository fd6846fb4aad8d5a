#include "tickets.h"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>

namespace weir::tls {
namespace {

constexpr int kIvBytes = 16;

// What the callback answers (SSL_CTX_set_tlsext_ticket_key_evp_cb(3)).
constexpr int kError = -1;     // ends the handshake
constexpr int kNoSession = 0;  // no key of ours: a full handshake, and a new ticket
constexpr int kDone = 1;
constexpr int kDoneRenew = 2;  // and the client gets a new ticket

bool set_mac(EVP_MAC_CTX* mac, const TicketKey& key) noexcept {
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_END};
  return EVP_MAC_init(mac, key.mac.data(), key.mac.size(), parameters) == 1;
}

}  // namespace

Tickets::~Tickets() {
  OPENSSL_cleanse(&keys_, sizeof keys_);
}

Result<void> Tickets::init() {
  cipher_.reset(EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr));
  if (!cipher_) return Error{fmt::format("OpenSSL: no AES-256-CBC: {}", take_reason()), ""};
  return {};
}

bool Tickets::serve(SSL_CTX* context) noexcept {
  return SSL_CTX_set_app_data(context, this) == 1 &&
         SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket) == 1;
}

int Tickets::on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                       EVP_MAC_CTX* mac, int sealing) noexcept {
  const auto* const self = static_cast<const Tickets*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  if (sealing == 1) return self->seal(name, iv, cipher, mac) ? kDone : kError;
  // A TLS 1.3 client may use a ticket once (RFC 8446, C.4), so each resumption brings the next.
  return self->open(SSL_version(ssl) == TLS1_3_VERSION, name, iv, cipher, mac);
}

bool Tickets::seal(unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                   EVP_MAC_CTX* mac) const noexcept {
  const TicketKey& key = keys_.front();
  std::memcpy(name, key.name.data(), key.name.size());
  return RAND_bytes(iv, kIvBytes) == 1 &&
         EVP_EncryptInit_ex2(cipher, cipher_.get(), key.cipher.data(), iv, nullptr) == 1 &&
         set_mac(mac, key);
}

int Tickets::open(bool always_renew, const unsigned char* name, const unsigned char* iv,
                  EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) const noexcept {
  // Names are no secret: they travel in the clear.
  const auto key = std::ranges::find_if(keys_, [&](const TicketKey& each) {
    return std::equal(each.name.begin(), each.name.end(), name);
  });
  if (key == keys_.end()) return kNoSession;
  if (EVP_DecryptInit_ex2(cipher, cipher_.get(), key->cipher.data(), iv, nullptr) != 1 ||
      !set_mac(mac, *key))
    return kError;
  return always_renew || key != keys_.begin() ? kDoneRenew : kDone;
}

}  // namespace weir::tls
