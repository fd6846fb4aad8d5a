// What read_credentials() takes, and what it says of each thing that it does not.
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "certificates.h"
#include "weir/tls/vault.h"

namespace weir::tls {
namespace {

class CredentialFilesTest : public testing::Test {
 protected:
  CredentialFilesTest() {
    std::string name = (std::filesystem::temp_directory_path() / "weir-tls-XXXXXX").string();
    directory = ::mkdtemp(name.data());
  }
  ~CredentialFilesTest() override { std::filesystem::remove_all(directory); }

  std::string file(const std::string& name, const std::string& text) const {
    std::ofstream{directory / name, std::ios::binary} << text;
    return (directory / name).string();
  }
  Result<std::vector<Credential>> read(const std::string& certificate, const std::string& key) {
    auto result = read_credentials(
        {{.certificate = file("c.pem", certificate), .key = file("k.pem", key)}}, warnings);
    EXPECT_EQ(ERR_peek_error(), 0UL) << "OpenSSL's queue is left empty";
    return result;
  }

  std::filesystem::path directory;
  std::vector<std::string> warnings;
};

TEST_F(CredentialFilesTest, TakesEachKindOfKeyAsItIs) {
  for (const KeyKind kind : {KeyKind::ec, KeyKind::rsa, KeyKind::ed25519}) {
    const Credential made = make_credential({.key = kind, .with_issuer = true});
    const auto got = read(made.certificate, made.key);
    ASSERT_TRUE(got) << to_string(got.error());
    ASSERT_EQ(got->size(), 1U);
    EXPECT_EQ(got->front().certificate, made.certificate);
    EXPECT_EQ(got->front().key, made.key);
  }
  EXPECT_TRUE(warnings.empty());
}

TEST_F(CredentialFilesTest, TakesOneFileForBothAndKeepsTheCertificatesApart) {
  const Credential made = make_credential();
  const std::string both = file("both.pem", "for people\n" + made.key + made.certificate);
  const auto got = read_credentials({{.certificate = both, .key = both}}, warnings);
  ASSERT_TRUE(got) << to_string(got.error());
  EXPECT_EQ(got->front().certificate, made.certificate);
}

TEST_F(CredentialFilesTest, KeepsTheOrderOfPairs) {
  const Credential one = make_credential({.names = {"one"}});
  const Credential two = make_credential({.names = {"two"}});
  const auto got = read_credentials({{file("1c", one.certificate), file("1k", one.key)},
                                     {file("2c", two.certificate), file("2k", two.key)}},
                                    warnings);
  ASSERT_TRUE(got);
  ASSERT_EQ(got->size(), 2U);
  EXPECT_EQ((*got)[0].key, one.key);
  EXPECT_EQ((*got)[1].certificate, two.certificate);
}

TEST_F(CredentialFilesTest, SaysOfEachFileWhatIsWrongWithIt) {
  const Credential good = make_credential();
  const Credential other = make_credential();
  const Credential chained = make_credential({.with_issuer = true});
  const Credential weak = make_credential({.key = KeyKind::rsa_1024});
  const Credential no_signer = make_credential({.key = KeyKind::x25519});
  const std::size_t begin_of_issuer = chained.certificate.rfind("-----BEGIN");
  const std::string turned =
      chained.certificate.substr(begin_of_issuer) + chained.certificate.substr(0, begin_of_issuer);
  const auto damaged = [](std::string pem) {
    pem[pem.rfind("-----END") - 20] = '!';
    return pem;
  };
  const struct {
    std::string_view what;
    std::string certificate;
    std::string key;
    std::string_view file;
    std::string_view words;
  } cases[] = {
      {"an empty certificate file", "", good.key, "certificate file", "no certificate in it"},
      {"a text", "hello\n", good.key, "certificate file", "no certificate in it"},
      {"a key where the certificate should be", good.key, good.key, "certificate file",
       "no certificate in it"},
      {"base64 that is none", damaged(good.certificate), good.key, "certificate file",
       "certificate no. 1 is damaged"},
      {"a damaged chain", good.certificate + damaged(good.certificate), good.key,
       "certificate file", "certificate no. 2 is damaged"},
      {"a certificate cut short", good.certificate.substr(0, good.certificate.size() / 2), good.key,
       "certificate file", "certificate no. 1 is damaged"},
      {"PEM around nothing", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
       good.key, "certificate file", "certificate no. 1 is damaged"},
      {"a file that is far too long", std::string(300 << 10, 'x'), good.key, "certificate file",
       "longer than 256 KiB"},
      {"an empty key file", good.certificate, "", "key file", "no private key in it"},
      {"a certificate where the key should be", good.certificate, good.certificate, "key file",
       "no private key in it"},
      {"a damaged key", good.certificate, damaged(good.key), "key file", "the key is damaged"},
      {"a pass phrase", good.certificate, encrypted(good.key), "key file",
       "protected by a pass phrase"},
      {"another's key", good.certificate, other.key, "key file", "of another certificate"},
      {"another's key of another kind", good.certificate, weak.key, "key file",
       "of another certificate"},
      {"a chain with its leaf last", turned, chained.key, "key file",
       "not of the first certificate but of a later"},
      {"RSA of 1,024 bits", weak.certificate, weak.key, "certificate file", "ee key too small"},
      {"a key that cannot sign", no_signer.certificate, no_signer.key, "certificate file",
       "not usable for TLS"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    const auto got = read(c.certificate, c.key);
    ASSERT_FALSE(got);
    const Error error = got.error();
    EXPECT_TRUE(error.what.starts_with(c.file)) << error.what;
    const std::string name = c.file == "key file" ? "k.pem: " : "c.pem: ";
    EXPECT_NE(error.what.find((directory / name).string()), std::string::npos) << error.what;
    EXPECT_NE(error.what.find(c.words), std::string::npos) << error.what;
    EXPECT_FALSE(error.remedy.empty());
    EXPECT_EQ(to_string(error).find('\n'), std::string::npos) << "one line";
  }
}

TEST_F(CredentialFilesTest, SaysOfAFileThatCannotBeReadWhy) {
  const Credential good = make_credential();
  const std::string certificate = file("c.pem", good.certificate);
  const auto what = [&](const std::string& c, const std::string& k) {
    return read_credentials({{.certificate = c, .key = k}}, warnings).error().what;
  };
  EXPECT_EQ(what("/nowhere/c.pem", certificate),
            "certificate file /nowhere/c.pem: No such file or directory");
  EXPECT_EQ(what(certificate, "/nowhere/k.pem"),
            "key file /nowhere/k.pem: No such file or directory");
  EXPECT_EQ(what(directory.string(), certificate),
            "certificate file " + directory.string() + ": Is a directory");
  if (::geteuid() == 0) return;  // root reads everything
  const std::string key = file("k.pem", good.key);
  std::filesystem::permissions(key, std::filesystem::perms::none);
  EXPECT_EQ(what(certificate, key), "key file " + key + ": Permission denied");
}

TEST_F(CredentialFilesTest, WarnsOfDatesAndTakesThePairAllTheSame) {
  const Credential expired = make_credential({.from_days = -10, .to_days = -1});
  ASSERT_TRUE(read(expired.certificate, expired.key));
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].find("c.pem: the certificate expired on 20"), std::string::npos);
  EXPECT_NE(warnings[0].find(" UTC; clients will refuse it"), std::string::npos);

  warnings.clear();
  const Credential early = make_credential({.from_days = 2, .to_days = 10});
  ASSERT_TRUE(read(early.certificate, early.key));
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].find("c.pem: the certificate is valid only from 20"), std::string::npos);

  warnings.clear();
  const Credential good = make_credential();
  ASSERT_TRUE(read(good.certificate + expired.certificate, good.key));
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].find("a certificate of the chain expired on 20"), std::string::npos);
}

}  // namespace
}  // namespace weir::tls
