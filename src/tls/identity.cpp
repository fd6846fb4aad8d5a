#include "identity.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <cassert>

namespace weir::tls {
namespace {

Owned<BIO> reading(std::string_view text) {
  return Owned<BIO>{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
}

/// Whether the last reading ended because there was nothing more of its kind.
bool at_end() {
  return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

/// In place of OpenSSL's own, which asks on the terminal. Notes that it was asked.
int refuse_pass_phrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

std::string lower(const ASN1_STRING* text) {
  std::string name{reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                   static_cast<std::size_t>(ASN1_STRING_length(text))};
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return name;
}

}  // namespace

std::string_view take_reason() noexcept {
  const char* reason = nullptr;
  bool of_ssl = false;
  while (const unsigned long error = ERR_get_error()) {
    const char* const text = ERR_reason_error_string(error);
    const bool is_ssl = ERR_GET_LIB(error) == ERR_LIB_SSL;
    if (text == nullptr || (reason != nullptr && (of_ssl || !is_ssl))) continue;
    reason = text;
    of_ssl = is_ssl;
  }
  return reason != nullptr ? reason : "no reason given";
}

std::vector<std::string> Identity::names() const {
  std::vector<std::string> names;
  const Owned<GENERAL_NAMES> alternatives{static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(leaf.get(), NID_subject_alt_name, nullptr, nullptr))};
  for (int i = 0; alternatives && i < sk_GENERAL_NAME_num(alternatives.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(alternatives.get(), i);
    if (name->type == GEN_DNS) names.push_back(lower(name->d.dNSName));
  }
  const X509_NAME* const subject = X509_get_subject_name(leaf.get());
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (names.empty() && at >= 0)
    names.push_back(lower(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))));
  std::ranges::sort(names);
  ERR_clear_error();
  return names;
}

Result<void> parse_certificates(std::string_view pem, std::string_view source, Identity& into) {
  const Owned<BIO> bio = reading(pem);
  into.chain.reset(sk_X509_new_null());
  if (!bio || !into.chain) return Error{fmt::format("{}: {}", source, take_reason()), ""};
  for (int count = 0;; ++count) {
    Owned<X509> certificate{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)};
    if (!certificate && at_end() && count > 0) break;
    if (!certificate && at_end()) {
      ERR_clear_error();
      return Error{fmt::format("{}: no certificate in it", source),
                   "give PEM, which has a line -----BEGIN CERTIFICATE-----"};
    }
    if (!certificate)
      return Error{fmt::format("{}: its certificate no. {} is damaged: {}", source, count + 1,
                               take_reason()),
                   "give the PEM as it was issued, leaf first, then its chain"};
    if (count == 0)
      into.leaf = std::move(certificate);
    else if (sk_X509_push(into.chain.get(), certificate.get()) > 0)
      (void)certificate.release();
    else
      return Error{fmt::format("{}: {}", source, take_reason()), ""};
  }
  ERR_clear_error();
  return {};
}

Result<void> parse_key(std::string_view pem, std::string_view source, Identity& into) {
  assert(into.leaf);
  const Owned<BIO> bio = reading(pem);
  bool asked = false;
  if (bio) into.key.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, refuse_pass_phrase, &asked));
  if (asked) {
    ERR_clear_error();
    return Error{fmt::format("{}: the key is protected by a pass phrase", source),
                 "give it unencrypted (openssl pkey -in ... -out ...), readable by root alone"};
  }
  // Looked for here: what OpenSSL says of a file without a key is "unsupported".
  if (!into.key && pem.find("PRIVATE KEY-----") == pem.npos) {
    ERR_clear_error();
    return Error{fmt::format("{}: no private key in it", source),
                 "give PEM, which has a line -----BEGIN PRIVATE KEY-----"};
  }
  if (!into.key)
    return Error{fmt::format("{}: the key is damaged: {}", source, take_reason()),
                 "give the PEM as it was made, with RSA, EC or Ed25519 keys"};
  const bool of_leaf = X509_check_private_key(into.leaf.get(), into.key.get()) == 1;
  bool of_chain = false;
  for (int i = 0; !of_leaf && i < sk_X509_num(into.chain.get()); ++i)
    of_chain |= X509_check_private_key(sk_X509_value(into.chain.get(), i), into.key.get()) == 1;
  ERR_clear_error();
  if (of_chain)
    return Error{fmt::format("{}: the key is not of the first certificate but of a later", source),
                 "put the server's own certificate first in its file, then its chain"};
  if (!of_leaf)
    return Error{fmt::format("{}: the key is of another certificate", source),
                 "give certificates and keys in the same order, each key with its certificate"};
  return {};
}

}  // namespace weir::tls
