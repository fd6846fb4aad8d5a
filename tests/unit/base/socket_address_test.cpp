#include "weir/base/socket_address.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(SocketAddress, ReadsAndWritesNumericAddresses) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"127.0.0.1:9000", "127.0.0.1:9000"},
      {"0.0.0.0:0", "0.0.0.0:0"},
      {"*:80", "0.0.0.0:80"},
      {"[::1]:65535", "[::1]:65535"},
      {"[0:0:0:0:0:0:0:0]:1", "[::]:1"},
  };
  for (const auto& [text, written] : cases) {
    const auto address = SocketAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), written);
  }
}

TEST(SocketAddress, RefusesWhatIsNotAnAddressAndAPort) {
  for (const std::string_view text :
       {"", ":", "9000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
        "127.0.0.1:80x", "localhost:80", "::1:80", "[::1]", "[::1:80", "[127.0.0.1]:80",
        "256.0.0.1:80", "1.2.3:80"})
    EXPECT_FALSE(SocketAddress::parse(text)) << text;
}

TEST(SocketAddress, SizeAndFamilyAreTheKernels) {
  EXPECT_EQ(SocketAddress::parse("127.0.0.1:1")->size(), 16U);
  EXPECT_EQ(SocketAddress::parse("[::1]:1")->size(), 28U);
  EXPECT_TRUE(SocketAddress::parse("[::1]:1")->is_ipv6());
}

}  // namespace
}  // namespace weir
