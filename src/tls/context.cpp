#include "weir/tls/context.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <time.h>

#include <algorithm>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "identity.h"
#include "server_context.h"
#include "tickets.h"
#include "weir/base/log.h"

namespace weir::tls {
namespace {

// A write takes microseconds. One that lasts longer has lost its writer.
constexpr int kTriesMax = 10'000;

}  // namespace

/// Credentials that serve together: the same names, each with another kind of key.
struct CredentialGroup {
  Owned<SSL_CTX> context;
  Owned<X509> leaf;  // of the first; its names are those of all
  std::vector<std::string> names;
  std::vector<int> key_kinds;

  [[nodiscard]] bool is_for(std::string_view name) const noexcept {
    return X509_check_host(leaf.get(), name.data(), name.size(),
                           X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, nullptr) == 1;
  }
  [[nodiscard]] bool has_room_for(const std::vector<std::string>& of, int kind) const {
    return names == of && std::ranges::find(key_kinds, kind) == key_kinds.end();
  }
};

struct Context::State {
  State(const Vault& of, const ContextOptions& with) : vault{of}, options{with} {}

  const Vault& vault;
  const ContextOptions options;
  Tickets tickets;                      // outlives the groups, which borrow it
  std::vector<CredentialGroup> groups;  // in the order of their first credentials
  std::uint64_t version = 0;            // of the vault, when it was last looked into
  std::uint64_t credentials_version = 0;

  [[nodiscard]] Result<std::vector<CredentialGroup>> build(
      const std::vector<Credential>& credentials);
  [[nodiscard]] Result<CredentialGroup*> group_for(std::vector<CredentialGroup>& built,
                                                   const Identity& identity);
  [[nodiscard]] const CredentialGroup& choose(std::string_view name) const noexcept;
  static int on_name(SSL* ssl, int* alert, void* state) noexcept;
  /// False: the vault is being written.
  [[nodiscard]] Result<bool> take_newest();
};

Result<CredentialGroup*> Context::State::group_for(std::vector<CredentialGroup>& built,
                                                   const Identity& identity) {
  std::vector<std::string> names = identity.names();
  const int kind = EVP_PKEY_get_base_id(identity.key.get());
  const auto found = std::ranges::find_if(
      built, [&](const CredentialGroup& group) { return group.has_room_for(names, kind); });
  if (found != built.end()) {
    found->key_kinds.push_back(kind);
    return &*found;
  }
  Result<Owned<SSL_CTX>> context = make_server_context(options.min_version);
  if (!context) return context.error();
  if (!tickets.serve(context->get()) ||
      SSL_CTX_set_tlsext_servername_callback(context->get(), on_name) != 1 ||
      SSL_CTX_set_tlsext_servername_arg(context->get(), this) != 1)
    return Error{fmt::format("OpenSSL: {}", take_reason()), ""};
  X509_up_ref(identity.leaf.get());
  built.push_back(CredentialGroup{.context = std::move(*context),
                                  .leaf = Owned<X509>{identity.leaf.get()},
                                  .names = std::move(names),
                                  .key_kinds = {kind}});
  return &built.back();
}

Result<std::vector<CredentialGroup>> Context::State::build(
    const std::vector<Credential>& credentials) {
  std::vector<CredentialGroup> built;
  for (const Credential& credential : credentials) {
    Identity identity;
    if (const auto sound = parse_certificates(credential.certificate, "a certificate", identity);
        !sound)
      return sound.error();
    if (const auto sound = parse_key(credential.key, "a key", identity); !sound)
      return sound.error();
    const Result<CredentialGroup*> group = group_for(built, identity);
    if (!group) return group.error();
    if (!use_identity((*group)->context.get(), identity))
      return Error{fmt::format("a certificate is not usable for TLS: {}", take_reason()), ""};
  }
  if (built.empty())
    return Error{"no certificate to serve TLS with", "give at least one certificate and its key"};
  return built;
}

const CredentialGroup& Context::State::choose(std::string_view name) const noexcept {
  const auto found = std::ranges::find_if(
      groups, [&](const CredentialGroup& group) { return !name.empty() && group.is_for(name); });
  return found != groups.end() ? *found : groups.front();
}

/// Called for each ClientHello, with a name or without. By the newest credentials, which may have
/// come after open(): OpenSSL keeps what a connection uses, and the rest may go.
int Context::State::on_name(SSL* ssl, int* /*alert*/, void* state) noexcept {
  const auto& self = *static_cast<const State*>(state);
  const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  const CredentialGroup& group = self.choose(name != nullptr ? name : "");
  if (SSL_set_SSL_CTX(ssl, group.context.get()) == nullptr) return SSL_TLSEXT_ERR_ALERT_FATAL;
  return name != nullptr && group.is_for(name) ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

Result<bool> Context::State::take_newest() {
  // What is read below is of this version or later. If later, the next look finds the version
  // changed and reads once more than it had to.
  const std::uint64_t now = vault.version();
  const std::optional<TicketKeys> keys = vault.ticket_keys();
  if (!keys) return false;
  tickets.set_keys(*keys);
  if (const std::uint64_t published = vault.credentials_version();
      published != credentials_version || groups.empty()) {
    const std::optional<std::vector<Credential>> credentials = vault.credentials();
    if (!credentials) return false;
    version = now;  // those that cannot be used are not tried again with every connection
    Result<std::vector<CredentialGroup>> built = build(*credentials);
    if (!built) return built.error();
    groups = std::move(*built);
    credentials_version = published;
  }
  version = now;
  return true;
}

Context::Context(std::unique_ptr<State> state) noexcept : state_{std::move(state)} {}
Context::Context(Context&&) noexcept = default;
Context::~Context() = default;

Result<Context> Context::create(const Vault& vault, const ContextOptions& options) {
  // Reads openssl.cnf, loads providers and the texts of errors, and seeds both of this thread's
  // random generators. Making a context then looks up every algorithm that it may use.
  // tzset(3) is for OpenSSL's comparing of dates: its gmtime_r() reads the time zone's file, once.
  ::tzset();
  unsigned char drawn = 0;
  if (OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, nullptr) !=
          1 ||
      RAND_bytes(&drawn, 1) != 1 || RAND_priv_bytes(&drawn, 1) != 1)
    return Error{fmt::format("OpenSSL: {}", take_reason()), "check openssl.cnf and its providers"};
  auto state = std::make_unique<State>(vault, options);
  if (const auto ready = state->tickets.init(); !ready) return ready.error();
  for (int i = 0; i < kTriesMax; ++i) {
    const Result<bool> taken = state->take_newest();
    if (!taken) return taken.error();
    if (*taken) return Context{std::move(state)};
    std::this_thread::yield();
  }
  return Error{"the certificates are being written and never done", "restart weir"};
}

std::unique_ptr<Stream> Context::open() {
  if (state_->vault.version() != state_->version) {
    if (const Result<bool> taken = state_->take_newest(); !taken)
      spdlog::error("going on with the certificates of before: {}", to_string(taken.error()));
  }
  return Stream::create(state_->groups.front().context.get());
}

}  // namespace weir::tls
