// Certificates for tests, made on the spot.
#pragma once

#include <string>
#include <vector>

#include "weir/tls/vault.h"

namespace weir::tls {

enum class KeyKind { ec, rsa, rsa_1024, ed25519, x25519 };

struct Wanted {
  std::vector<std::string> names = {"localhost"};
  KeyKind key = KeyKind::ec;
  int from_days = -1;  // from now
  int to_days = 30;
  bool with_issuer = false;  // signed by a certificate of its own, which is the chain
};

/// The first name is the common name as well. RSA keys are made once a process, being slow.
Credential make_credential(const Wanted& wanted = {});

/// The same key behind a pass phrase.
std::string encrypted(const std::string& key);

}  // namespace weir::tls
