// Networks as people write them, and which addresses lie in them.
#include "weir/base/cidr.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace weir {
namespace {

struct ReadCase {
  std::string_view text;
  std::string_view canonical;
};

constexpr ReadCase kRead[] = {
    {"10.0.0.0/8", "10.0.0.0/8"},
    {"0.0.0.0/0", "0.0.0.0/0"},
    {"192.168.1.128/25", "192.168.1.128/25"},
    {"192.168.1.7", "192.168.1.7/32"},
    {"192.168.1.7/32", "192.168.1.7/32"},
    {"2001:db8::/32", "2001:db8::/32"},
    {"2001:DB8:0:0::/33", "2001:db8::/33"},
    {"::/0", "::/0"},
    {"::1", "::1/128"},
    {"fe80::1/128", "fe80::1/128"},
    {"::ffff:10.0.0.0/104", "10.0.0.0/8"},
    {"::ffff:10.0.0.1", "10.0.0.1/32"},
    {"::ffff:0:0/96", "0.0.0.0/0"},
    {"::/95", "::/95"},
};

TEST(Cidr, ReadsNetworksAndBareAddresses) {
  for (const ReadCase& c : kRead) {
    const auto network = Cidr::parse(c.text);
    ASSERT_TRUE(network) << c.text;
    EXPECT_EQ(network->to_string(), c.canonical);
    const auto again = Cidr::parse(network->to_string());
    ASSERT_TRUE(again) << c.canonical;
    EXPECT_EQ(again->to_string(), c.canonical);
  }
}

struct RefusedCase {
  std::string_view what;
  std::string_view text;
};

constexpr RefusedCase kRefused[] = {
    {"nothing", ""},
    {"a length alone", "/8"},
    {"no length behind the slash", "10.0.0.0/"},
    {"a length past IPv4's", "10.0.0.0/33"},
    {"a length past IPv6's", "2001:db8::/129"},
    {"a length that does not fit a number", "10.0.0.0/99999999999"},
    {"a negative length", "10.0.0.0/-8"},
    {"a length with a sign", "10.0.0.0/+8"},
    {"a length with a leading zero", "10.0.0.0/08"},
    {"a length with something behind it", "10.0.0.0/8x"},
    {"a blank before the length", "10.0.0.0/ 8"},
    {"two lengths", "10.0.0.0/8/8"},
    {"a mask in place of the length", "10.0.0.0/255.0.0.0"},
    {"a host bit in the next byte", "10.1.0.0/8"},
    {"a host bit just behind the length", "10.128.0.0/8"},
    {"a host bit in the last place", "10.0.0.1/31"},
    {"an IPv6 host bit", "2001:db8:8000::/32"},
    {"an IPv6 host bit in the last place", "2001:db8::1/127"},
    {"three octets", "10.0.0/24"},
    {"an octet past 255", "10.0.0.256/32"},
    {"an octal octet", "010.0.0.0/8"},
    {"a port", "10.0.0.1:80"},
    {"brackets", "[::1]/128"},
    {"a zone", "fe80::1%eth0/128"},
    {"a name", "localhost"},
    {"a blank in front", " 10.0.0.0/8"},
    {"a zero byte", {"10.0.0.0\0/8", 11}},
};

TEST(Cidr, RefusesEachCase) {
  for (const RefusedCase& c : kRefused) EXPECT_FALSE(Cidr::parse(c.text)) << c.what;
}

struct ContainsCase {
  std::string_view network;
  std::string_view address;
  bool inside;
};

constexpr ContainsCase kContains[] = {
    {"10.0.0.0/8", "10.0.0.0:1", true},
    {"10.0.0.0/8", "10.255.255.255:65535", true},
    {"10.0.0.0/8", "9.255.255.255:1", false},
    {"10.0.0.0/8", "11.0.0.0:1", false},
    {"10.64.0.0/10", "10.127.255.255:1", true},
    {"10.64.0.0/10", "10.128.0.0:1", false},
    {"192.168.1.7", "192.168.1.7:80", true},
    {"192.168.1.7", "192.168.1.6:80", false},
    {"0.0.0.0/0", "203.0.113.9:1", true},
    {"0.0.0.0/0", "[::1]:1", false},
    {"2001:db8::/32", "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:1", true},
    {"2001:db8::/32", "[2001:db9::]:1", false},
    {"2001:db8::/33", "[2001:db8:7fff::]:1", true},
    {"2001:db8::/33", "[2001:db8:8000::]:1", false},
    {"::1", "[::1]:1", true},
    {"::1", "[::2]:1", false},
    {"::/0", "[2001:db8::1]:1", true},
    {"10.0.0.0/8", "[::ffff:10.1.2.3]:1", true},
    {"10.0.0.0/8", "[::ffff:11.1.2.3]:1", false},
    {"10.0.0.0/8", "[::10.1.2.3]:1", false},
    {"10.0.0.0/8", "[a00::]:1", false},
    {"::ffff:10.0.0.0/104", "10.1.2.3:1", true},
    {"::/0", "10.1.2.3:1", false},
    {"::/0", "[::ffff:10.1.2.3]:1", false},
};

TEST(Cidr, TellsWhichAddressesLieInIt) {
  for (const ContainsCase& c : kContains) {
    const auto network = Cidr::parse(c.network);
    const auto address = SocketAddress::parse(c.address);
    ASSERT_TRUE(network && address) << c.network << ' ' << c.address;
    EXPECT_EQ(network->contains(*address), c.inside) << c.network << ' ' << c.address;
  }
}

TEST(Cidr, HoldsNoAddressOfAnotherFamily) {
  EXPECT_FALSE(Cidr::parse("0.0.0.0/0")->contains(SocketAddress{}));
  EXPECT_FALSE(Cidr::parse("::/0")->contains(SocketAddress{}));
}

}  // namespace
}  // namespace weir
