// What the wire part costs on one core: frames, unmasking, UTF-8 and the handshake. Names end in
// the payload's size; bytes per second count payload alone.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "weir/wire/frame.h"
#include "weir/wire/mask.h"
#include "weir/wire/upgrade.h"
#include "weir/wire/utf8.h"

namespace weir::wire {
namespace {

using Bytes = std::vector<std::byte>;

constexpr MaskKey kKey{std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};

void set_payload_bytes(benchmark::State& state, std::size_t per_iteration) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(per_iteration));
}

/// As a client sends it: the header, then `payload` masked.
Bytes client_frame(Opcode opcode, const Bytes& payload) {
  std::array<std::byte, kHeaderBytesMax> header;
  const std::size_t header_bytes = encode_header(header, opcode, true, payload.size(), false, kKey);
  Bytes frame{header.begin(), header.begin() + static_cast<std::ptrdiff_t>(header_bytes)};
  frame.insert(frame.end(), payload.begin(), payload.end());
  apply_mask(std::span{frame}.subspan(header_bytes), kKey, 0);
  return frame;
}

// Decodes in place, and so finds the payload masked in one round and plain in the next. Text
// has to be text in each, which costs a second masking; take unmask/ off to compare.
void decode_frames(benchmark::State& state, Opcode opcode) {
  const auto payload_bytes = static_cast<std::size_t>(state.range(0));
  Bytes frame = client_frame(opcode, Bytes(payload_bytes, std::byte{'a'}));
  FrameDecoder decoder{Role::server, UINT64_MAX};
  for (auto _ : state) {
    std::span<std::byte> in{frame};
    const Event event = decoder.next(in);
    benchmark::DoNotOptimize(event.bytes.data());
    const Event end = decoder.next(in);
    if (event.kind != Event::Kind::data || end.kind != Event::Kind::need_more) {
      state.SkipWithError("not one whole message");
      break;
    }
    if (opcode == Opcode::text) apply_mask(event.bytes, kKey, 0);
  }
  set_payload_bytes(state, payload_bytes);
}

void decode_binary(benchmark::State& state) {
  decode_frames(state, Opcode::binary);
}
void decode_text(benchmark::State& state) {
  decode_frames(state, Opcode::text);
}
BENCHMARK(decode_binary)->RangeMultiplier(4)->Range(16, 64 << 10);
BENCHMARK(decode_text)->RangeMultiplier(4)->Range(16, 64 << 10);

constexpr std::size_t kBurstFrames = 64;

// Many frames in one buffer, as a busy client's arrive.
void decode_burst(benchmark::State& state) {
  const auto payload_bytes = static_cast<std::size_t>(state.range(0));
  Bytes burst;
  for (std::size_t i = 0; i < kBurstFrames; ++i) {
    const Bytes frame = client_frame(Opcode::binary, Bytes(payload_bytes, std::byte{'a'}));
    burst.insert(burst.end(), frame.begin(), frame.end());
  }
  FrameDecoder decoder{Role::server, UINT64_MAX};
  std::size_t frames = 0;
  for (auto _ : state) {
    std::span<std::byte> in{burst};
    for (Event event = decoder.next(in); event.kind != Event::Kind::need_more;
         event = decoder.next(in)) {
      benchmark::DoNotOptimize(event.bytes.data());
      ++frames;
    }
  }
  set_payload_bytes(state, kBurstFrames * payload_bytes);
  state.counters["per_frame"] = benchmark::Counter(
      static_cast<double>(frames), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(decode_burst)->Arg(16)->Arg(64)->Arg(256);

void encode(benchmark::State& state) {
  std::array<std::byte, kHeaderBytesMax> header;
  auto payload_bytes = static_cast<std::uint64_t>(state.range(0));
  for (auto _ : state) {
    benchmark::DoNotOptimize(payload_bytes);
    benchmark::DoNotOptimize(encode_header(header, Opcode::binary, true, payload_bytes));
    benchmark::DoNotOptimize(header);
  }
}
BENCHMARK(encode)->Arg(64)->Arg(1'024)->Arg(128 << 10);

void unmask(benchmark::State& state, MaskKernel kernel) {
  Bytes data(static_cast<std::size_t>(state.range(0)) + 2);
  // Two bytes in: frames leave their payload anywhere.
  const std::span<std::byte> payload = std::span{data}.subspan(2);
  for (auto _ : state) {
    kernel.apply(payload, kKey, 0);
    benchmark::ClobberMemory();
  }
  set_payload_bytes(state, payload.size());
}

void utf8(benchmark::State& state, std::string_view letters) {
  const auto bytes = static_cast<std::size_t>(state.range(0));
  std::string text;
  while (text.size() + letters.size() <= bytes) text += letters;
  text.append(bytes - text.size(), '.');
  for (auto _ : state) {
    if (!is_utf8(std::as_bytes(std::span{text}))) state.SkipWithError("not UTF-8");
  }
  set_payload_bytes(state, bytes);
}
BENCHMARK_CAPTURE(utf8, ascii, "a")->RangeMultiplier(16)->Range(16, 64 << 10);
BENCHMARK_CAPTURE(utf8, greek, "\xce\xb3\xce\xbb\xcf\x8e\xcf\x83\xcf\x83\xce\xb1 ")
    ->RangeMultiplier(16)
    ->Range(16, 64 << 10);
BENCHMARK_CAPTURE(utf8, japanese, "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e")
    ->RangeMultiplier(16)
    ->Range(16, 64 << 10);
BENCHMARK_CAPTURE(utf8, emoji, "\xf0\x9f\x8c\x8a")->RangeMultiplier(16)->Range(16, 64 << 10);

// A browser's request; the parser's construction and destruction are part of a handshake.
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

void upgrade(benchmark::State& state) {
  const UpgradeRules rules{.paths = {"/chat"}};
  Bytes head(kRequest.size());
  std::memcpy(head.data(), kRequest.data(), kRequest.size());
  for (auto _ : state) {
    UpgradeParser parser{rules};
    std::span<std::byte> in{head};
    if (parser.feed(in) != UpgradeParser::Progress::accepted) state.SkipWithError("refused");
    benchmark::DoNotOptimize(parser.response().data());
  }
}
BENCHMARK(upgrade);

/// Kernels are known only at run time.
void register_kernels() {
  for (const MaskKernel& kernel : mask_kernels()) {
    const std::string name = "unmask/" + std::string{kernel.name};
    benchmark::RegisterBenchmark(name.c_str(), unmask, kernel)
        ->RangeMultiplier(4)
        ->Range(16, 64 << 10);
  }
}

}  // namespace
}  // namespace weir::wire

int main(int argc, char** argv) {
  weir::wire::register_kernels();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
