// Tickets: a session resumes on any worker of the vault, over one rotation and two, not over three.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "certificates.h"
#include "peer.h"

namespace weir::tls {
namespace {

ClientOptions resuming(int version, SSL_SESSION* session = nullptr) {
  return {.min_version = version, .max_version = version, .session = session};
}

class ResumptionTest : public testing::TestWithParam<int> {
 protected:
  /// Connects once; the session that the server left the client with, if it did.
  Session connect(Context& context, SSL_SESSION* session, bool resumes) {
    // A copy, as OpenSSL's clients use a session once.
    const Session copy{session != nullptr ? SSL_SESSION_dup(session) : nullptr};
    Client client{resuming(GetParam(), copy.get())};
    Server server{context};
    exchange(client, server);
    EXPECT_TRUE(server.stream->established()) << server.stream->why();
    EXPECT_EQ(server.stream->resumed(), resumes);
    EXPECT_EQ(client.resumed(), resumes);
    return client.take_session();
  }

  Service service{{make_credential()}};
};

INSTANTIATE_TEST_SUITE_P(Versions, ResumptionTest, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& each) {
                           return each.param == TLS1_2_VERSION ? "Tls12" : "Tls13";
                         });

std::string ticket(const Session& session) {
  const unsigned char* bytes = nullptr;
  std::size_t size = 0;
  SSL_SESSION_get0_ticket(session.get(), &bytes, &size);
  return {reinterpret_cast<const char*>(bytes), size};
}

/// The name of the key that sealed the ticket, in front of it.
std::string key_name(const Session& session) {
  return ticket(session).substr(0, 16);
}

std::string first_key_name(const Vault& vault) {
  const TicketKeys keys = vault.ticket_keys().value();
  return {keys[0].name.begin(), keys[0].name.end()};
}

TEST_P(ResumptionTest, ATicketOfOneWorkerResumesOnAnother) {
  Context other = Context::create(service.vault, {}).value();
  const Session session = connect(service.context, nullptr, false);
  ASSERT_TRUE(session);
  EXPECT_EQ(key_name(session), first_key_name(service.vault));
  connect(other, session.get(), true);
}

TEST_P(ResumptionTest, ATicketResumesInAnotherProcess) {
  const Session session = connect(service.context, nullptr, false);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    service.vault.seal();
    auto context = Context::create(service.vault, {});
    if (!context) ::_exit(2);
    connect(*context, session.get(), true);
    ::_exit(HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_P(ResumptionTest, RotationEndsATicketAtTheThirdTime) {
  Context other = Context::create(service.vault, {}).value();
  const Session session = connect(service.context, nullptr, false);
  for (int rotations = 1; rotations <= 2; ++rotations) {
    SCOPED_TRACE(rotations);
    service.vault.rotate_tickets();
    const Session renewed = connect(other, session.get(), true);
    ASSERT_TRUE(renewed) << "one sealed by the new key";
    EXPECT_EQ(key_name(renewed), first_key_name(service.vault));
  }
  service.vault.rotate_tickets();
  const Session fresh = connect(other, session.get(), false);
  ASSERT_TRUE(fresh);
  connect(service.context, fresh.get(), true);
}

TEST_P(ResumptionTest, ATicketOfAnotherVaultIsPassedOver) {
  Service stranger{{make_credential()}};
  const Session session = connect(stranger.context, nullptr, false);
  connect(service.context, session.get(), false);
}

TEST_P(ResumptionTest, ATicketOutlivesTheCertificateItBeganWith) {
  const Session session = connect(service.context, nullptr, false);
  ASSERT_TRUE(service.vault.publish({make_credential()}));
  connect(service.context, session.get(), true);
}

TEST(Resumption, OneTicketASessionAndAFreshOneForEachResumption) {
  Service service{{make_credential()}};
  Session session;
  for (int i = 0; i < 3; ++i) {
    Client client{resuming(TLS1_3_VERSION, session.get())};
    Server server{service.context};
    exchange(client, server);
    EXPECT_EQ(server.stream->resumed(), i > 0);
    session = client.take_session();
    ASSERT_TRUE(session);
    EXPECT_EQ(SSL_SESSION_get_max_early_data(session.get()), 0U) << "none may come early";
  }
}

TEST(Resumption, AnUnchangedKeyLeavesTheClientItsTicketInOneTwo) {
  Service service{{make_credential()}};
  Client first{resuming(TLS1_2_VERSION)};
  Server to_first{service.context};
  exchange(first, to_first);
  const Session session = first.take_session();
  Client second{resuming(TLS1_2_VERSION, session.get())};
  Server to_second{service.context};
  exchange(second, to_second);
  EXPECT_TRUE(second.resumed());
  EXPECT_EQ(ticket(second.take_session()), ticket(session));
}

}  // namespace
}  // namespace weir::tls
