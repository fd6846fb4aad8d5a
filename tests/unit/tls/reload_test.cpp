// New credentials in the vault: new connections have them, old ones do not notice, and what cannot
// be used changes nothing.
#include <gtest/gtest.h>

#include "certificates.h"
#include "peer.h"

namespace weir::tls {
namespace {

std::string served_name(Context& context, const std::string& name = {}) {
  Client client{{.name = name}};
  Server server{context};
  exchange(client, server);
  EXPECT_TRUE(server.stream->established()) << server.stream->why();
  return client.certificate_name();
}

TEST(Reload, NewStreamsHaveTheNewCertificateAndOldOnesGoOn) {
  Service service{{make_credential({.names = {"old"}})}};
  Client client;
  Server server{service.context};
  exchange(client, server);
  ASSERT_TRUE(service.vault.publish({make_credential({.names = {"new"}})}));
  EXPECT_EQ(served_name(service.context), "new");
  ASSERT_TRUE(server.write("still here"));
  client.write("me too");
  exchange(client, server);
  EXPECT_EQ(client.got, "still here");
  EXPECT_EQ(server.got, "me too");
  EXPECT_EQ(client.certificate_name(), "old");
}

TEST(Reload, AStreamThatWasOpenBeforeItsHelloCame) {
  Service service{{make_credential({.names = {"old"}})}};
  Client client;
  Server server{service.context};
  ASSERT_TRUE(service.vault.publish({make_credential({.names = {"new"}})}));
  EXPECT_EQ(served_name(service.context), "new");
  exchange(client, server);
  EXPECT_TRUE(server.stream->established());
  EXPECT_EQ(client.certificate_name(), "new") << "chosen when the hello comes";
}

TEST(Reload, AHandshakeThatHadBegunEndsWithTheCertificateItBeganWith) {
  Service service{{make_credential({.names = {"old"}})}};
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    ASSERT_TRUE(service.vault.publish({make_credential({.names = {"old"}})}));
    Client client{{.max_version = version}};
    Server server{service.context};
    server.give(client.take());
    ASSERT_TRUE(service.vault.publish({make_credential({.names = {"new"}})}));
    EXPECT_EQ(served_name(service.context), "new");
    client.give(server.sink.take());
    exchange(client, server);
    EXPECT_TRUE(server.stream->established());
    EXPECT_EQ(client.certificate_name(), "old");
  }
}

TEST(Reload, NamesComeAndGo) {
  const Credential one = make_credential({.names = {"one"}});
  const Credential two = make_credential({.names = {"two"}});
  Service service{{one}};
  EXPECT_EQ(served_name(service.context, "two"), "one");
  ASSERT_TRUE(service.vault.publish({one, two}));
  EXPECT_EQ(served_name(service.context, "two"), "two");
  ASSERT_TRUE(service.vault.publish({one}));
  EXPECT_EQ(served_name(service.context, "two"), "one");
}

TEST(Reload, WhatCannotBeUsedLeavesWhatThereWas) {
  Service service{{make_credential({.names = {"good"}})}};
  Credential bad = make_credential({.names = {"bad"}});
  bad.key = "no key at all";
  ASSERT_TRUE(service.vault.publish({make_credential({.names = {"bad"}}), bad}));
  testing::internal::CaptureStdout();
  EXPECT_EQ(served_name(service.context), "good");
  EXPECT_EQ(served_name(service.context), "good");
  const std::string log = testing::internal::GetCapturedStdout();
  EXPECT_NE(log.find("going on with the certificates of before"), std::string::npos);
  EXPECT_EQ(log.find("going on"), log.rfind("going on")) << "said once, not for each connection";
  ASSERT_TRUE(service.vault.publish({make_credential({.names = {"better"}})}));
  EXPECT_EQ(served_name(service.context), "better");
}

TEST(Context, CannotBeMadeOfNothing) {
  Vault vault = Vault::create(10'000).value();
  const auto nothing = Context::create(vault, {});
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().what, "no certificate to serve TLS with");
  Credential bad = make_credential();
  bad.certificate = "text";
  ASSERT_TRUE(vault.publish({bad}));
  EXPECT_FALSE(Context::create(vault, {}));
}

}  // namespace
}  // namespace weir::tls
