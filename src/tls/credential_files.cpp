// The master's reading of certificate and key files, before privileges drop.
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <unistd.h>

#include <cerrno>

#include "identity.h"
#include "server_context.h"
#include "weir/base/unique_fd.h"
#include "weir/tls/vault.h"

namespace weir::tls {
namespace {

constexpr std::size_t kFileBytesMax = 256 << 10;  // some 100 certificates

constexpr const char* kReadable = "give a PEM file that weir may read when it starts";

/// Read into memory of its final size, which is wiped: a string that grew would leave pieces of a
/// key behind.
class FileText {
 public:
  FileText() : bytes_(kFileBytesMax + 1, '\0') {}
  FileText(const FileText&) = delete;
  FileText& operator=(const FileText&) = delete;
  ~FileText() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

  [[nodiscard]] std::string_view text() const noexcept { return {bytes_.data(), size_}; }

  [[nodiscard]] Result<void> read(const std::string& path, std::string_view source) {
    size_ = 0;
    const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!file) return os_error(source, errno, kReadable);
    while (size_ < bytes_.size()) {
      const ssize_t got = ::read(file.get(), bytes_.data() + size_, bytes_.size() - size_);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return os_error(source, errno, kReadable);  // EISDIR: a directory
      if (got == 0) return {};
      size_ += static_cast<std::size_t>(got);
    }
    return Error{fmt::format("{}: longer than {} KiB", source, kFileBytesMax >> 10),
                 "give a PEM file of certificates or of a key"};
  }

 private:
  std::string bytes_;
  std::size_t size_ = 0;
};

std::string date(const ASN1_TIME* time) {
  tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "a date that cannot be read";
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02} UTC", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min);
}

void warn_of_dates(const Identity& identity, std::string_view source,
                   std::vector<std::string>& warnings) {
  const auto look = [&](X509* certificate, int number) {
    const ASN1_TIME* const begin = X509_get0_notBefore(certificate);
    const ASN1_TIME* const end = X509_get0_notAfter(certificate);
    const char* const what = number == 1 ? "the certificate" : "a certificate of the chain";
    if (X509_cmp_current_time(end) < 0)
      warnings.push_back(
          fmt::format("{}: {} expired on {}; clients will refuse it", source, what, date(end)));
    if (X509_cmp_current_time(begin) > 0)
      warnings.push_back(fmt::format("{}: {} is valid only from {}; clients will refuse it", source,
                                     what, date(begin)));
  };
  look(identity.leaf.get(), 1);
  for (int i = 0; i < sk_X509_num(identity.chain.get()); ++i)
    look(sk_X509_value(identity.chain.get(), i), i + 2);
}

/// The certificates alone: a file may hold the key as well, or text for people.
Result<std::string> to_pem(const Identity& identity, std::string_view source) {
  const Owned<BIO> bio{BIO_new(BIO_s_mem())};
  bool written = bio && PEM_write_bio_X509(bio.get(), identity.leaf.get()) == 1;
  for (int i = 0; written && i < sk_X509_num(identity.chain.get()); ++i)
    written = PEM_write_bio_X509(bio.get(), sk_X509_value(identity.chain.get(), i)) == 1;
  if (!written) return Error{fmt::format("{}: {}", source, take_reason()), ""};
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return std::string{text, static_cast<std::size_t>(size)};
}

Result<void> read_pair(const CredentialFiles& files, FileText& file, Credential& into,
                       std::vector<std::string>& warnings) {
  const std::string certificate_source = fmt::format("certificate file {}", files.certificate);
  const std::string key_source = fmt::format("key file {}", files.key);
  Identity identity;
  if (auto read = file.read(files.certificate, certificate_source); !read) return read;
  if (auto sound = parse_certificates(file.text(), certificate_source, identity); !sound)
    return sound;
  if (auto read = file.read(files.key, key_source); !read) return read;
  if (auto sound = parse_key(file.text(), key_source, identity); !sound) return sound;
  // What only a context finds: keys too short, kinds of key that TLS does not know.
  const auto usable = make_server_context(Version::tls12);
  if (!usable) return usable.error();
  if (!use_identity(usable->get(), identity))
    return Error{fmt::format("{}: not usable for TLS: {}", certificate_source, take_reason()),
                 "use an RSA key of 2,048 bits or more, an EC key of P-256 or P-384, or Ed25519"};
  warn_of_dates(identity, certificate_source, warnings);
  Result<std::string> pem = to_pem(identity, certificate_source);
  if (!pem) return pem.error();
  into.certificate = std::move(*pem);
  into.key = file.text();
  return {};
}

}  // namespace

Result<std::vector<Credential>> read_credentials(const std::vector<CredentialFiles>& files,
                                                 std::vector<std::string>& warnings) {
  std::vector<Credential> credentials(files.size());
  FileText file;
  for (std::size_t i = 0; i < files.size(); ++i)
    if (const auto read = read_pair(files[i], file, credentials[i], warnings); !read)
      return read.error();
  return credentials;
}

}  // namespace weir::tls
