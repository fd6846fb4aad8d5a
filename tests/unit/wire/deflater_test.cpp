// What the compressor writes: DEFLATE data, in its bounds, within its window. It is read back by
// a decoder of the tests' own and by zlib.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <random>
#include <string>
#include <string_view>

#include "bytes.h"
#include "reference_inflate.h"
#include "weir/wire/deflate.h"

namespace weir::wire {
namespace {

using namespace std::string_literals;

/// Memory with a page behind it, and one before, that may not be touched: ISA-L is assembly,
/// which sanitizers do not see. Bytes end at the page behind, or begin at the page before.
class Guarded {
 public:
  explicit Guarded(std::size_t bytes_max)
      : size_{(bytes_max + kPage - 1) / kPage * kPage},
        map_{static_cast<std::byte*>(
            mmap(nullptr, size_ + 2 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))} {
    mprotect(map_ + kPage, size_, PROT_READ | PROT_WRITE);
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  ~Guarded() { munmap(map_, size_ + 2 * kPage); }

  [[nodiscard]] std::span<std::byte> at_the_end(std::size_t bytes) const {
    return {map_ + kPage + size_ - bytes, bytes};
  }
  [[nodiscard]] std::span<std::byte> at_the_beginning(std::size_t bytes) const {
    return {map_ + kPage, bytes};
  }

 private:
  static constexpr std::size_t kPage = 4096;
  std::size_t size_;
  std::byte* map_;
};

std::string deflated(Deflater& deflater, std::string_view message) {
  Bytes out(deflater.bound(message.size()));
  const std::size_t size = deflater.deflate(std::as_bytes(std::span{message}), out);
  return to_text(std::span{out}.first(size));
}

/// Words in a random order, numbers between them: compressible as text is.
std::string prose(std::size_t bytes, unsigned seed) {
  constexpr std::string_view kWords[]{"the ", "server ", "of ",    "message ", "a ",
                                      "to ",  "frame ",  "price ", "and ",     "worker "};
  std::mt19937 random{seed};
  std::string text;
  while (text.size() < bytes) {
    text += kWords[random() % std::size(kWords)];
    if (random() % 4 == 0) text += std::to_string(random());
  }
  text.resize(bytes);
  return text;
}

std::string noise(std::size_t bytes, unsigned seed) {
  std::mt19937 random{seed};
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

/// A random piece, repeated at a random distance: makes the most of any window.
std::string echoes(std::size_t bytes, unsigned seed) {
  std::mt19937 random{seed};
  std::string text = noise(300, seed);
  while (text.size() < bytes) {
    const std::size_t back = 1 + random() % std::min<std::size_t>(text.size(), 40'000);
    const std::size_t size = std::min<std::size_t>(back, 3 + random() % 90);
    text += text.substr(text.size() - back, size);
    text += static_cast<char>(random());
  }
  text.resize(bytes);
  return text;
}

struct ContentKind {
  std::string_view what;
  std::string (*make)(std::size_t bytes, unsigned seed);
};
constexpr ContentKind kKinds[] = {
    {"prose", prose},
    {"noise", noise},
    {"echoes", echoes},
    {"one letter", [](std::size_t bytes, unsigned) { return std::string(bytes, 'x'); }},
};

// Around: the change from fixed to own codes, a window of 8 bits, the blocks of both libraries.
constexpr std::size_t kSizes[] = {
    1,   2,   3,   4,   7,   8,   15,  31,  100,   127,   128,    129,    249,    250,    251,
    255, 256, 257, 258, 300, 511, 512, 513, 1'000, 4'096, 16'384, 32'768, 65'535, 65'536, 140'000};

TEST(Deflater, WritesWhatInflatesToTheMessageWithinItsWindow) {
  for (unsigned bits = kWindowBitsMin; bits <= kWindowBitsMax; ++bits) {
    for (const bool takeover : {false, true}) {
      Deflater deflater{static_cast<std::uint8_t>(bits), takeover};
      ReferenceInflate reference{std::size_t{1} << bits};
      for (const ContentKind& kind : kKinds) {
        for (const std::size_t size : kSizes) {
          const std::string message = kind.make(size, static_cast<unsigned>(size));
          if (!takeover) reference.forget();
          const auto back = reference.message(deflated(deflater, message));
          ASSERT_TRUE(back.has_value()) << kind.what << " of " << size << ", window " << bits;
          ASSERT_EQ(*back == message, true) << kind.what << " of " << size << ", window " << bits;
        }
      }
      EXPECT_GT(reference.farthest(), (std::size_t{2} << bits) / 5) << "much of it is used";
    }
  }
}

TEST(Deflater, RefersBack250BytesAtMostInAContextOf8Bits) {
  Deflater deflater{8, true};
  ReferenceInflate reference{250};
  for (unsigned i = 0; i < 200; ++i) {
    const std::string message = echoes(20 + i * 7, i);
    ASSERT_EQ(reference.message(deflated(deflater, message)), message) << i;
  }
  EXPECT_GT(reference.farthest(), 200U);
}

TEST(Deflater, LeavesTheTailOff) {
  for (const bool takeover : {false, true}) {
    for (const std::size_t size : kSizes) {
      Deflater deflater{15, takeover};
      const std::string payload = deflated(deflater, prose(size, 1));
      EXPECT_FALSE(payload.ends_with("\0\0\xff\xff"s)) << size;
      // What is left of the empty block: three bits of header, which are 0, and padding.
      EXPECT_EQ(static_cast<unsigned char>(payload.back()) >> 5, 0) << size;
    }
  }
}

TEST(Deflater, WritesAnEmptyMessageAsOneByte) {
  for (const bool takeover : {false, true}) {
    Deflater deflater{15, takeover};
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(to_hex(deflated(deflater, "")), "00") << "RFC 7692, 7.2.3.6";
    }
    ReferenceInflate reference{32'768};
    EXPECT_EQ(reference.message(deflated(deflater, "Hello")), "Hello");
  }
}

TEST(Deflater, WritesTheExamplesOfTheRfc) {
  Deflater kept{15, true};
  EXPECT_EQ(to_hex(deflated(kept, "Hello")), "f2 48 cd c9 c9 07 00") << "7.2.3.1";
  EXPECT_EQ(to_hex(deflated(kept, "Hello")), "f2 00 11 00 00") << "7.2.3.2";
  Deflater alone{15, false};
  EXPECT_EQ(to_hex(deflated(alone, "Hello")), "f2 48 cd c9 c9 07 00") << "7.2.3.1";
  EXPECT_EQ(to_hex(deflated(alone, "Hello")), "f2 48 cd c9 c9 07 00") << "and again";
}

TEST(Deflater, SaysOfAMessageAloneTheSameWhateverWentBefore) {
  Deflater used{15, false};
  for (const ContentKind& kind : kKinds) {
    for (const std::size_t size : kSizes) {
      const std::string message = kind.make(size, 3);
      Deflater fresh{15, false};
      ASSERT_TRUE(deflated(used, message) == deflated(fresh, message)) << kind.what << size;
    }
  }
}

TEST(Deflater, MakesSmallOfAMessageThatItHasSeen) {
  Deflater deflater{15, true};
  const std::string message = noise(1'000, 7);
  EXPECT_GT(deflated(deflater, message).size(), 1'000U);
  EXPECT_LT(deflated(deflater, message).size(), 50U);
}

TEST(Deflater, TouchesNothingOutsideTheMessageAndItsOwnRoom) {
  Deflater deflaters[]{Deflater{15, false}, Deflater{15, true}, Deflater{8, false}};
  const std::size_t bytes_max = 140'000;
  const Guarded in{bytes_max};
  const Guarded out{deflaters[0].bound(bytes_max)};
  const auto expect_whole = [&](Deflater& deflater, std::span<const std::byte> message) {
    const std::size_t room = deflater.bound(message.size());
    EXPECT_LE(deflater.deflate(message, out.at_the_end(room)), room);
    EXPECT_LE(deflater.deflate(message, out.at_the_beginning(room)), room);
  };
  std::vector<std::size_t> sizes(std::begin(kSizes), std::end(kSizes));
  for (std::size_t size = 1; size < 700; ++size) sizes.push_back(size);
  for (Deflater& deflater : deflaters) {
    for (const ContentKind& kind : kKinds) {
      for (const std::size_t size : sizes) {
        const std::string text = kind.make(size, static_cast<unsigned>(size));
        for (const auto place : {in.at_the_end(size), in.at_the_beginning(size)}) {
          std::ranges::copy(std::as_bytes(std::span{text}), place.begin());
          expect_whole(deflater, place);
        }
      }
    }
  }
}

TEST(Deflater, StaysInItsBoundWithWhatCannotBeCompressed) {
  for (const bool takeover : {false, true}) {
    for (unsigned bits = kWindowBitsMin; bits <= kWindowBitsMax; ++bits) {
      Deflater deflater{static_cast<std::uint8_t>(bits), takeover};
      ReferenceInflate reference{std::size_t{1} << bits};
      for (const std::size_t size : kSizes) {
        if (!takeover) reference.forget();
        const std::string message = noise(size, bits);
        const std::string payload = deflated(deflater, message);
        EXPECT_LE(payload.size(), size + size / 64 + 64);
        ASSERT_TRUE(reference.message(payload) == message) << size << ", window " << bits;
      }
    }
  }
}

TEST(Deflater, BeginsAnewBehindWhatItHadToStore) {
  // In the least memory zlib stores noise in blocks of some 250 bytes, and so goes over the bound.
  Deflater deflater{9, true};
  ReferenceInflate reference{512};
  const std::string message = noise(100'000, 1);
  const std::string stored = deflated(deflater, message);
  EXPECT_EQ(stored.size(), message.size() + 2 * 5 + 1) << "two blocks, and the end";
  EXPECT_EQ(to_hex(stored.substr(0, 5)), "00 ff ff 00 00");
  EXPECT_EQ(to_hex(stored.substr(5 + 65'535, 5)), "00 a1 86 5e 79") << "34,465 bytes";
  ASSERT_TRUE(reference.message(stored) == message);
  for (const std::string& next : {message.substr(99'700), std::string{"Hello"}, prose(900, 2)}) {
    ASSERT_EQ(reference.message(deflated(deflater, next)), next);
  }
}

TEST(Deflater, CanBeMoved) {
  Deflater one{15, true};
  ReferenceInflate reference{32'768};
  EXPECT_EQ(reference.message(deflated(one, "Hello")), "Hello");
  Deflater two = std::move(one);
  EXPECT_EQ(reference.message(deflated(two, "Hello")), "Hello");
  Deflater three{9, false};
  three = std::move(two);
  const std::string payload = deflated(three, "Hello");
  EXPECT_LE(payload.size(), 5U) << "the context came along";
  EXPECT_EQ(reference.message(payload), "Hello");
}

}  // namespace
}  // namespace weir::wire
