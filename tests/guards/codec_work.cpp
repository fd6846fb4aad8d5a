// The codec at work on many messages, for callgrind to count its instructions: test_codec.py runs
// it. No framework, no clock; what is prepared and checked happens outside of weir_counted(), which
// is what is counted.
//
// Each case is run for N messages and for 2 N, so that what comes once cancels out. A line of
// output says which: its name, a tab, the messages. The first line of all names the unmask kernel
// that was picked, since counts differ between them.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weir/wire/frame.h"
#include "weir/wire/mask.h"
#include "weir/wire/upgrade.h"

using namespace weir::wire;
using Bytes = std::vector<std::byte>;
using Header = std::array<std::byte, kHeaderBytesMax>;

namespace {

// --- what is counted -----------------------------------------------------------------------------

/// Decodes what a client sent as sessions do, unmasks and validates it, and writes the header of
/// each echo and each pong. Copying the payload behind that is the session's. Returns how many were
/// answered.
std::size_t answer_frames(std::span<Bytes> buffers) {
  FrameDecoder decoder{Role::server, 1U << 20};
  Header header;
  std::size_t answered = 0;
  for (Bytes& buffer : buffers) {
    std::span<std::byte> in{buffer};
    while (true) {
      std::byte* const end = in.data() + in.size();
      if (const WholeMessage whole = decoder.next_whole(in.data(), end); whole.begin != nullptr) {
        in = {whole.begin + whole.size, end};
        put_server_header(header.data(), whole.opcode, whole.size);
        ++answered;
        continue;
      }
      const Event event = decoder.next(in);
      if (event.kind == Event::Kind::need_more) break;
      const bool message = event.kind == Event::Kind::data && event.first && event.last;
      if (!message && event.kind != Event::Kind::ping) return 0;
      encode_header(header, message ? event.opcode : Opcode::pong, true, event.bytes.size());
      ++answered;
    }
  }
  return answered;
}

/// Reads upgrade requests and makes their answers. Returns how many were accepted.
std::size_t answer_upgrades(std::span<Bytes> heads) {
  static const UpgradeRules rules{.paths = {"/chat"}};
  std::size_t accepted = 0;
  for (Bytes& head : heads) {
    UpgradeParser parser{rules};
    std::span<std::byte> in{head};
    if (parser.feed(in) == UpgradeParser::Progress::accepted) ++accepted;
  }
  return accepted;
}

using Answer = std::size_t (*)(std::span<Bytes> buffers);

}  // namespace

/// The one function that callgrind looks for, by its name: `answer` and all below it.
extern "C" [[gnu::noipa]] std::size_t weir_counted(Answer answer, std::span<Bytes> buffers) {
  return answer(buffers);
}

namespace {

// --- what it is counted on -----------------------------------------------------------------------

constexpr MaskKey kKey{std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};
constexpr std::string_view kAscii = R"({"symbol":"WEIR","price":1234.5,"size":100,"side":"buy"},)";
constexpr std::string_view kJapanese = "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e";

struct Case {
  const char* name;
  Opcode opcode;
  std::string_view words;  // repeated
  std::size_t payload_bytes;
  std::size_t frames;   // in a buffer
  std::size_t buffers;  // of N messages
};
constexpr Case kCases[] = {
    {"text of 64 B", Opcode::text, kAscii, 64, 1, 1'000},
    {"text of 64 B, 16 in a buffer", Opcode::text, kAscii, 64, 16, 100},
    {"text of 1 KiB", Opcode::text, kAscii, 1024, 1, 500},
    {"text of 1,023 B, Japanese", Opcode::text, kJapanese, 1023, 1, 500},
    {"binary of 16 KiB", Opcode::binary, kAscii, 16'384, 1, 50},
    {"ping of 4 B", Opcode::ping, "ping", 4, 1, 1'000},
};
constexpr std::size_t kUpgrades = 50;

// Of a browser.
constexpr std::string_view kRequest =
    "GET /chat?room=1 HTTP/1.1\r\n"
    "Host: server.example.com:9000\r\n"
    "Connection: Upgrade\r\n"
    "Pragma: no-cache\r\n"
    "Cache-Control: no-cache\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/120.0.0.0 Safari/537.36\r\n"
    "Upgrade: websocket\r\n"
    "Origin: http://server.example.com\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-US,en;q=0.9\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

Bytes bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span{text});
  return {bytes.begin(), bytes.end()};
}

/// As a client sends it.
Bytes frame_of(const Case& work) {
  std::string words;
  while (words.size() < work.payload_bytes) words += work.words;
  words.resize(work.payload_bytes);
  Bytes payload = bytes_of(words);
  apply_mask(payload, kKey, 0);
  Header header;
  const std::size_t header_bytes =
      encode_header(header, work.opcode, true, payload.size(), false, kKey);
  Bytes frame{header.begin(), header.begin() + static_cast<std::ptrdiff_t>(header_bytes)};
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

void run(const char* name, Answer answer, std::vector<Bytes> buffers, std::size_t messages) {
  if (const std::size_t answered = weir_counted(answer, buffers); answered != messages) {
    std::fprintf(stderr, "%s: %zu of %zu messages were answered\n", name, answered, messages);
    std::exit(EXIT_FAILURE);
  }
  std::printf("%s\t%zu\n", name, messages);
}

void run(const Case& work, std::size_t times) {
  const Bytes frame = frame_of(work);
  Bytes buffer;
  for (std::size_t i = 0; i < work.frames; ++i)
    buffer.insert(buffer.end(), frame.begin(), frame.end());
  const std::size_t count = times * work.buffers;
  run(work.name, answer_frames, std::vector<Bytes>(count, buffer), count * work.frames);
}

void run_upgrades(std::size_t messages) {
  const std::vector<Bytes> heads(messages, bytes_of(kRequest));
  run("upgrade of a browser", answer_upgrades, heads, messages);
}

}  // namespace

int main() {
  std::printf("%s\n", std::string{mask_kernels().front().name}.c_str());
  for (const Case& work : kCases)
    for (const std::size_t times : {1U, 2U}) run(work, times);
  for (const std::size_t times : {1U, 2U}) run_upgrades(times * kUpgrades);
}
