#include "message_pool.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <random>

#include "wrong.h"

namespace weir::bench {
namespace {

// Little enough to stay out of the server's share of the cache.
constexpr std::size_t kPoolBytesMax = 1U << 20;

std::string text_of(std::size_t bytes, std::mt19937& random) {
  static constexpr std::string_view names[] = {"alder", "birch", "cedar",
                                               "larch", "maple", "rowan"};
  std::string text;
  text.reserve(bytes + 96);
  while (text.size() < bytes)
    fmt::format_to(std::back_inserter(text),
                   R"({{"id":{},"name":"{}","price":{}.{:02},"side":"{}"}},)", random() % 1'000'000,
                   names[random() % std::size(names)], random() % 1'000, random() % 100,
                   random() % 2 == 0 ? "buy" : "sell");
  text.resize(bytes);
  return text;
}

std::string binary_of(std::size_t bytes, std::mt19937& random) {
  std::string data(bytes, '\0');
  for (char& byte : data) byte = static_cast<char>(random());
  return data;
}

/// RFC 7692, section 7.2.1: flushed to a byte's end, without the empty block's last 4 bytes.
std::string deflated(std::string_view payload) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, MAX_MEM_LEVEL,
                   Z_DEFAULT_STRATEGY) != Z_OK)
    throw Wrong{"zlib does not start"};
  std::string out(deflateBound(&stream, static_cast<uLong>(payload.size())) + 16, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(payload.data()));  // only read
  stream.avail_in = static_cast<uInt>(payload.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = deflate(&stream, Z_SYNC_FLUSH);
  out.resize(stream.total_out - 4);
  deflateEnd(&stream);
  if (result != Z_OK) throw Wrong{"zlib does not compress"};
  return out;
}

}  // namespace

std::string masked_frame(std::uint8_t first_byte, std::string_view payload, std::uint32_t key) {
  const std::uint64_t length = payload.size();
  std::string frame(1, static_cast<char>(first_byte));
  const int bytes_of_length = length < 126 ? 0 : length <= 0xffff ? 2 : 8;
  frame += static_cast<char>(0x80U | (bytes_of_length == 0   ? static_cast<unsigned>(length)
                                      : bytes_of_length == 2 ? 126U
                                                             : 127U));
  for (int i = bytes_of_length - 1; i >= 0; --i) frame += static_cast<char>(length >> (8 * i));
  char mask[4];
  for (int i = 0; i < 4; ++i) mask[i] = static_cast<char>(key >> (8 * i));
  frame.append(mask, 4);
  for (std::size_t i = 0; i < payload.size(); ++i)
    frame += static_cast<char>(payload[i] ^ mask[i % 4]);
  return frame;
}

MessagePool::MessagePool(Shape shape) : binary_{shape.binary} {
  std::mt19937 random{1};  // NOLINT: every run sends the same
  const std::size_t count = std::clamp<std::size_t>(
      kPoolBytesMax / std::max<std::size_t>(shape.bytes, 1), 1, shape.count_max);
  for (std::size_t i = 0; i < count; ++i) {
    payloads_.push_back(shape.binary ? binary_of(shape.bytes, random)
                                     : text_of(shape.bytes, random));
    starts_.push_back(frames_.size());
    const unsigned first = 0x80U | (shape.compressed ? 0x40U : 0U) | (shape.binary ? 2U : 1U);
    frames_ += masked_frame(static_cast<std::uint8_t>(first),
                            shape.compressed ? deflated(payloads_.back()) : payloads_.back(),
                            static_cast<std::uint32_t>(random()));
  }
  starts_.push_back(frames_.size());
}

std::string_view MessagePool::frames(std::uint64_t index, std::uint64_t count,
                                     std::size_t skip) const noexcept {
  const std::size_t first = index % size();
  const std::size_t end = std::min<std::uint64_t>(first + count, size());
  return std::string_view{frames_}.substr(starts_[first] + skip,
                                          starts_[end] - starts_[first] - skip);
}

}  // namespace weir::bench
