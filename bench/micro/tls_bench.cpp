// What TLS costs on one core: a record each way through a stream, and handshakes. The client is
// OpenSSL's own; its work is outside the timing of records, and within that of handshakes.
#include <benchmark/benchmark.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "weir/tls/context.h"
#include "weir/tls/stream.h"
#include "weir/tls/vault.h"

namespace weir::tls {
namespace {

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

std::string text_of(BIO* bio) {
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio, &text);
  std::string taken{text, static_cast<std::size_t>(size)};
  (void)BIO_reset(bio);
  return taken;
}

/// Self-signed, P-256.
Credential make_credential() {
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const certificate = X509_new();
  X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 86'400);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  X509_set_pubkey(certificate, key);
  X509_sign(certificate, key, EVP_sha256());
  BIO* const bio = BIO_new(BIO_s_mem());
  Credential made;
  PEM_write_bio_X509(bio, certificate);
  made.certificate = text_of(bio);
  PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  made.key = text_of(bio);
  BIO_free(bio);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return made;
}

class Client {
 public:
  explicit Client(int version) : context_{SSL_CTX_new(TLS_client_method())} {
    SSL_CTX_set_max_proto_version(context_.get(), version);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl_.get());
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  std::string step(const std::string& ciphertext) {
    char plain[256];
    BIO_write(SSL_get_rbio(ssl_.get()), ciphertext.data(), static_cast<int>(ciphertext.size()));
    (void)SSL_read(ssl_.get(), plain, sizeof plain);
    return text_of(SSL_get_wbio(ssl_.get()));
  }
  std::string seal(const std::string& plaintext) {
    (void)SSL_write(ssl_.get(), plaintext.data(), static_cast<int>(plaintext.size()));
    return text_of(SSL_get_wbio(ssl_.get()));
  }

 private:
  std::unique_ptr<SSL_CTX, Free> context_;
  std::unique_ptr<SSL, Free> ssl_;
};

class Collected final : public Sink {
 public:
  void put(std::span<const std::byte> ciphertext) override {
    bytes.append(reinterpret_cast<const char*>(ciphertext.data()), ciphertext.size());
  }
  std::string bytes;
};

bool handshake(Client& client, Stream& stream) {
  Collected sink;
  std::byte out[256];
  for (int flights = 0; flights < 4; ++flights) {
    const std::string up = client.step(std::exchange(sink.bytes, {}));
    stream.feed(std::as_bytes(std::span{up}));
    if (stream.read(out, sink).kind != Stream::Kind::need_more) return false;
    if (stream.established() && sink.bytes.empty()) return true;
  }
  return false;
}

struct Service {
  Vault vault = Vault::create(16 << 10).value();
  Context context = [this] {
    (void)vault.publish({make_credential()});
    return Context::create(vault, {}).value();
  }();
};

constexpr int version_of(std::int64_t number) {
  return number == 12 ? TLS1_2_VERSION : TLS1_3_VERSION;
}

// Arguments: the version, 12 or 13, and the bytes of plaintext.

void write_record(benchmark::State& state) {
  Service service;
  Client client{version_of(state.range(0))};
  const std::unique_ptr<Stream> stream = service.context.open();
  if (!handshake(client, *stream)) return state.SkipWithError("no handshake");
  const std::string plaintext(static_cast<std::size_t>(state.range(1)), 'x');
  Collected sink;
  for (auto _ : state) {
    sink.bytes.clear();
    benchmark::DoNotOptimize(stream->write(std::as_bytes(std::span{plaintext}), sink));
  }
  state.SetBytesProcessed(state.iterations() * state.range(1));
}

void read_record(benchmark::State& state) {
  constexpr int kBatch = 256;  // sealed ahead, with the clock stopped
  Service service;
  Client client{version_of(state.range(0))};
  const std::unique_ptr<Stream> stream = service.context.open();
  if (!handshake(client, *stream)) return state.SkipWithError("no handshake");
  const std::string plaintext(static_cast<std::size_t>(state.range(1)), 'x');
  std::vector<std::byte> out(16 << 10);
  std::vector<std::string> sealed(kBatch);
  Collected sink;
  while (state.KeepRunningBatch(kBatch)) {
    state.PauseTiming();
    for (std::string& record : sealed) record = client.seal(plaintext);
    state.ResumeTiming();
    for (const std::string& record : sealed) {
      stream->feed(std::as_bytes(std::span{record}));
      const Stream::Read first = stream->read(out, sink);
      const Stream::Read second = stream->read(out, sink);
      if (first.kind != Stream::Kind::data || second.kind != Stream::Kind::need_more)
        return state.SkipWithError("not one record");
    }
  }
  state.SetBytesProcessed(state.iterations() * state.range(1));
}

BENCHMARK(write_record)->ArgsProduct({{12, 13}, {64, 1'024, 16'384}});
BENCHMARK(read_record)->ArgsProduct({{12, 13}, {64, 1'024, 16'384}});

/// Both ends' work, and the making of the client's context.
void full_handshake(benchmark::State& state) {
  Service service;
  for (auto _ : state) {
    Client client{version_of(state.range(0))};
    if (!handshake(client, *service.context.open())) state.SkipWithError("no handshake");
  }
}
BENCHMARK(full_handshake)->Arg(12)->Arg(13);

void open_stream(benchmark::State& state) {
  Service service;
  for (auto _ : state) benchmark::DoNotOptimize(service.context.open());
}
BENCHMARK(open_stream);

}  // namespace
}  // namespace weir::tls

BENCHMARK_MAIN();
