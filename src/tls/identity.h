// Identity: a credential as OpenSSL's objects: a certificate, its chain, its private key.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "openssl.h"
#include "weir/base/result.h"

namespace weir::tls {

struct Identity {
  Owned<X509> leaf;
  Owned<STACK_OF(X509)> chain;  // without the leaf; may be empty
  Owned<EVP_PKEY> key;

  /// The DNS names that the leaf is for, in lower case, sorted: its subject's alternative names,
  /// or its common name where it has none.
  [[nodiscard]] std::vector<std::string> names() const;
};

/// From PEM. `source` begins each error: where the text is from.
[[nodiscard]] Result<void> parse_certificates(std::string_view pem, std::string_view source,
                                              Identity& into);
/// Into an identity that has its certificates: the key has to be the leaf's.
[[nodiscard]] Result<void> parse_key(std::string_view pem, std::string_view source, Identity& into);

}  // namespace weir::tls
