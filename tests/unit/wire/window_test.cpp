// Compression contexts that move: the window is all that there is to one between two messages.
#include <gtest/gtest.h>
#define ZLIB_CONST
#include <zlib.h>

#include <array>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "bytes.h"
#include "weir/wire/deflate.h"

namespace weir::wire {
namespace {

using namespace std::string_literals;

using Window = std::vector<std::byte>;

template <class Context>
Window window_of(const Context& context) {
  std::array<std::byte, kWindowBytesMax> room;
  const std::size_t size = context.window(room);
  return {room.begin(), room.begin() + static_cast<std::ptrdiff_t>(size)};
}

template <class Context>
Context moved(const Context& context, std::uint8_t window_bits) {
  const Window window = window_of(context);  // its exact size: sanitizers see one byte too many
  return Context::restore(window_bits, window);
}

std::string deflated(Deflater& deflater, std::string_view message) {
  Bytes out(deflater.bound(message.size()));
  const std::size_t size = deflater.deflate(std::as_bytes(std::span{message}), out);
  return to_text(std::span{out}.first(size));
}

/// In rooms of `room` bytes; "(corrupt)" where it is.
std::string inflated(Inflater& inflater, std::string_view payload, std::size_t room = 4'096) {
  std::span<const std::byte> in = std::as_bytes(std::span{payload});
  std::string text;
  Bytes out(room);
  while (true) {
    const Inflater::Step step = inflater.inflate(in, true, out);
    if (step.kind == Inflater::Step::Kind::corrupt) return "(corrupt)";
    text += to_text(std::span{out}.first(step.bytes));
    if (step.kind == Inflater::Step::Kind::done) return text;
  }
}

/// zlib by itself, one raw stream for all messages: the client at the other end, which no move
/// ever reaches.
class Client {
 public:
  explicit Client(unsigned window_bits) {
    inflateInit2(&in_, -static_cast<int>(window_bits));
    deflateInit2(&out_, 6, Z_DEFLATED, -static_cast<int>(std::max(window_bits, 9U)), 8,
                 Z_DEFAULT_STRATEGY);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() {
    inflateEnd(&in_);
    deflateEnd(&out_);
  }

  std::string inflate(std::string payload, std::size_t message_bytes) {
    payload += "\0\0\xff\xff"s;
    std::string out(message_bytes + 1, '\0');
    in_.next_in = reinterpret_cast<const Bytef*>(payload.data());
    in_.avail_in = static_cast<uInt>(payload.size());
    in_.next_out = reinterpret_cast<Bytef*>(out.data());
    in_.avail_out = static_cast<uInt>(out.size());
    const int result = ::inflate(&in_, Z_SYNC_FLUSH);
    if (result != Z_OK || in_.avail_in != 0) return "(corrupt)";
    out.resize(out.size() - in_.avail_out);
    return out;
  }

  /// A message's payload. `flush` Z_FINISH: in a final block, behind which the next message may
  /// go on referring to this one, as RFC 7692, 7.2.1, allows.
  std::string deflate(std::string_view message, int flush) {
    if (message.empty()) return "\0"s;
    std::string out(message.size() * 2 + 100, '\0');
    out_.next_in = reinterpret_cast<const Bytef*>(message.data());
    out_.avail_in = static_cast<uInt>(message.size());
    out_.next_out = reinterpret_cast<Bytef*>(out.data());
    out_.avail_out = static_cast<uInt>(out.size());
    ::deflate(&out_, flush);
    out.resize(out.size() - out_.avail_out);
    if (flush == Z_SYNC_FLUSH) out.resize(out.size() - 4);
    if (flush == Z_FINISH) deflateReset(&out_);
    return out;
  }

 private:
  z_stream in_{};
  z_stream out_{};
};

/// Prices of a few things: much of each message stands in those before it, not all of it near.
std::string message(unsigned number, std::mt19937& random) {
  constexpr std::size_t kSizes[]{1, 40, 300, 90, 2'000, 7, 12'000, 0, 513, 40'000};
  std::string text;
  while (text.size() < kSizes[number % std::size(kSizes)]) {
    text += "{\"symbol\":\"S" + std::to_string(random() % 40) +
            "\",\"price\":" + std::to_string(random() % 1'000) + "},";
  }
  if (number % 13 == 5) {
    for (char& c : text) c = static_cast<char>(random());  // what cannot be compressed
  }
  text.resize(kSizes[number % std::size(kSizes)]);
  return text;
}

TEST(Window, MovesADeflaterAfterEachMessageUnseenByItsClient) {
  for (std::uint8_t bits = kWindowBitsMin; bits <= kWindowBitsMax; ++bits) {
    SCOPED_TRACE(static_cast<unsigned>(bits));
    Deflater moving{bits, true};
    Deflater staying{bits, true};
    Deflater forgetting{bits, false};
    Client client{bits};
    std::mt19937 random{bits};
    std::size_t moved_bytes = 0, stayed_bytes = 0, forgot_bytes = 0;
    for (unsigned i = 0; i < 120; ++i) {
      const std::string text = message(i, random);
      const std::string payload = deflated(moving, text);
      ASSERT_TRUE(client.inflate(payload, text.size()) == text) << i;
      ASSERT_LE(window_of(moving).size(), deflater_window_bytes_max(bits));
      moving = moved(moving, bits);
      if (text.size() > 1'000) continue;  // in those a window of a few KiB fills itself
      moved_bytes += payload.size();
      stayed_bytes += deflated(staying, text).size();
      forgot_bytes += deflated(forgetting, text).size();
    }
    EXPECT_LT(moved_bytes, stayed_bytes * 105 / 100) << "the old window is as good as ever";
    if (bits < 12) continue;
    EXPECT_LT(moved_bytes, forgot_bytes * 80 / 100) << "and worth having";
  }
}

TEST(Window, OfADeflaterIsTheEndOfWhatItSaid) {
  Deflater deflater{9, true};
  EXPECT_TRUE(window_of(deflater).empty());
  EXPECT_TRUE(window_of(moved(deflater, 9)).empty());
  (void)deflated(deflater, "Hello");
  (void)deflated(deflater, ", world");
  EXPECT_EQ(to_text(window_of(deflater)), "Hello, world");
  EXPECT_EQ(to_text(window_of(moved(deflater, 9))), "Hello, world");
  const std::string text(600, 'x');
  (void)deflated(deflater, text + "end");
  const std::string window = to_text(window_of(deflater));
  EXPECT_TRUE(window.size() <= 512 && (text + "end").ends_with(window));
  EXPECT_GE(window.size(), 512U - 258U) << "zlib.h: up to 258 bytes less than all of it";
}

TEST(Window, OfADeflaterIsUsedByTheNextMessage) {
  Deflater deflater{15, true};
  EXPECT_EQ(to_hex(deflated(deflater, "Hello")), "f2 48 cd c9 c9 07 00");
  Deflater after = moved(deflater, 15);
  EXPECT_EQ(to_hex(deflated(after, "Hello")), "f2 00 11 00 00") << "RFC 7692, 7.2.3.2";
}

TEST(Window, OfADeflaterIsEmptyBehindAMessageThatItHadToStore) {
  Deflater deflater{9, true};
  std::mt19937 random{1};
  std::string noise(100'000, '\0');  // passes the bound, see deflater_test.cpp
  for (char& c : noise) c = static_cast<char>(random());
  Client client{9};
  ASSERT_TRUE(client.inflate(deflated(deflater, noise), noise.size()) == noise);
  EXPECT_TRUE(window_of(deflater).empty());
  deflater = moved(deflater, 9);
  EXPECT_EQ(client.inflate(deflated(deflater, "Hello"), 5), "Hello");
}

TEST(Window, MovesAnInflaterAfterEachMessage) {
  for (std::uint8_t bits = kWindowBitsMin; bits <= kWindowBitsMax; ++bits) {
    SCOPED_TRACE(static_cast<unsigned>(bits));
    // zlib cannot compress in a window of 8 bits: our own deflater stands in there.
    Deflater small{bits, true};
    Client client{bits};
    Inflater inflater{bits, true};
    std::mt19937 random{bits};
    for (unsigned i = 0; i < 120; ++i) {
      const std::string text = message(i, random);
      // Some end in a final block, behind which a new stream begins.
      const int flush = i % 7 == 3 ? Z_FINISH : Z_SYNC_FLUSH;
      const std::string payload = bits == 8 ? deflated(small, text) : client.deflate(text, flush);
      ASSERT_TRUE(inflated(inflater, payload, 1 + random() % 5'000) == text) << i;
      ASSERT_LE(window_of(inflater).size(), inflater_window_bytes_max(bits));
      inflater = moved(inflater, bits);
      ASSERT_EQ(inflater.window_bits(), bits);
    }
  }
}

TEST(Window, OfAnInflaterIsTheEndOfWhatWasInflated) {
  Inflater inflater{9, true};
  EXPECT_TRUE(window_of(inflater).empty());
  EXPECT_TRUE(window_of(moved(inflater, 9)).empty());
  EXPECT_EQ(inflated(inflater, "\xf2\x48\xcd\xc9\xc9\x07\x00"s), "Hello");
  EXPECT_EQ(to_text(window_of(inflater)), "Hello");
  Inflater after = moved(inflater, 9);
  EXPECT_EQ(inflated(after, "\xf2\x00\x11\x00\x00"s), "Hello") << "refers to the one before";
  EXPECT_EQ(to_text(window_of(after)), "HelloHello");
  Inflater without{9, true};
  EXPECT_EQ(inflated(without, "\xf2\x00\x11\x00\x00"s), "(corrupt)") << "which it needs";
}

TEST(Window, OfAnInflaterOutlivesAFinalBlockAndAnEmptyMessage) {
  // A final block with nothing behind it, then an empty payload: neither takes the tail.
  Inflater inflater{15, true};
  EXPECT_EQ(inflated(inflater, "\xf3\x48\xcd\xc9\xc9\x07\x00"s), "Hello") << "RFC 7692, 7.2.3.4";
  inflater = moved(inflater, 15);
  EXPECT_EQ(inflated(inflater, ""), "");
  inflater = moved(inflater, 15);
  EXPECT_EQ(to_text(window_of(inflater)), "Hello");
  EXPECT_EQ(inflated(inflater, "\xf2\x00\x11\x00\x00"s), "Hello");
}

TEST(Window, ThatIsTooLongIsCutFromItsFront) {
  const std::string text = std::string(600, 'x') + "Hello";
  const Bytes window = to_bytes(text);
  for (const std::uint8_t bits : {std::uint8_t{9}, std::uint8_t{8}}) {
    Inflater inflater = Inflater::restore(bits, window);
    EXPECT_EQ(to_text(window_of(inflater)), text.substr(text.size() - (1U << bits)));
    Deflater deflater = Deflater::restore(bits, window);
    EXPECT_TRUE(text.ends_with(to_text(window_of(deflater))));
    const std::string payload = deflated(deflater, "Hello");
    EXPECT_LE(payload.size(), 5U) << "refers to the end of it";
    EXPECT_EQ(inflated(inflater, payload), "Hello");
  }
}

}  // namespace
}  // namespace weir::wire
