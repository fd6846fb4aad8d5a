// What an idle stream costs: the figure of stream.h.
#include <gtest/gtest.h>
#include <malloc.h>

#include "certificates.h"
#include "peer.h"

namespace weir::tls {
namespace {

constexpr std::size_t kStreams = 300;

std::size_t bytes_per_stream(int version) {
  Service service{{make_credential()}};
  std::vector<std::unique_ptr<Stream>> streams;
  streams.reserve(kStreams);
  const auto add = [&] {
    Client client{{.max_version = version}};
    Server server{service.context};
    exchange(client, server);
    EXPECT_TRUE(server.stream->established());
    client.write("hello");
    exchange(client, server);
    EXPECT_TRUE(server.write("hello"));
    streams.push_back(std::move(server.stream));
  };
  add();  // what is made once
  const std::size_t before = mallinfo2().uordblks;
  for (std::size_t i = 0; i < kStreams; ++i) add();
  return (mallinfo2().uordblks - before) / kStreams;
}

TEST(Memory, AnIdleStreamKeepsNoRecordBuffer) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizers' allocator counts nothing";
#endif
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const std::size_t bytes = bytes_per_stream(version);
    RecordProperty(version == TLS1_2_VERSION ? "tls12" : "tls13", std::to_string(bytes));
    std::printf("%s: %zu bytes for an idle stream\n",
                version == TLS1_2_VERSION ? "TLS 1.2" : "TLS 1.3", bytes);
    EXPECT_LT(bytes, 16'000U);
  }
}

}  // namespace
}  // namespace weir::tls
