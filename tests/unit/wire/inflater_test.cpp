// What the inflater takes, in every cut of its input and of its room, and what it refuses.
#include <gtest/gtest.h>
#define ZLIB_CONST
#include <zlib.h>

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "bytes.h"
#include "reference_inflate.h"
#include "weir/wire/deflate.h"

namespace weir::wire {
namespace {

using namespace std::string_literals;
using StepKind = Inflater::Step::Kind;

constexpr std::string_view kCorrupt = "(corrupt)";

/// Inflates one message in pieces of `in_size` bytes into rooms of `out_size`, each of its exact
/// size, so that sanitizers see a byte too many. kCorrupt where it is.
std::string inflated(Inflater& inflater, std::string_view payload, std::size_t in_size = SIZE_MAX,
                     std::size_t out_size = 4'096) {
  std::string text;
  do {
    const Bytes piece = to_bytes(payload.substr(0, in_size));
    payload.remove_prefix(piece.size());
    std::span<const std::byte> in{piece};
    while (true) {
      Bytes room(out_size);
      const Inflater::Step step = inflater.inflate(in, payload.empty(), room);
      if (step.kind == StepKind::corrupt) return std::string{kCorrupt};
      EXPECT_LE(step.bytes, room.size());
      text += to_text(std::span{room}.first(step.bytes));
      if (step.kind == StepKind::done) break;
      EXPECT_EQ(step.bytes, room.size()) << "there was room to go on";
      if (step.bytes < room.size()) return "(stuck)";
    }
    EXPECT_TRUE(in.empty()) << "done means that all of it is taken";
  } while (!payload.empty());
  return text;
}

/// zlib as a sender uses it.
class Sender {
 public:
  explicit Sender(int level = 6, int strategy = Z_DEFAULT_STRATEGY, int bits = 15) {
    deflateInit2(&stream_, level, Z_DEFLATED, -bits, 8, strategy);
  }
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;
  ~Sender() { deflateEnd(&stream_); }

  /// What follows for `text`, flushed as `flush` has it, its tail not removed.
  std::string write(std::string_view text, int flush) {
    std::string out(text.size() * 2 + 100, '\0');
    stream_.next_in = reinterpret_cast<const Bytef*>(text.data());
    stream_.avail_in = static_cast<uInt>(text.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    deflate(&stream_, flush);
    out.resize(out.size() - stream_.avail_out);
    if (flush == Z_FINISH) deflateReset(&stream_);
    return out;
  }

  std::string message(std::string_view text) {
    const std::string out = write(text, Z_SYNC_FLUSH);
    return out.substr(0, out.size() - 4);
  }

 private:
  z_stream stream_{};
};

std::string sample(std::size_t bytes) {
  std::string text;
  for (unsigned i = 0; text.size() < bytes; ++i) {
    text += "{\"id\":" + std::to_string(i * 7'919) + ",\"name\":\"\xc3\xa9t\xc3\xa9\"}";
  }
  text.resize(bytes);
  return text;
}

/// A final block with codes of its own, of one bit each: "aa" and its end share the last byte, so
/// that zlib may hold the end when the input is used up and the room too.
std::string final_block_that_ends_in_the_byte_of_its_text() {
  std::string out;
  unsigned at = 0;
  const auto put = [&](unsigned value, unsigned count) {
    for (unsigned i = 0; i < count; ++i, ++at) {
      if (at % 8 == 0) out += '\0';
      const unsigned before = static_cast<unsigned char>(out.back());
      out.back() = static_cast<char>(before | (std::uint64_t{value} >> i & 1) << (at % 8));
    }
  };
  put(1, 1), put(2, 2);              // final, codes of its own
  put(0, 5), put(0, 5), put(14, 4);  // 257 literals, 1 distance, 18 lengths of lengths:
  put(0, 6), put(1, 3), put(2, 3);   // 16 and 17 unused, 18 in one bit, 0 in two
  put(0, 39), put(2, 3);             // and 1 in two
  put(0, 1), put(97 - 11, 7);        // 97 literals unused
  put(3, 2);                         // "a" in one bit
  put(0, 1), put(138 - 11, 7);       // 158 unused
  put(0, 1), put(20 - 11, 7);
  put(3, 2), put(1, 2);             // the end in one bit; no distances
  put(0, 1), put(0, 1), put(1, 1);  // "aa" and the end
  return out;
}

struct TakenCase {
  std::string what;
  std::string payload;
  std::string expected;
};

std::vector<TakenCase> taken() {
  // RFC 7692, 7.2.3.1 to 7.2.3.6
  std::vector<TakenCase> cases{
      {"a block of fixed codes", "\xf2\x48\xcd\xc9\xc9\x07\x00"s, "Hello"},
      {"a stored block", "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"s, "Hello"},
      {"a final block", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"s, "Hello"},
      {"two blocks", "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"s, "Hello"},
      {"an empty message", "\x00"s, ""},
      // Not what a sender's algorithm makes, and yet whole.
      {"an empty payload", "", ""},
      {"a final block and nothing behind it", "\xf3\x48\xcd\xc9\xc9\x07\x00"s, "Hello"},
      {"an empty final block and nothing behind it", "\x03\x00"s, ""},
      {"one that ends in the byte of its text, and nothing behind it",
       final_block_that_ends_in_the_byte_of_its_text(), "aa"},
      {"a tail that was not removed", "\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff\x00"s, "Hello"},
      {"many empty final blocks", "\x03\x00\x03\x00\x03\x00\x03\x00\x00"s, ""},
      {"a final stored block", "\x01\x05\x00\xfa\xffHello\x00"s, "Hello"},
  };
  Sender runs;
  const std::string first_run = runs.write("Hello, ", Z_FINISH);
  cases.push_back({"two runs of a compressor, each with its final block",
                   first_run + runs.write("Hello", Z_FINISH) + "\0"s, "Hello, Hello"});
  cases.push_back(
      {"a final block and then a flush", first_run + runs.message("Hello"), "Hello, Hello"});
  // The match in the second block refers to before the final block.
  cases.push_back({"a final block does not end the window",
                   "\xf3\x48\xcd\xc9\xc9\x07\x00"s + "\x02\x11\x00\x00"s, "HelloHell"});
  const std::string text = sample(180);
  for (int level : {0, 1, 9}) {
    cases.push_back({"level " + std::to_string(level), Sender{level}.message(text), text});
  }
  cases.push_back({"codes alone", Sender{6, Z_HUFFMAN_ONLY}.message(text), text});
  cases.push_back({"runs of a byte", Sender{6, Z_RLE}.message("a" + std::string(400, 'b')),
                   "a" + std::string(400, 'b')});
  cases.push_back({"fixed codes", Sender{6, Z_FIXED}.message(text), text});
  // A final block whose payload may all be taken before its last match is written: the prefix of
  // 9-bit codes moves the match, and the end of the block, from bit to bit of the last bytes.
  for (std::size_t shift = 0; shift < 8; ++shift) {
    const std::string run = std::string(shift, '\xff') + "a" + std::string(300, 'b');
    cases.push_back({"shifted by " + std::to_string(shift) +
                         ", a final block that ends with a match, and nothing behind it",
                     Sender{6, Z_FIXED}.write(run, Z_FINISH), run});
  }
  Sender pieces;
  std::string flushed;
  for (const std::string_view part : {"one", "two", "three"}) {
    flushed += pieces.write(part, Z_FULL_FLUSH);
  }
  cases.push_back({"flushes within", flushed + pieces.message("four"), "onetwothreefour"});
  return cases;
}

TEST(Inflater, TakesEachCaseInEveryCutOfInputAndRoom) {
  for (const TakenCase& c : taken()) {
    for (const bool takeover : {false, true}) {
      SCOPED_TRACE(c.what + (takeover ? ", in a context" : ", alone"));
      Inflater inflater{15, takeover};
      for (std::size_t in = 1; in <= c.payload.size() + 1; ++in) {
        for (std::size_t out = 1; out <= std::min<std::size_t>(c.expected.size() + 1, 40); ++out) {
          ASSERT_EQ(inflated(inflater, c.payload, in, out), c.expected) << in << " and " << out;
        }
        ASSERT_EQ(inflated(inflater, c.payload, in, c.expected.size()), c.expected);
        ASSERT_EQ(inflated(inflater, c.payload, in, 70'000), c.expected);
      }
    }
  }
}

TEST(Inflater, AgreesWithADecoderWrittenFromTheRfc) {
  for (const TakenCase& c : taken()) {
    if (c.payload.empty() || c.what.ends_with("nothing behind it")) continue;
    EXPECT_EQ(ReferenceInflate{32'768}.message(c.payload), c.expected) << c.what;
  }
}

TEST(Inflater, NeedsNoRoomToSeeTheEnd) {
  Inflater inflater{15, false};
  const Bytes payload = to_bytes("\xf2\x48\xcd\xc9\xc9\x07\x00"s);
  std::span<const std::byte> in{payload};
  Bytes room(5);
  const Inflater::Step step = inflater.inflate(in, true, room);
  EXPECT_EQ(step.kind, StepKind::done);
  EXPECT_EQ(to_text(room), "Hello");

  in = payload;
  const Inflater::Step none = inflater.inflate(in, true, {});
  EXPECT_EQ(none.kind, StepKind::more_room);
  EXPECT_EQ(none.bytes, 0U);
  EXPECT_EQ(inflater.inflate(in, true, room).kind, StepKind::done) << "and on from there";
  EXPECT_EQ(to_text(room), "Hello");
}

TEST(Inflater, TakesAMessageWhoseEndIsToldLater) {
  for (const bool takeover : {false, true}) {
    Inflater inflater{15, takeover};
    for (const TakenCase& c : taken()) {
      const Bytes payload = to_bytes(c.payload);
      std::span<const std::byte> in{payload};
      Bytes room(4'096);
      const Inflater::Step before = inflater.inflate(in, false, room);
      ASSERT_EQ(before.kind, StepKind::done) << c.what;
      ASSERT_TRUE(in.empty());
      const Inflater::Step after =
          inflater.inflate(in, true, std::span{room}.subspan(before.bytes));
      ASSERT_EQ(after.kind, StepKind::done) << c.what;
      ASSERT_EQ(to_text(std::span{room}.first(before.bytes + after.bytes)), c.expected) << c.what;
    }
  }
}

TEST(Inflater, KeepsItsContextOrNot) {
  const std::string first = "\xf2\x48\xcd\xc9\xc9\x07\x00"s;
  const std::string second = "\xf2\x00\x11\x00\x00"s;  // RFC 7692, 7.2.3.2: refers to the first
  Inflater kept{15, true};
  EXPECT_EQ(inflated(kept, first), "Hello");
  EXPECT_EQ(inflated(kept, second), "Hello");
  EXPECT_EQ(inflated(kept, ""), "");
  EXPECT_EQ(inflated(kept, second), "Hello") << "an empty payload changes nothing";

  // One inflater serves many connections: none may read what another sent.
  Inflater alone{15, false};
  EXPECT_EQ(inflated(alone, first), "Hello");
  EXPECT_EQ(inflated(alone, second), kCorrupt);
  EXPECT_EQ(inflated(alone, first), "Hello") << "the next connection's message";
}

TEST(Inflater, ForgetsAMessageThatIsGivenUp) {
  const std::string text = sample(3'000);
  const std::string payload = Sender{}.message(text);
  Inflater inflater{15, false};
  for (std::size_t taken_bytes = 1; taken_bytes < payload.size(); taken_bytes += 13) {
    const Bytes half = to_bytes(payload.substr(0, taken_bytes));
    std::span<const std::byte> in{half};
    Bytes room(4'096);
    ASSERT_EQ(inflater.inflate(in, false, room).kind, StepKind::done);
    inflater.reset();
    ASSERT_EQ(inflated(inflater, payload), text);
  }
}

TEST(Inflater, KeepsContextsOfEachWindowOverManyMessages) {
  for (int bits = 9; bits <= 15; ++bits) {  // zlib sends none of 8
    Sender sender{6, Z_DEFAULT_STRATEGY, bits};
    Inflater inflater{static_cast<std::uint8_t>(bits), true};
    for (std::size_t i = 0; i < 60; ++i) {
      const std::string text = sample(i * i * 7);
      const std::string payload = text.empty() ? "\0"s : sender.message(text);
      ASSERT_EQ(inflated(inflater, payload, 1 + i * 3, 1 + i * 17), text) << bits << ' ' << i;
    }
  }
}

TEST(Inflater, ReadsWhatTheDeflaterWrites) {
  for (unsigned bits = kWindowBitsMin; bits <= kWindowBitsMax; ++bits) {
    for (const bool takeover : {false, true}) {
      Deflater deflater{static_cast<std::uint8_t>(bits), takeover};
      Inflater inflater{static_cast<std::uint8_t>(bits), takeover};
      for (const std::size_t size : {0U, 1U, 5U, 100U, 256U, 257U, 3'000U, 70'000U}) {
        const std::string text = sample(size);
        Bytes out(deflater.bound(size));
        const std::size_t bytes = deflater.deflate(std::as_bytes(std::span{text}), out);
        const std::string payload = to_text(std::span{out}.first(bytes));
        ASSERT_TRUE(inflated(inflater, payload, SIZE_MAX, 4'096) == text) << size;
      }
    }
  }
}

TEST(Inflater, KeepsToItsRoomHoweverMuchIsInside) {
  // 1 GiB of zeros would come of a MiB; the first 64 KiB are all that are asked for.
  const std::string payload = Sender{9}.message(std::string(16 << 20, '\0'));
  ASSERT_LT(payload.size(), 20'000U);
  Inflater inflater{15, false};
  const Bytes bytes = to_bytes(payload);
  std::span<const std::byte> in{bytes};
  Bytes room(65'536);
  const Inflater::Step step = inflater.inflate(in, true, room);
  EXPECT_EQ(step.kind, StepKind::more_room);
  EXPECT_EQ(step.bytes, room.size());
  EXPECT_GT(in.size(), payload.size() * 9 / 10) << "and what it is made of is still there";
  inflater.reset();
  EXPECT_EQ(inflated(inflater, "\x00"s), "");
}

struct BadStreamCase {
  std::string_view what;
  std::string payload;
};
const BadStreamCase kBadStreams[] = {
    {"a block of type 3", "\x07"s},
    {"a stored block whose length is not its complement's", "\x00\x05\x00\xfa\xfe"s},
    {"a stored block that is cut short", "\x00\x05\x00\xfa\xffHel"s},
    {"a block of fixed codes that is cut short", "\xf2\x48\xcd"s},
    {"a flush without its last byte", "\xf2\x48\xcd\xc9\xc9\x07"s},
    {"a match before the beginning", "\xf2\x00\x11\x00\x00"s},
    {"garbage behind a final block", "\xf3\x48\xcd\xc9\xc9\x07\x00garbage"s},
    {"a tail that was not removed, and nothing else", "\x00\x00\x00\xff"s},
    {"a distance code that does not exist", "\x02\x1f\x00"s},
    {"text", "Hello, world"s},
};

TEST(Inflater, RefusesEachCaseInEveryCut) {
  for (const BadStreamCase& c : kBadStreams) {
    for (const bool takeover : {false, true}) {
      SCOPED_TRACE(c.what);
      for (std::size_t in = 1; in <= c.payload.size(); ++in) {
        for (const std::size_t out : {1U, 3U, 4'096U}) {
          Inflater inflater{15, takeover};
          ASSERT_EQ(inflated(inflater, c.payload, in, out), kCorrupt) << in << " and " << out;
          const std::string next = inflated(inflater, "\x00"s);
          EXPECT_EQ(next, takeover ? kCorrupt : "") << "a context is lost, an inflater is not";
        }
      }
    }
  }
}

TEST(Inflater, SaysTheSameOfDamagedDataInEveryCutAndAsTheRfcsDecoder) {
  std::mt19937 random{11};
  const std::string text = sample(700);
  std::size_t whole = 0, refused = 0;
  for (unsigned i = 0; i < 3'000; ++i) {
    std::string payload = Sender{i % 2 == 0 ? 9 : 1, i % 3 == 0 ? Z_FIXED : 0}.message(text);
    for (unsigned n = random() % 4; n > 0; --n) {
      payload[random() % payload.size()] = static_cast<char>(random());
    }
    if (random() % 4 == 0) payload.resize(1 + random() % payload.size());
    Inflater inflater{15, false};
    const std::string once = inflated(inflater, payload, SIZE_MAX, 70'000);
    const std::string cut = inflated(inflater, payload, 1 + random() % 30, 1 + random() % 300);
    ASSERT_TRUE(once == cut) << i;
    const auto reference = ReferenceInflate{32'768}.message(payload);
    // The RFC's decoder takes codes that zlib calls incomplete or over-full; never the other way,
    // but for a final block with nothing behind it.
    if (once != kCorrupt && reference) {
      ASSERT_TRUE(once == *reference) << i;
    }
    ++(once == kCorrupt ? refused : whole);
  }
  EXPECT_GT(whole, 500U);
  EXPECT_GT(refused, 500U);
}

TEST(Inflater, SurvivesNoise) {
  std::mt19937 random{5};
  Inflater shared{15, false};
  for (unsigned i = 0; i < 20'000; ++i) {
    std::string payload(random() % 60, '\0');
    for (char& c : payload) c = static_cast<char>(random());
    const std::string once = inflated(shared, payload, SIZE_MAX, 1'000);
    ASSERT_TRUE(once == inflated(shared, payload, 1, 7)) << to_hex(payload);
    ASSERT_EQ(inflated(shared, "\xf2\x48\xcd\xc9\xc9\x07\x00"s), "Hello") << to_hex(payload);
  }
}

TEST(Inflater, CanBeMovedInTheMiddleOfAMessage) {
  const std::string text = sample(2'000);
  const std::string payload = Sender{}.message(text);
  Inflater before{15, true};
  const Bytes bytes = to_bytes(payload);
  std::span<const std::byte> in{bytes};
  Bytes room(2'000);
  const Inflater::Step step = before.inflate(in, true, std::span{room}.first(77));
  ASSERT_EQ(step.kind, StepKind::more_room);
  Inflater after = std::move(before);
  EXPECT_EQ(after.inflate(in, true, std::span{room}.subspan(77)).kind, StepKind::done);
  EXPECT_TRUE(to_text(room) == text);
}

}  // namespace
}  // namespace weir::wire
