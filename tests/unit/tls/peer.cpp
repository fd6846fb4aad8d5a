#include "peer.h"

#include <gtest/gtest.h>
#include <openssl/err.h>

#include <array>
#include <stdexcept>

namespace weir::tls {

Client::Client(const ClientOptions& options) : context_{SSL_CTX_new(TLS_client_method())} {
  SSL_CTX* const context = context_.get();
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
  SSL_CTX_sess_set_new_cb(context, on_session);
  SSL_CTX_set_min_proto_version(context, options.min_version);
  SSL_CTX_set_max_proto_version(context, options.max_version);
  if (options.signatures != nullptr) SSL_CTX_set1_sigalgs_list(context, options.signatures);
  if (options.ciphers != nullptr) SSL_CTX_set_cipher_list(context, options.ciphers);
  SSL_CTX_set_app_data(context, this);
  ssl_.reset(SSL_new(context));
  SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_connect_state(ssl_.get());
  if (!options.name.empty()) SSL_set_tlsext_host_name(ssl_.get(), options.name.c_str());
  if (!options.protocols.empty())
    SSL_set_alpn_protos(ssl_.get(),
                        reinterpret_cast<const unsigned char*>(options.protocols.data()),
                        static_cast<unsigned>(options.protocols.size()));
  if (options.session != nullptr) SSL_set_session(ssl_.get(), options.session);
}

int Client::on_session(SSL* ssl, SSL_SESSION* session) {
  static_cast<Client*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)))->session_.reset(session);
  return 1;  // kept
}

Session Client::take_session() {
  // The callback is not told of a ticket that TLS 1.2 renews; the connection's session has it.
  if (version() == TLS1_2_VERSION) return Session{SSL_get1_session(ssl_.get())};
  return std::move(session_);
}

void Client::step() {
  std::array<char, 16 << 10> plain;
  std::size_t bytes = 0;
  ERR_clear_error();
  while (SSL_read_ex(ssl_.get(), plain.data(), plain.size(), &bytes) == 1)
    got.append(plain.data(), bytes);
  if (const unsigned long why = ERR_peek_last_error(); why != 0)
    error = ERR_reason_error_string(why);
  ERR_clear_error();
}

std::string Client::take() {
  if (!established()) step();
  char* text = nullptr;
  BIO* const bio = SSL_get_wbio(ssl_.get());
  const long size = BIO_get_mem_data(bio, &text);
  std::string taken{text, static_cast<std::size_t>(size)};
  (void)BIO_reset(bio);
  return taken;
}

void Client::give(std::string_view ciphertext) {
  BIO_write(SSL_get_rbio(ssl_.get()), ciphertext.data(), static_cast<int>(ciphertext.size()));
  step();
}

void Client::write(std::string_view plaintext) {
  std::size_t bytes = 0;
  if (SSL_write_ex(ssl_.get(), plaintext.data(), plaintext.size(), &bytes) != 1)
    throw std::runtime_error{"the client could not write"};
}

std::string Client::protocol() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

namespace {
std::string common_name(const X509* certificate) {
  std::array<char, 256> name{};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name.data(),
                            static_cast<int>(name.size()));
  return name.data();
}
}  // namespace

std::string Client::certificate_name() const {
  const X509* const certificate = SSL_get0_peer_certificate(ssl_.get());
  return certificate != nullptr ? common_name(certificate) : "";
}

std::vector<std::string> Client::chain_names() const {
  std::vector<std::string> names;
  const STACK_OF(X509)* const chain = SSL_get_peer_cert_chain(ssl_.get());
  for (int i = 0; i < sk_X509_num(chain); ++i)
    names.push_back(common_name(sk_X509_value(chain, i)));
  return names;
}

int Client::certificate_key_kind() const {
  const X509* const certificate = SSL_get0_peer_certificate(ssl_.get());
  return certificate != nullptr ? EVP_PKEY_get_base_id(X509_get0_pubkey(certificate)) : 0;
}

void Collected::put(std::span<const std::byte> ciphertext) {
  bytes.append(reinterpret_cast<const char*>(ciphertext.data()), ciphertext.size());
  sizes.push_back(ciphertext.size());
}

Stream::Kind Server::give(std::string_view ciphertext, std::size_t step) {
  const std::vector<char> copy{ciphertext.begin(), ciphertext.end()};
  std::vector<std::byte> out(step);
  stream->feed(std::as_bytes(std::span{copy}));
  for (;;) {
    const Stream::Read read = stream->read(out, sink);
    EXPECT_EQ(ERR_peek_error(), 0UL) << "OpenSSL's queue is left empty";
    if (read.kind != Stream::Kind::data) {
      EXPECT_EQ(read.bytes, 0U);
      return read.kind;
    }
    EXPECT_GT(read.bytes, 0U);
    got.append(reinterpret_cast<const char*>(out.data()), read.bytes);
  }
}

Stream::Kind exchange(Client& client, Server& server) {
  Stream::Kind kind = Stream::Kind::need_more;
  for (;;) {
    const std::string up = client.take();
    if (!up.empty()) kind = server.give(up);
    const std::string down = server.sink.take();
    if (!down.empty()) client.give(down);
    if (up.empty() && down.empty()) return kind;
  }
}

Service::Service(const std::vector<Credential>& credentials, const ContextOptions& options)
    : vault{Vault::create(64 << 10).value()}, context{[&] {
        vault.publish(credentials).value();
        return Context::create(vault, options).value();
      }()} {}

}  // namespace weir::tls
