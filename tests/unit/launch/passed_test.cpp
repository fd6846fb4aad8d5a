#include "launch/passed.h"

#include <gtest/gtest.h>

namespace weir::launch {
namespace {

process::PassedSocket passed(int fd, const char* name, const char* address) {
  return {.fd = fd, .name = name, .address = *SocketAddress::parse(address)};
}

TEST(Passed, TheNameSaysWhatConnectionsBeginWith) {
  const auto listens =
      listens_of({passed(3, "plain", "127.0.0.1:80"), passed(4, "tls", "127.0.0.1:443"),
                  passed(5, "proxy", "[::1]:80"), passed(6, "tls-proxy", "[::1]:443"),
                  passed(7, "unknown", "127.0.0.1:81"), passed(8, "weir.socket", "127.0.0.1:82")});
  ASSERT_TRUE(listens);
  std::vector<std::string> names;
  for (const cli::Listen& listen : *listens) names.push_back(listen.to_string());
  EXPECT_EQ(names,
            (std::vector<std::string>{"127.0.0.1:80", "tls:127.0.0.1:443", "proxy:[::1]:80",
                                      "proxy:tls:[::1]:443", "127.0.0.1:81", "127.0.0.1:82"}));
  EXPECT_EQ((*listens)[3].sockets, std::vector<int>{6});
}

TEST(Passed, SocketsOfOneAddressAreOneListenAddress) {
  const auto listens =
      listens_of({passed(3, "tls", "127.0.0.1:443"), passed(4, "plain", "127.0.0.1:80"),
                  passed(5, "tls", "127.0.0.1:443")});
  ASSERT_TRUE(listens);
  ASSERT_EQ(listens->size(), 2U);
  EXPECT_EQ((*listens)[0].sockets, (std::vector<int>{3, 5}));
  EXPECT_EQ((*listens)[1].sockets, std::vector<int>{4});
}

TEST(Passed, WhatMakesNoSenseIsRefused) {
  const auto strange = listens_of({passed(3, "https", "127.0.0.1:443")});
  ASSERT_FALSE(strange);
  EXPECT_EQ(to_string(strange.error()),
            "a socket passed to weir is named 'https'; set FileDescriptorName= of its unit to "
            "plain, tls, proxy or tls-proxy");
  const auto torn =
      listens_of({passed(3, "tls", "127.0.0.1:443"), passed(4, "plain", "127.0.0.1:443")});
  ASSERT_FALSE(torn);
  EXPECT_EQ(torn.error().what, "the sockets passed for 127.0.0.1:443 have different names");
}

}  // namespace
}  // namespace weir::launch
