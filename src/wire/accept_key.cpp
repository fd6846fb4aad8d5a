// SHA-1 and base64 by OpenSSL.
//
// EVP, which OpenSSL 3 would rather have called, allocates a context for every digest and takes
// half as long again, all of it outside SHA-1; and a provider's configuration can deny it SHA-1,
// which keeps no secret here (RFC 6455, 10.8).
#define OPENSSL_SUPPRESS_DEPRECATED
#include "accept_key.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cassert>

namespace weir::wire {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr std::size_t kKeyBytes = 24;

bool is_base64(char c) noexcept {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
         c == '/';
}

}  // namespace

bool is_handshake_key(std::string_view key) noexcept {
  return key.size() == kKeyBytes && key.ends_with("==") &&
         std::ranges::all_of(key.substr(0, kKeyBytes - 2), is_base64);
}

AcceptKey accept_key(std::string_view key) noexcept {
  assert(is_handshake_key(key));
  SHA_CTX sha1;  // none of these can fail
  SHA1_Init(&sha1);
  SHA1_Update(&sha1, key.data(), key.size());
  SHA1_Update(&sha1, kGuid.data(), kGuid.size());
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest;
  SHA1_Final(digest.data(), &sha1);
  std::array<unsigned char, AcceptKey{}.size() + 1> base64;  // EVP_EncodeBlock ends it with a zero
  EVP_EncodeBlock(base64.data(), digest.data(), static_cast<int>(digest.size()));
  AcceptKey accepted;
  std::copy_n(base64.begin(), accepted.size(), accepted.begin());
  return accepted;
}

}  // namespace weir::wire
