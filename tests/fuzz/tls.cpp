// A TLS stream and what a stranger sends it: bytes of any kind, or the flights of a real client,
// changed on their way. Whatever comes, the stream hands over nothing but a front of what the
// client wrote, answers in proportion, and stays failed or closed once it is. Input: a byte of
// settings, two that choose the cuts; then the bytes, or steps of four bytes: what happens to the
// next flight, where in it (two bytes), and a value.
#include <openssl/err.h>
#include <openssl/rand.h>

#include <deque>
#include <memory>
#include <utility>

#include "../unit/tls/certificates.h"
#include "fuzzing.h"
#include "tls/openssl.h"
#include "weir/tls/context.h"

// OpenSSL 3's own way is a provider of random numbers; this one is older, shorter, and still
// obeyed.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace weir::fuzz {
namespace {

using tls::Owned;
using Kind = tls::Stream::Kind;

constexpr int kStepsMax = 24;
constexpr std::size_t kAnswerBytesMax = 16 << 10;  // a handshake's, and alerts

/// The same numbers for each input, so that one which finds something finds it again.
std::uint64_t random_state;
int random_bytes(unsigned char* out, int size) {
  for (int i = 0; i < size; ++i) {
    random_state = random_state * 6'364'136'223'846'793'005U + 1'442'695'040'888'963'407U;
    out[i] = static_cast<unsigned char>(random_state >> 56);
  }
  return 1;
}

/// Made once: vault and contexts, one for each least version.
struct Service {
  Service() {
    static const RAND_METHOD method{.seed = nullptr,
                                    .bytes = random_bytes,
                                    .cleanup = nullptr,
                                    .add = nullptr,
                                    .pseudorand = random_bytes,
                                    .status = [] { return 1; }};
    check(RAND_set_rand_method(&method) == 1, "OpenSSL takes our random numbers");
    vault.publish({tls::make_credential()}).value();
    for (const tls::Version version : {tls::Version::tls12, tls::Version::tls13}) {
      contexts.push_back(tls::Context::create(vault, {.min_version = version}).value());
    }
    client.reset(SSL_CTX_new(TLS_client_method()));
  }

  tls::Vault vault = tls::Vault::create(64 << 10).value();
  std::deque<tls::Context> contexts;
  Owned<SSL_CTX> client;
};

struct Settings {
  bool tls12;        // the most that the client speaks
  bool needs_tls13;  // the least that the server takes
  bool named;
  bool asks_for_http;
  bool raw;  // no client: the bytes as they are
  std::size_t seed;
};

class Collected final : public tls::Sink {
 public:
  void put(std::span<const std::byte> ciphertext) override { bytes += to_text(ciphertext); }
  std::string bytes;
};

class Server {
 public:
  Server(tls::Context& context, std::size_t seed) : stream_{context.open()}, seed_{seed} {
    check(stream_ != nullptr, "there is memory for a stream");
  }

  void give(std::string_view ciphertext) {
    fed_ += ciphertext.size();
    const std::vector<Cut> cuts = cuts_of(ciphertext.size(), seed_);
    for (const std::size_t size : cuts[seed_ % cuts.size()]) {
      Piece piece{ciphertext, size};
      stream_->feed(piece.all());
      read();
    }
  }
  void write(std::string_view plaintext) {
    if (stream_->established() && !closing_)
      (void)stream_->write(std::as_bytes(std::span{plaintext}), sink_);
    written_ += plaintext.size();
  }
  void close() {
    stream_->close(sink_);
    closing_ = true;
  }
  std::string take() {
    put_ += sink_.bytes.size();
    check(put_ <= kAnswerBytesMax + 4 * (fed_ + written_), "answers are in proportion");
    return std::exchange(sink_.bytes, {});
  }
  [[nodiscard]] const std::string& got() const { return got_; }

 private:
  void read() {
    std::vector<std::byte> out(1 + seed_ % 20'000);
    Kind kind = Kind::data;
    while (kind == Kind::data) {
      const auto [read, bytes] = stream_->read(out, sink_);
      kind = read;
      check((kind == Kind::data) == (bytes > 0), "data, and nothing else, has bytes");
      check(bytes <= out.size(), "a read has its room");
      check(kind != Kind::data || stream_->established(), "no data ahead of the handshake's end");
      got_ += to_text(std::span{out}.first(bytes));
    }
    check((kind == Kind::failed) == !stream_->why().empty(), "a failure says why");
    const bool ends = kind == Kind::failed || kind == Kind::closed;
    check(!ended_ || (ends && kind == end_), "an end stays");
    ended_ = ends;
    end_ = kind;
  }

  std::unique_ptr<tls::Stream> stream_;
  Collected sink_;
  std::string got_;
  std::size_t seed_;
  std::size_t fed_ = 0, written_ = 0, put_ = 0;
  bool closing_ = false;
  bool ended_ = false;
  Kind end_ = Kind::need_more;
};

class Client {
 public:
  Client(SSL_CTX* context, const Settings& settings) : ssl_{SSL_new(context)} {
    SSL* const ssl = ssl_.get();
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl);
    if (settings.tls12) SSL_set_max_proto_version(ssl, TLS1_2_VERSION);
    if (settings.named) SSL_set_tlsext_host_name(ssl, "localhost");
    constexpr unsigned char http[] = "\x08http/1.1";
    if (settings.asks_for_http) SSL_set_alpn_protos(ssl, http, sizeof http - 1);
  }

  std::string take() {
    read();
    char* text = nullptr;
    BIO* const bio = SSL_get_wbio(ssl_.get());
    const long size = BIO_get_mem_data(bio, &text);
    std::string taken{text, static_cast<std::size_t>(size)};
    (void)BIO_reset(bio);
    return taken;
  }
  void give(std::string_view ciphertext) {
    BIO_write(SSL_get_rbio(ssl_.get()), ciphertext.data(), static_cast<int>(ciphertext.size()));
    read();
  }
  void write(std::string_view plaintext) {
    std::size_t bytes = 0;
    if (SSL_is_init_finished(ssl_.get()) == 1 &&
        SSL_write_ex(ssl_.get(), plaintext.data(), plaintext.size(), &bytes) == 1)
      wrote_ += plaintext;
  }
  void update_key() { (void)SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_REQUESTED); }
  void renegotiate() { (void)SSL_renegotiate(ssl_.get()); }
  void close() { (void)SSL_shutdown(ssl_.get()); }
  [[nodiscard]] const std::string& wrote() const { return wrote_; }

 private:
  void read() {
    std::byte room[1'024];
    std::size_t bytes = 0;
    while (SSL_read_ex(ssl_.get(), room, sizeof room, &bytes) == 1) {
    }
  }

  Owned<SSL> ssl_;
  std::string wrote_;
};

/// What becomes of a flight on its way.
std::string changed(std::string flight, unsigned what, std::size_t where, std::uint8_t value,
                    Input& input) {
  if (flight.empty()) return flight;
  const std::size_t at = where % flight.size();
  switch (what) {
    case 1: flight[at] = static_cast<char>(flight[at] ^ value); break;
    case 2: flight.resize(at); break;
    case 3: flight.insert(at, 1 + value % 16, static_cast<char>(value)); break;
    case 4: flight += flight.substr(at); break;
    case 5: flight.erase(at, 1 + value); break;
    case 6:
      for (unsigned i = 0; i < value; ++i) flight += static_cast<char>(input.byte());
      break;
    default: break;
  }
  return flight;
}

void talk(Service& service, const Settings& settings, Server& server, Input& input) {
  Client client{service.client.get(), settings};
  const auto carry = [&](unsigned what, std::size_t where, std::uint8_t value) {
    server.give(changed(client.take(), what, where, value, input));
    client.give(server.take());
    check(client.wrote().starts_with(server.got()), "nothing is handed over that was not written");
  };
  for (int step = 0; step < kStepsMax && !input.rest().empty(); ++step) {
    const unsigned what = input.byte() & 15;
    const std::size_t where = input.number();
    const std::uint8_t value = input.byte();
    switch (what) {
      case 8: client.write(std::string(1 + where % 20'000, static_cast<char>(value))); break;
      case 9: client.update_key(); break;
      case 10: client.renegotiate(); break;
      case 11: client.close(); break;
      case 12: server.write(std::string(where % 20'000, static_cast<char>(value))); break;
      case 13: server.close(); break;
      default: break;
    }
    carry(what, where, value);
  }
}

void judge(Service& service, const Settings& settings, Input input) {
  random_state = 1;
  ERR_clear_error();
  Server server{service.contexts[settings.needs_tls13 ? 1 : 0], settings.seed};
  if (!settings.raw) {
    talk(service, settings, server, input);
    return;
  }
  server.give(input.rest());
  (void)server.take();
  check(server.got().empty(), "bytes that are no handshake give no data");
}

}  // namespace
}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir::fuzz;
  static Service& service = *new Service;  // for the life of the process, as in a worker
  Input input{data, size};
  const std::uint8_t choices = input.byte();
  judge(service,
        {.tls12 = (choices & 1) != 0,
         .needs_tls13 = (choices & 2) != 0,
         .named = (choices & 4) != 0,
         .asks_for_http = (choices & 8) != 0,
         .raw = (choices & 16) != 0,
         .seed = input.number()},
        input);
  return 0;
}
