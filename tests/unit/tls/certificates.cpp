#include "certificates.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "tls/openssl.h"

namespace weir::tls {
namespace {

Owned<EVP_PKEY> make_key(KeyKind kind) {
  switch (kind) {
    case KeyKind::ec: return Owned<EVP_PKEY>{EVP_EC_gen("P-256")};
    case KeyKind::ed25519: return Owned<EVP_PKEY>{EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")};
    case KeyKind::x25519: return Owned<EVP_PKEY>{EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519")};
    default: break;
  }
  static EVP_PKEY* const rsa = EVP_RSA_gen(2'048);
  static EVP_PKEY* const rsa_1024 = EVP_RSA_gen(1'024);
  EVP_PKEY* const key = kind == KeyKind::rsa ? rsa : rsa_1024;
  EVP_PKEY_up_ref(key);
  return Owned<EVP_PKEY>{key};
}

Owned<X509> make_certificate(const Wanted& wanted, EVP_PKEY* key, const std::string& issuer,
                             EVP_PKEY* issuer_key) {
  static long serial = 0;
  Owned<X509> made{X509_new()};
  X509* const x = made.get();
  X509_set_version(x, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(x), wanted.from_days * 86'400L);
  X509_gmtime_adj(X509_getm_notAfter(x), wanted.to_days * 86'400L);
  const auto name = [](X509_NAME* into, const std::string& text) {
    X509_NAME_add_entry_by_txt(into, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(text.c_str()), -1, -1, 0);
  };
  name(X509_get_subject_name(x), wanted.names.front());
  name(X509_get_issuer_name(x), issuer);
  X509_set_pubkey(x, key);
  std::string alternatives;
  for (const std::string& each : wanted.names)
    alternatives += (alternatives.empty() ? "DNS:" : ",DNS:") + each;
  X509_EXTENSION* const extension =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, alternatives.c_str());
  X509_add_ext(x, extension, -1);
  X509_EXTENSION_free(extension);
  X509_sign(x, issuer_key,
            EVP_PKEY_get_base_id(issuer_key) == EVP_PKEY_ED25519 ? nullptr : EVP_sha256());
  return made;
}

template <class Write>
std::string to_text(const Write& write) {
  const Owned<BIO> bio{BIO_new(BIO_s_mem())};
  write(bio.get());
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

}  // namespace

Credential make_credential(const Wanted& wanted) {
  const Owned<EVP_PKEY> key = make_key(wanted.key);
  const bool signs_others = wanted.with_issuer || wanted.key == KeyKind::x25519;
  const Owned<EVP_PKEY> issuer_key = signs_others ? make_key(KeyKind::ec) : nullptr;
  const std::string issuer = signs_others ? "issuer" : wanted.names.front();
  EVP_PKEY* const signer = issuer_key ? issuer_key.get() : key.get();
  const Owned<X509> leaf = make_certificate(wanted, key.get(), issuer, signer);
  Credential made;
  made.certificate = to_text([&](BIO* bio) { PEM_write_bio_X509(bio, leaf.get()); });
  if (wanted.with_issuer) {
    const Owned<X509> above = make_certificate({.names = {issuer}}, signer, issuer, signer);
    made.certificate += to_text([&](BIO* bio) { PEM_write_bio_X509(bio, above.get()); });
  }
  made.key = to_text([&](BIO* bio) {
    PEM_write_bio_PKCS8PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  return made;
}

std::string encrypted(const std::string& key) {
  const Owned<BIO> in{BIO_new_mem_buf(key.data(), static_cast<int>(key.size()))};
  const Owned<EVP_PKEY> plain{PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr)};
  return to_text([&](BIO* bio) {
    PEM_write_bio_PKCS8PrivateKey(bio, plain.get(), EVP_aes_256_cbc(), "secret", 6, nullptr,
                                  nullptr);
  });
}

}  // namespace weir::tls
