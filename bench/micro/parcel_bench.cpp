// What a session costs to pack and to unpack. A parcel's size is the counter bytes.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "weir/session/parcel.h"

namespace weir::session {
namespace {

Parcel idle() {
  Parcel parcel;
  parcel.client = SocketAddress::parse("192.0.2.7:4000");
  parcel.app = "echo";
  return parcel;
}

/// With two contexts, each with a window of 15 bits.
Parcel with_windows(Parcel::Bytes window) {
  Parcel parcel = idle();
  parcel.decoder.deflate = true;
  parcel.window_bits = 15;
  parcel.out = window;
  parcel.in = {.window_bits = 15, .window = window};
  return parcel;
}

void pack_into_a_buffer(benchmark::State& state, const Parcel& parcel) {
  std::vector<std::byte> out(packed_size(parcel));
  for (auto _ : state) {
    pack(parcel, out);
    benchmark::ClobberMemory();
  }
  state.counters["bytes"] = static_cast<double>(out.size());
}

void unpack_views(benchmark::State& state, const Parcel& parcel) {
  const std::vector<std::byte> bytes = pack(parcel);
  for (auto _ : state) {
    auto unpacked = unpack(bytes, {});
    if (!unpacked) state.SkipWithError("not a parcel");
    benchmark::DoNotOptimize(unpacked);
  }
  state.counters["bytes"] = static_cast<double>(bytes.size());
}

const std::vector<std::byte> kWindow(wire::kWindowBytesMax, std::byte{'w'});

BENCHMARK_CAPTURE(pack_into_a_buffer, idle, idle());
BENCHMARK_CAPTURE(pack_into_a_buffer, windows_of_32_kib, with_windows(kWindow));
BENCHMARK_CAPTURE(unpack_views, idle, idle());
BENCHMARK_CAPTURE(unpack_views, windows_of_32_kib, with_windows(kWindow));

template <class Context>
void move_context(benchmark::State& state) {
  Context context = Context::restore(wire::kWindowBitsMax, kWindow);
  std::vector<std::byte> room(wire::kWindowBytesMax);
  for (auto _ : state) {
    const std::size_t size = context.window(std::span<std::byte, wire::kWindowBytesMax>{room});
    context = Context::restore(wire::kWindowBitsMax, std::span{room}.first(size));
  }
}
BENCHMARK(move_context<wire::Deflater>);
BENCHMARK(move_context<wire::Inflater>);

}  // namespace
}  // namespace weir::session

BENCHMARK_MAIN();
