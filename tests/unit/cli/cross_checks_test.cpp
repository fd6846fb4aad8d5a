// What flags mean together: contradictions are refused, oddities warned of.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "parsing.h"

namespace weir::cli {
namespace {

TEST(CrossChecks, ContradictionsAreNamed) {
  const std::pair<std::vector<std::string>, std::string_view> cases[] = {
      {{"--weights=4,2,1", "--workers=4"},
       "weir: --weights: 3 weights for 4 workers: expected one weight for each worker"},
      {{"--weights=4,2,1"},  // auto: one for each CPU
       "weir: --weights: 3 weights for 4 workers: expected one weight for each worker"},
      {{"--weights=4,2", "--workers=1"},
       "weir: --weights: 2 weights for 1 worker: expected one weight for each worker"},
      {{"--pin=0-2", "--workers=4"},
       "weir: --pin: too few CPUs, 3 for 4 workers: expected one for each worker, the same one "
       "again if need be"},
      {{"--pin=0,4", "--workers=2"},
       "weir: --pin: weir may not run on CPU 4: expected some of 0-3"},
      {{"--listen=127.0.0.1:80", "--listen=*:80", "--listen=127.0.0.1:80"},
       "weir: --listen: 127.0.0.1:80 is given twice: expected different addresses"},
      {{"--listen=[::1]:80", "--listen=[0:0::1]:80"},
       "weir: --listen: [::1]:80 is given twice: expected different addresses"},
      {{"--listen=tls:127.0.0.1:80", "--listen=127.0.0.1:80", "--tls-cert=a", "--tls-key=b"},
       "weir: --listen: 127.0.0.1:80 is given twice: expected different addresses"},
      {{"--listen=proxy:127.0.0.1:80"},
       "weir: --listen: proxy: needs --proxy-from: expected the networks of the proxies, such as "
       "--proxy-from 10.0.0.0/8"},
      {{"--listen=tls:127.0.0.1:80"},
       "weir: --listen: tls: needs a certificate: expected --tls-cert FILE and --tls-key FILE"},
      {{"--listen=tls:127.0.0.1:80", "--tls-cert=a", "--tls-cert=b", "--tls-key=a"},
       "weir: --tls-key: 1 for 2 --tls-cert: expected one for each, in the same order"},
      {{"--ping-interval=120s"},
       "weir: --ping-interval: 2m is not accepted with --idle-timeout 2m: expected less than "
       "that, or 0"},
      {{"--idle-timeout=5s", "--ping-interval=5s"},
       "weir: --ping-interval: 5s is not accepted with --idle-timeout 5s: expected less than "
       "that, or 0"},
      {{"--hang-kill=50ms"},
       "weir: --hang-kill: 50ms is not accepted with --hang-threshold 50ms: expected more than "
       "that, or 0"},
      {{"--hang-kill=1s", "--hang-threshold=0"},
       "weir: --hang-kill: 1s is not accepted with --hang-threshold 0, which has workers give no "
       "signs of life: expected 0"},
  };
  for (const auto& [words, line] : cases) EXPECT_EQ(refused(words), line);
}

TEST(CrossChecks, OfAFileTheLineIsNamed) {
  const ConfigFile file{"workers = 4\n\nweights = [4, 2, 1]\nhang-kill = 10ms\n"};
  EXPECT_EQ(
      refused({"--config", file.path()}),
      fmt::format("weir: {}:3: weights: 3 weights for 4 workers: expected one weight for each "
                  "worker",
                  file.path()));
  EXPECT_EQ(refused({"--config", file.path(), "--weights=1,1,1,1"}),
            fmt::format("weir: {}:4: hang-kill: 10ms is not accepted with --hang-threshold 50ms: "
                        "expected more than that, or 0",
                        file.path()));
  EXPECT_EQ(refused({"--config", file.path(), "--weights=1,2"}),
            "weir: --weights: 2 weights for 4 workers: expected one weight for each worker");
}

TEST(CrossChecks, ScatteredCpusAreListedAsRanges) {
  const Host host{.cpus = {0, 1, 4, 8, 9, 10}, .default_control = ""};
  EXPECT_EQ(refused({"--pin=2", "--workers=1"}, host),
            "weir: --pin: weir may not run on CPU 2: expected some of 0-1,4,8-10");
}

TEST(CrossChecks, PingsThatWereNotAskedForKeepToAShortIdleTimeout) {
  using namespace std::chrono_literals;
  EXPECT_EQ(accepted({"--idle-timeout=31s"}).ping_interval, 30s);
  EXPECT_EQ(accepted({"--idle-timeout=30s"}).ping_interval, 15s);
  EXPECT_EQ(accepted({"--idle-timeout=1ms"}).ping_interval, 500us);
  EXPECT_EQ(accepted({"--idle-timeout=0"}).ping_interval, 30s);
}

TEST(CrossChecks, AHungWorkerIsKilledInTimeUnlessItCannotBeToldFromASleepingOne) {
  using namespace std::chrono_literals;
  EXPECT_EQ(accepted({}).hang_kill, 10s);
  EXPECT_EQ(accepted({"--hang-threshold=5s"}).hang_kill, 10s);
  EXPECT_EQ(accepted({"--hang-threshold=6s"}).hang_kill, 12s);
  EXPECT_EQ(accepted({"--hang-threshold=0"}).hang_kill, 0s);
  EXPECT_EQ(accepted({"--hang-kill=51ms"}).hang_kill, 51ms);
  EXPECT_EQ(accepted({"--hang-kill=0"}).hang_kill, 0s);
}

TEST(CrossChecks, WhatIsOffContradictsNothing) {
  accepted({"--hang-threshold=0", "--hang-kill=0"});
  accepted({"--idle-timeout=0"});
  accepted({"--idle-timeout=5s", "--ping-interval=0"});
  accepted({"--listen=127.0.0.1:0", "--listen=127.0.0.1:0"});
  accepted({"--pin=0,0,1,1,2", "--workers=4"});
}

TEST(CrossChecks, WhatNoListenAddressUsesIsWarnedOf) {
  EXPECT_EQ(accepted({"--proxy-from=10.0.0.0/8"}).warnings,
            std::vector<std::string>{"--proxy-from changes nothing without a --listen proxy:"});
  EXPECT_EQ(accepted({"--tls-cert=a", "--tls-key=b"}).warnings,
            std::vector<std::string>{"--tls-cert changes nothing without a --listen tls:"});
}

TEST(CrossChecks, WeightsThatAPolicyIgnoresAreWarnedOf) {
  const std::vector<std::string> weights{"--workers=2", "--weights=2,1"};
  for (const std::string policy :
       {"least-connections", "two-choices", "weighted-round-robin", "cpu-local", "least-load",
        "predictive", "uri-hash", "source-hash", "tuple-hash"}) {
    auto words = weights;
    words.insert(words.end(), {"--steer", policy});
    EXPECT_TRUE(accepted(words).warnings.empty()) << policy;
  }
  auto words = weights;
  words.insert(words.end(), {"--steer", "round-robin"});
  EXPECT_EQ(accepted(words).warnings,
            std::vector<std::string>{"--weights change nothing under --steer round-robin"});
}

TEST(CrossChecks, HashOnThatNobodyHeedsIsWarnedOf) {
  EXPECT_TRUE(accepted({"--hash-on=query:room", "--steer=uri-hash"}).warnings.empty());
  EXPECT_TRUE(accepted({"--hash-on=path"}).warnings.empty()) << "as it is anyway";
  EXPECT_EQ(accepted({"--hash-on=query:room", "--steer=source-hash"}).warnings,
            std::vector<std::string>{"--hash-on changes nothing under --steer source-hash"});
}

TEST(CrossChecks, CpuLocalWithoutBoundWorkersIsWarnedOf) {
  EXPECT_TRUE(accepted({"--steer=cpu-local"}).warnings.empty());
  EXPECT_TRUE(accepted({"--steer=cpu-local", "--workers=4"}).warnings.empty());
  EXPECT_TRUE(accepted({"--steer=cpu-local", "--workers=2", "--pin=1,1"}).warnings.empty());
  EXPECT_TRUE(accepted({"--steer=least-load", "--pin=none"}).warnings.empty());
  EXPECT_EQ(accepted({"--steer=cpu-local", "--pin=none"}).warnings,
            std::vector<std::string>{
                "--steer cpu-local is the same as least-connections with --pin none"});
  EXPECT_EQ(accepted({"--steer=cpu-local", "--workers=5"}).warnings,
            std::vector<std::string>{"--steer cpu-local is the same as least-connections with 5 "
                                     "workers on 4 CPUs, where none is bound to one"});
}

TEST(CrossChecks, AutoIsOneWorkerForEachCpu) {
  EXPECT_EQ(worker_count(accepted({"--workers=auto"}), four_cpus()), 4U);
  EXPECT_EQ(worker_count(accepted({"--workers=2"}), four_cpus()), 2U);
  EXPECT_EQ(worker_count({}, {.cpus = std::vector<int>(2000), .default_control = ""}), 1024U);
  EXPECT_GE(Host::here().cpus.size(), 1U);
}

}  // namespace
}  // namespace weir::cli
