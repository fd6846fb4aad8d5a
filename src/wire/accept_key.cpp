// SHA-1 and base64 by OpenSSL, arranged so that a handshake costs a digest and nothing else.
#include "accept_key.h"

#include <openssl/evp.h>

#include <algorithm>
#include <memory>

namespace weir::wire {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr std::size_t kDigestBytes = 20;

/// SHA-1, looked up once a thread: the lookup by name costs several times what the digest does.
class Sha1 {
 public:
  Sha1() noexcept
      : algorithm_{EVP_MD_fetch(nullptr, "SHA1", nullptr)}, context_{EVP_MD_CTX_new()} {}

  [[nodiscard]] bool digest(std::string_view first, std::string_view second,
                            unsigned char* out) noexcept {
    return algorithm_ && context_ &&
           EVP_DigestInit_ex2(context_.get(), algorithm_.get(), nullptr) == 1 &&
           EVP_DigestUpdate(context_.get(), first.data(), first.size()) == 1 &&
           EVP_DigestUpdate(context_.get(), second.data(), second.size()) == 1 &&
           EVP_DigestFinal_ex(context_.get(), out, nullptr) == 1;
  }

 private:
  struct Free {
    void operator()(EVP_MD* md) const noexcept { EVP_MD_free(md); }
    void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD, Free> algorithm_;
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

bool is_base64(char c) noexcept {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
         c == '/';
}

}  // namespace

bool is_handshake_key(std::string_view key) noexcept {
  return key.size() == 24 && key.ends_with("==") &&
         std::ranges::all_of(key.substr(0, 22), is_base64);
}

std::optional<AcceptKey> accept_key(std::string_view key) noexcept {
  thread_local Sha1 sha1;
  std::array<unsigned char, kDigestBytes> digest;
  if (!sha1.digest(key, kGuid, digest.data())) return std::nullopt;
  std::array<unsigned char, AcceptKey{}.size() + 1> base64;  // EVP_EncodeBlock ends it with a zero
  EVP_EncodeBlock(base64.data(), digest.data(), static_cast<int>(digest.size()));
  AcceptKey accepted;
  std::copy_n(base64.begin(), accepted.size(), accepted.begin());
  return accepted;
}

}  // namespace weir::wire
