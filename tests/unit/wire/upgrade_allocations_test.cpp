// What a handshake takes of the heap: nothing, where its request comes whole and is accepted. A
// program of its own, since it counts every allocation, the libraries' too.
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "upgrading.h"

namespace {
std::size_t allocations = 0;
}  // namespace

// The C library calls these instead of its own; operator new calls malloc().
extern "C" {
void* __libc_malloc(std::size_t bytes);
void* __libc_calloc(std::size_t count, std::size_t bytes);
void* __libc_realloc(void* block, std::size_t bytes);

void* malloc(std::size_t bytes) {
  ++allocations;
  return __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) {
  ++allocations;
  return __libc_calloc(count, bytes);
}
void* realloc(void* block, std::size_t bytes) {
  ++allocations;
  return __libc_realloc(block, bytes);
}
}

namespace weir::wire {
namespace {

/// Feeds `head` from its front on in pieces of `piece` bytes; what that has allocated by the time
/// that it is accepted, and its parser is gone.
std::size_t allocated_for(const UpgradeRules& rules, std::string_view head, std::size_t piece) {
  Bytes bytes = to_bytes(head);
  std::span<std::byte> in{bytes};
  Progress progress = Progress::need_more;
  std::size_t response_bytes = 0;
  const std::size_t before = allocations;
  {
    UpgradeParser parser{rules};
    while (!in.empty() && progress == Progress::need_more) {
      std::span<std::byte> next = in.first(std::min(piece, in.size()));
      in = in.subspan(next.size());
      progress = parser.feed(next);
    }
    response_bytes = parser.response().size();
  }
  const std::size_t after = allocations;
  EXPECT_EQ(progress, Progress::accepted);
  EXPECT_GT(response_bytes, 0U);
  return after - before;
}

struct HeadCase {
  std::string_view what;
  std::vector<Edit> edits;
};

const HeadCase kHeads[] = {
    {"the least there can be", {}},
    {"a browser's",
     {{"GET", "GET /a/path/that/is/longer/than/a/short/string?room=1 HTTP/1.1"},
      {"", "Pragma: no-cache\r\nCache-Control: no-cache\r\nAccept-Language: en-US,en;q=0.9"},
      {"", "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"},
      {"", "Origin: https://a-host-that-is-long.example.com"},
      {"", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"}}},
    {"every parameter of the extension, in quotes too",
     {{"",
       "Sec-WebSocket-Extensions: x-other; a=b, permessage-deflate; server_max_window_bits=\"10\"; "
       "client_max_window_bits=11; server_no_context_takeover; client_no_context_takeover"}}},
    {"subprotocols, one of them served",
     {{"", "Sec-WebSocket-Protocol: soap, a-name-that-is-longer-than-a-short-string, chat, mqtt"}}},
    {"some fields in many lines",
     {{"", "Connection: a\r\nConnection: b\r\nUpgrade: c\r\nCookie: d\r\nCookie: e"}}},
};

TEST(UpgradeAllocations, AreNoneForAWholeRequestThatIsAccepted) {
  for (const Compression mode : {Compression::off, Compression::shared, Compression::dedicated}) {
    const UpgradeRules rules{.paths = {"/chat", "/a/path/that/is/longer/than/a/short/string"},
                             .origins = {"https://a-host-that-is-long.example.com"},
                             .subprotocols = {"chat", "a-name-that-is-longer-than-a-short-string"},
                             .compression = {.mode = mode, .window_bits = 12}};
    for (const HeadCase& c : kHeads) {
      const std::string head = request(c.edits);
      EXPECT_EQ(allocated_for(rules, head, head.size()), 0U) << c.what;
    }
  }
}

TEST(UpgradeAllocations, AreCountedAndFewWhenItComesInPieces) {
  const std::string head = request();
  const std::size_t allocated = allocated_for({}, head, 10);
  EXPECT_GT(allocated, 0U);
  EXPECT_LE(allocated, 8U) << "the room for the head doubles";
}

}  // namespace
}  // namespace weir::wire
