// What permessage-deflate costs on one core, and what it would with the libraries that were
// weighed: that is how ISA-L came to compress messages that stand alone, and zlib to do the rest.
// Names are direction/library/kind of message/bytes; the counter `size` is what was written (or,
// inflating, read) for one message.
#include <benchmark/benchmark.h>
#include <isa-l.h>
#define ZLIB_CONST
#include <zlib.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "weir/wire/deflate.h"

namespace weir::wire {
namespace {

using Bytes = std::vector<std::byte>;

/// Market data, a trade a line.
std::string json(std::size_t bytes, unsigned seed) {
  constexpr const char* kSymbols[]{"AAPL", "MSFT", "BTC-USD", "EURUSD", "GOOG", "TSLA"};
  std::mt19937 random{seed};
  std::uint64_t time = 1'700'000'000'000 + random() % 1'000'000;
  std::string text = "[";
  while (text.size() < bytes) {
    time += random() % 900;
    text += R"({"type":"trade","symbol":")";
    text += kSymbols[random() % std::size(kSymbols)];
    text += R"(","id":)" + std::to_string(random() % 100'000'000) + R"(,"time":)" +
            std::to_string(time) + R"(,"price":)" + std::to_string(random() % 5'000) + "." +
            std::to_string(10 + random() % 90) + R"(,"size":)" + std::to_string(random() % 1'000) +
            R"(,"side":")" + (random() % 2 != 0 ? "buy" : "sell") + "\"},";
  }
  text.resize(bytes);
  return text;
}

/// English prose: licences, which every Debian has. Empty elsewhere.
std::string prose(std::size_t bytes, unsigned seed) {
  static const std::string all = [] {
    std::string text;
    for (const char* name : {"GPL-3", "GFDL-1.3", "GPL-2"}) {
      std::ifstream file{std::string{"/usr/share/common-licenses/"} + name};
      text.append(std::istreambuf_iterator<char>{file}, {});
    }
    return text;
  }();
  if (all.size() < bytes) return {};
  return all.substr(seed * 997U % (all.size() - bytes + 1), bytes);
}

/// So many messages of a kind that none is in a window still, nor in the branch predictor, when
/// its turn comes again.
unsigned message_count(std::size_t bytes) {
  return std::max(16U, static_cast<unsigned>((256U << 10) / bytes));
}

/// Compresses a message into `out` and returns how many bytes it took, without the tail.
using Compress = std::function<std::size_t(const std::string& message, Bytes& out)>;

Compress with_weir(bool takeover) {
  auto deflater = std::make_shared<Deflater>(15, takeover);
  return [deflater](const std::string& message, Bytes& out) {
    return deflater->deflate(std::as_bytes(std::span{message}), out);
  };
}

Compress with_zlib(int level, bool takeover) {
  auto stream = std::shared_ptr<z_stream>{new z_stream{}, [](z_stream* owned) {
                                            deflateEnd(owned);
                                            delete owned;
                                          }};
  deflateInit2(stream.get(), level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
  return [stream, takeover](const std::string& message, Bytes& out) {
    if (!takeover) deflateReset(stream.get());
    stream->next_in = reinterpret_cast<const Bytef*>(message.data());
    stream->avail_in = static_cast<uInt>(message.size());
    stream->next_out = reinterpret_cast<Bytef*>(out.data());
    stream->avail_out = static_cast<uInt>(out.size());
    deflate(stream.get(), Z_SYNC_FLUSH);
    return out.size() - stream->avail_out - 4;
  };
}

Compress with_isal(unsigned level) {
  auto stream = std::make_shared<isal_zstream>();
  auto tokens = std::make_shared<Bytes>(ISAL_DEF_LVL3_DEFAULT);
  isal_deflate_init(stream.get());
  isal_deflate_set_hufftables(stream.get(), nullptr, IGZIP_HUFFTABLE_STATIC);
  stream->flush = SYNC_FLUSH;
  stream->level = level;
  stream->level_buf = reinterpret_cast<std::uint8_t*>(tokens->data());
  stream->level_buf_size = static_cast<std::uint32_t>(tokens->size());
  return [stream, tokens](const std::string& message, Bytes& out) {
    isal_deflate_reset(stream.get());
    stream->next_in =
        reinterpret_cast<std::uint8_t*>(const_cast<char*>(message.data()));  // only read
    stream->avail_in = static_cast<std::uint32_t>(message.size());
    stream->next_out = reinterpret_cast<std::uint8_t*>(out.data());
    stream->avail_out = static_cast<std::uint32_t>(out.size());
    isal_deflate(stream.get());
    return out.size() - stream->avail_out - 4;
  };
}

/// Inflates a payload into `out`, which is larger than the message.
using Inflate = std::function<std::size_t(const Bytes& payload, Bytes& out)>;

Inflate inflate_with_weir() {
  auto inflater = std::make_shared<Inflater>(15, false);
  return [inflater](const Bytes& payload, Bytes& out) {
    std::span<const std::byte> in{payload};
    return inflater->inflate(in, true, out).bytes;
  };
}

/// Its bare cost: the tail is not given, nor is the end looked for.
Inflate inflate_with_isal() {
  auto state = std::make_shared<inflate_state>();
  isal_inflate_init(state.get());
  return [state](const Bytes& payload, Bytes& out) {
    isal_inflate_reset(state.get());
    state->next_in =
        reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(payload.data()));  // only read
    state->avail_in = static_cast<std::uint32_t>(payload.size());
    state->next_out = reinterpret_cast<std::uint8_t*>(out.data());
    state->avail_out = static_cast<std::uint32_t>(out.size());
    isal_inflate(state.get());
    return out.size() - state->avail_out;
  };
}

using Make = std::string (*)(std::size_t bytes, unsigned seed);

std::vector<std::string> messages(Make make, std::size_t bytes) {
  std::vector<std::string> all;
  for (unsigned seed = 0; seed < message_count(bytes); ++seed) all.push_back(make(bytes, seed));
  return all;
}

void run_deflate(benchmark::State& state, Make make, const Compress& compress) {
  const auto bytes = static_cast<std::size_t>(state.range(0));
  const std::vector<std::string> all = messages(make, bytes);
  if (all.front().empty()) return state.SkipWithError("no such text here");
  Bytes out(2 * bytes + 1'024);
  std::size_t next = 0, written = 0;
  for (auto _ : state) {
    written += compress(all[next++ % all.size()], out);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
  state.counters["size"] =
      benchmark::Counter(static_cast<double>(written), benchmark::Counter::kAvgIterations);
}

void run_inflate(benchmark::State& state, Make make, const Inflate& inflate) {
  const auto bytes = static_cast<std::size_t>(state.range(0));
  const Compress compress = with_zlib(6, false);
  std::vector<Bytes> payloads;
  std::size_t size = 0;
  for (const std::string& message : messages(make, bytes)) {
    if (message.empty()) return state.SkipWithError("no such text here");
    Bytes payload(2 * bytes + 1'024);
    payload.resize(compress(message, payload));
    size += payload.size();
    payloads.push_back(std::move(payload));
  }
  Bytes out(bytes + 1'024);
  std::size_t next = 0;
  for (auto _ : state) {
    if (inflate(payloads[next++ % payloads.size()], out) != bytes) {
      return state.SkipWithError("not the whole message");
    }
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
  state.counters["size"] = static_cast<double>(size) / static_cast<double>(payloads.size());
}

template <class Run, class Library>
void add(const std::string& name, Make make, Run run, const Library& library) {
  auto* bench = benchmark::RegisterBenchmark(name.c_str(), run, make, library);
  for (const int bytes : {100, 300, 1'024, 4'096, 16'384, 65'536}) bench->Arg(bytes);
}

template <class Run, class Library>
void add(const std::string& name, Run run, const Library& library) {
  add(name + "/json", json, run, library);
  add(name + "/text", prose, run, library);
}

void register_all() {
  add("deflate/weir", run_deflate, with_weir(false));
  add("deflate/isal_0_fixed_codes", run_deflate, with_isal(0));
  add("deflate/isal_1", run_deflate, with_isal(1));
  add("deflate/isal_3", run_deflate, with_isal(3));
  add("deflate/zlib_1", run_deflate, with_zlib(1, false));
  add("deflate/zlib_6", run_deflate, with_zlib(6, false));
  // Not of prose: what is cut from one text at many places repeats itself.
  add("deflate_in_context/weir/json", json, run_deflate, with_weir(true));
  add("deflate_in_context/zlib_1/json", json, run_deflate, with_zlib(1, true));
  add("deflate_in_context/zlib_6/json", json, run_deflate, with_zlib(6, true));
  add("inflate/weir", run_inflate, inflate_with_weir());
  add("inflate/isal", run_inflate, inflate_with_isal());
}

}  // namespace
}  // namespace weir::wire

int main(int argc, char** argv) {
  weir::wire::register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
