// What a request gets that is no upgrade, or comes at the wrong time: health checks, draining, the
// deadline. Byte for byte.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

#include "upgrading.h"

namespace weir::wire {
namespace {

constexpr std::string_view kOk =
    "HTTP/1.1 200 OK\r\n"
    "Connection: close\r\n"
    "Content-Type: text/plain\r\n"
    "Content-Length: 3\r\n\r\n"
    "ok\n";

constexpr std::string_view kDraining =
    "HTTP/1.1 503 Service Unavailable\r\n"
    "Connection: close\r\n"
    "Content-Type: text/plain\r\n"
    "Content-Length: 9\r\n\r\n"
    "draining\n";

constexpr std::string_view kRetryLater =
    "HTTP/1.1 503 Service Unavailable\r\n"
    "Connection: close\r\n"
    "Content-Type: text/plain\r\n"
    "Content-Length: 30\r\n"
    "Retry-After: 5\r\n\r\n"
    "draining: connect again later\n";

constexpr std::string_view kTimedOut =
    "HTTP/1.1 408 Request Timeout\r\n"
    "Connection: close\r\n"
    "Content-Type: text/plain\r\n"
    "Content-Length: 33\r\n\r\n"
    "the request did not come in time\n";

std::string_view without_body(std::string_view response) {
  return response.substr(0, response.find("\r\n\r\n") + 4);
}

struct HealthCase {
  std::string_view what;
  std::string_view request;
};

constexpr HealthCase kHealthChecks[] = {
    {"a check as load balancers make it", "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"a query, which does not count", "GET /healthz?full=1 HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"an absolute target", "GET http://a/healthz HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"HTTP/1.0", "GET /healthz HTTP/1.0\r\n\r\n"},
    {"HTTP/1.0 with a Host", "GET /healthz HTTP/1.0\r\nHost: a\r\n\r\n"},
    {"an upgrade to something else",
     "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"},
    {"a body of no bytes", "GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"},
};

UpgradeRules with_health(bool draining = false) {
  return {.paths = {"/chat", "/healthz"}, .health_path = "/healthz", .draining = draining};
}

TEST(UpgradeAnswer, IsOkToAHealthCheckAndDrainingWhileDraining) {
  const UpgradeRules serving = with_health();
  const UpgradeRules draining = with_health(true);
  for (const HealthCase& c : kHealthChecks) {
    SCOPED_TRACE(c.what);
    for_each_cut(c.request.size(), [&](const Cut& cut) {
      const Outcome outcome = feed(serving, c.request, cut);
      ASSERT_EQ(outcome.progress, Progress::answered);
      ASSERT_EQ(outcome.status, 200U);
      ASSERT_EQ(outcome.response, kOk);
      ASSERT_EQ(feed(draining, c.request, cut).response, kDraining);
    });
  }
}

TEST(UpgradeAnswer, ToAHeadHasNoBody) {
  const std::string_view check = "HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_EQ(feed(with_health(), check).response, without_body(kOk));
  EXPECT_EQ(feed(with_health(true), check).response, without_body(kDraining));
  EXPECT_EQ(feed(with_health(), "HEAD /healthz HTTP/1.1\r\n\r\n").response,
            "HTTP/1.1 400 Bad Request\r\n"
            "Connection: close\r\n"
            "Content-Type: text/plain\r\n"
            "Content-Length: 33\r\n\r\n");
  const Outcome too_long = feed({}, "HEAD /" + std::string(5'000, 'x'));
  EXPECT_EQ(too_long.status, 414U);
  EXPECT_TRUE(too_long.response.ends_with("\r\n\r\n"));
}

TEST(UpgradeAnswer, ToAnotherMethodOnTheHealthPathAllowsTwo) {
  EXPECT_EQ(feed(with_health(), "POST /healthz HTTP/1.1\r\nHost: a\r\n\r\n").response,
            "HTTP/1.1 405 Method Not Allowed\r\n"
            "Connection: close\r\n"
            "Content-Type: text/plain\r\n"
            "Content-Length: 33\r\n"
            "Allow: GET, HEAD\r\n\r\n"
            "the method has to be GET or HEAD\n");
}

struct OtherCase {
  std::string_view what;
  std::string_view request;
  unsigned status;
};

constexpr OtherCase kNoHealthChecks[] = {
    {"a path below", "GET /healthz/ HTTP/1.1\r\nHost: a\r\n\r\n", 404},
    {"another case", "GET /Healthz HTTP/1.1\r\nHost: a\r\n\r\n", 404},
    {"a HEAD of another path", "HEAD /chat HTTP/1.1\r\nHost: a\r\n\r\n", 405},
    {"HTTP/1.0 on another path", "GET /chat HTTP/1.0\r\nHost: a\r\n\r\n", 505},
    {"HTTP/2.0", "GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n", 505},
    {"HTTP/1.1 without a Host", "GET /healthz HTTP/1.1\r\n\r\n", 400},
    {"a body", "GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", 413},
};

TEST(UpgradeAnswer, IsARefusalToWhatOnlyLooksLikeAHealthCheck) {
  for (const OtherCase& c : kNoHealthChecks) {
    EXPECT_EQ(feed(with_health(), c.request).status, c.status) << c.what;
  }
  const std::string_view check = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_EQ(feed({}, check).status, 426U) << "there is no health path";
}

TEST(UpgradeAnswer, LeavesTheHealthPathToAnUpgradeThatIsServedThere) {
  const std::string text = request({{"GET", "GET /healthz HTTP/1.1"}});
  EXPECT_EQ(feed(with_health(), text).response, kSwitching);
  EXPECT_EQ(feed({.health_path = "/healthz"}, text).response, kSwitching) << "any path is served";
  EXPECT_EQ(feed({.paths = {"/chat"}, .health_path = "/healthz"}, text).status, 404U);
}

TEST(UpgradeAnswer, SendsAnUpgradeAwayWhileDraining) {
  const UpgradeRules rules = with_health(true);
  const std::string text = request();
  for_each_cut(text.size(), [&](const Cut& cut) {
    const Outcome outcome = feed(rules, text, cut);
    ASSERT_EQ(outcome.progress, Progress::answered);
    ASSERT_EQ(outcome.status, 503U);
    ASSERT_EQ(outcome.response, kRetryLater);
  });
}

TEST(UpgradeAnswer, TellsOfALaterTryOnlyWhomItWouldHelp) {
  const UpgradeRules rules = with_health(true);
  EXPECT_EQ(feed(rules, request({{"GET", "GET /other HTTP/1.1"}})).status, 404U);
  EXPECT_EQ(feed(rules, request({{"Upgrade", ""}})).status, 426U);
  EXPECT_EQ(feed(rules, request({{"", "Sec-WebSocket-Protocol: a, a"}})).status, 400U);
}

TEST(UpgradeAnswer, HeedsADrainThatBeginsInTheMidstOfARequest) {
  UpgradeRules rules;
  UpgradeParser parser{rules};
  Bytes text = to_bytes(request());
  std::span<std::byte> in = std::span{text}.first(20);
  ASSERT_EQ(parser.feed(in), Progress::need_more);
  rules.draining = true;
  in = std::span{text}.subspan(20);
  EXPECT_EQ(parser.feed(in), Progress::answered);
  EXPECT_EQ(parser.response(), kRetryLater);
}

TEST(UpgradeAnswer, IsA408OnceTheTimeIsOver) {
  const UpgradeRules rules;
  for (const std::string_view begun : {"", "G", "GET /chat HTTP/1.1\r\nHost:"}) {
    UpgradeParser parser{rules};
    Bytes text = to_bytes(begun);
    std::span<std::byte> in{text};
    ASSERT_EQ(parser.feed(in), Progress::need_more);
    parser.time_out();
    EXPECT_EQ(parser.status(), 408U);
    EXPECT_EQ(parser.response(), kTimedOut);
    Bytes late = to_bytes(request());
    in = late;
    EXPECT_EQ(parser.feed(in), Progress::answered);
    EXPECT_EQ(in.size(), late.size());
    EXPECT_EQ(parser.response(), kTimedOut);
  }
}

TEST(UpgradeAnswer, StandsWhenTheTimeIsOverAfterIt) {
  const UpgradeRules rules;
  for (const auto& [text, status] :
       {std::pair{request(), 101U}, std::pair{request({{"Host", ""}}), 400U}}) {
    UpgradeParser parser{rules};
    Bytes bytes = to_bytes(text);
    std::span<std::byte> in{bytes};
    const Progress progress = parser.feed(in);
    const std::string response{parser.response()};
    parser.time_out();
    EXPECT_EQ(parser.status(), status);
    EXPECT_EQ(parser.response(), response);
    EXPECT_EQ(parser.feed(in), progress);
  }
}

}  // namespace
}  // namespace weir::wire
