// After Context::create(), TLS needs no system call but for memory, randomness and the clock: in
// a fresh process, under a filter that ends it at any other, it does everything that it does.
#include <gtest/gtest.h>
#include <seccomp.h>
#include <sys/wait.h>
#include <unistd.h>

#include "certificates.h"
#include "peer.h"

namespace weir::tls {
namespace {

/// Made in a child, so that this process has not had OpenSSL read or load anything.
std::vector<Credential> made_elsewhere() {
  int ends[2];
  if (::pipe(ends) != 0) std::abort();
  const pid_t child = ::fork();
  if (child == 0) {
    std::string text;
    for (const KeyKind kind : {KeyKind::ec, KeyKind::rsa, KeyKind::ed25519}) {
      const Credential made = make_credential({.key = kind, .with_issuer = true});
      text += made.certificate + '\0' + made.key + '\0';
    }
    std::size_t sent = 0;
    while (sent < text.size()) {
      const ssize_t wrote = ::write(ends[1], text.data() + sent, text.size() - sent);
      if (wrote <= 0) ::_exit(1);
      sent += static_cast<std::size_t>(wrote);
    }
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string text;
  char piece[4'096];
  for (ssize_t got = 0; (got = ::read(ends[0], piece, sizeof piece)) > 0;)
    text.append(piece, static_cast<std::size_t>(got));
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  std::vector<Credential> credentials;
  for (std::size_t at = 0; at < text.size();) {
    Credential& each = credentials.emplace_back();
    each.certificate = text.c_str() + at;
    at += each.certificate.size() + 1;
    each.key = text.c_str() + at;
    at += each.key.size() + 1;
  }
  return credentials;
}

void enter_filter() {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
  for (const int call :
       {SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap),
        SCMP_SYS(brk), SCMP_SYS(mprotect), SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(getrandom),
        SCMP_SYS(clock_gettime), SCMP_SYS(rt_sigreturn), SCMP_SYS(exit_group),
        // The random generators ask whether this is a fork of where they were seeded.
        SCMP_SYS(getpid)})
    if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) != 0) std::abort();
  if (seccomp_load(filter) != 0) std::abort();
}

bool echo(Context& context, ClientOptions options, Session* session) {
  if (session != nullptr) options.session = session->get();
  Client client{options};
  Server server{context};
  exchange(client, server);
  if (!server.stream->established() || !server.write(std::string(40'000, 'x'))) return false;
  if (options.session != nullptr && !server.stream->resumed()) return false;
  client.write("hello");
  exchange(client, server);
  server.stream->close(server.sink);
  exchange(client, server);
  if (session != nullptr) *session = client.take_session();
  return server.got == "hello" && client.got.size() == 40'000 && client.closed();
}

/// The number of the first thing that went wrong.
int everything(Context& context, Vault& vault, const std::vector<Credential>& credentials) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const char* const signatures : {"ECDSA+SHA256", "RSA-PSS+SHA256", "ed25519"}) {
      if (!echo(context, {.min_version = version, .max_version = version, .signatures = signatures},
                nullptr))
        return 1;
    }
    ClientOptions options{.min_version = version,
                          .max_version = version,
                          .name = "localhost",
                          .protocols = "\x08http/1.1"};
    Session session;
    if (!echo(context, options, &session) || !session) return 2;
    vault.rotate_tickets();
    if (!echo(context, options, &session)) return 3;
    if (!vault.publish(credentials) || !echo(context, options, nullptr)) return 4;
    options.ciphers = "ECDHE+CHACHA20";
    if (!echo(context, options, nullptr)) return 5;
  }
  Server plain{context};
  if (plain.give("GET / HTTP/1.1\r\n\r\n") != Stream::Kind::failed) return 6;
  if (plain.stream->why() != "http request") return 7;
  return 0;
}

TEST(SandboxDeathTest, ServesUnderAFilterFromTheFirstHandshakeOn) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizers' run-time makes calls of its own";
#endif
  // A process of its own, begun anew: here nothing is warm.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        const std::vector<Credential> credentials = made_elsewhere();
        Service service{credentials};
        enter_filter();
        ::_exit(everything(service.context, service.vault, credentials));
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace weir::tls
