#include "echo_reader.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

#include "wrong.h"

namespace weir::bench {
namespace {

constexpr unsigned kClose = 8;

/// Whether `deflated` inflates to exactly `expected`.
bool inflates_to(std::string deflated, std::string_view expected) {
  deflated.append("\x00\x00\xff\xff", 4);  // RFC 7692, section 7.2.2
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw Wrong{"zlib does not start"};
  std::string out(expected.size() + 1, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(deflated.data());
  stream.avail_in = static_cast<uInt>(deflated.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = inflate(&stream, Z_SYNC_FLUSH);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return (result == Z_OK || result == Z_BUF_ERROR || result == Z_STREAM_END) && out == expected;
}

}  // namespace

std::uint64_t EchoReader::feed(std::string_view bytes) {
  const std::uint64_t before = index_;
  while (!bytes.empty()) {
    if (closed_) throw Wrong{"bytes came after the Close frame"};
    if (!in_payload_) {
      header_[header_have_++] = static_cast<unsigned char>(bytes.front());
      bytes.remove_prefix(1);
      if (header_have_ == 2)
        header_need_ = (header_[1] & 0x7fU) == 126 ? 4 : (header_[1] & 0x7fU) == 127 ? 10 : 2;
      if (header_have_ == header_need_) begin_frame();
      continue;
    }
    const std::string_view part = bytes.substr(0, payload_left_);
    take_payload(part);
    bytes.remove_prefix(part.size());
    payload_left_ -= part.size();
    if (payload_left_ == 0) end_frame();
  }
  return index_ - before;
}

void EchoReader::begin_frame() {
  payload_left_ = header_[1] & 0x7fU;
  if (header_need_ > 2) {
    payload_left_ = 0;
    for (std::size_t i = 2; i < header_need_; ++i) payload_left_ = payload_left_ << 8 | header_[i];
  }
  header_have_ = 0;
  header_need_ = 2;
  in_payload_ = true;

  const unsigned opcode = header_[0] & 0x0fU;
  if ((header_[1] & 0x80U) != 0) throw Wrong{"the server masks its frames"};
  if (opcode == kClose) {
    // In the middle of a load nobody has asked for it: the caller sees closed().
  } else if (in_message_ ? opcode != 0 : opcode != (pool_->binary() ? 2U : 1U)) {
    throw Wrong{fmt::format("a frame of opcode {} came", opcode)};
  } else if (!in_message_) {
    is_compressed_ = (header_[0] & 0x40U) != 0;
    if (is_compressed_ && !deflate_)
      throw Wrong{"a compressed message came, and none was agreed to"};
    in_message_ = true;
  }
  if (payload_left_ == 0) end_frame();
}

void EchoReader::take_payload(std::string_view part) {
  if ((header_[0] & 0x0fU) == kClose) return;
  if (is_compressed_) {
    if (sampled()) deflated_ += part;
  } else {
    const std::string_view expected = pool_->payload(index_);
    if (received_ + part.size() > expected.size())
      throw Wrong{
          fmt::format("message {} came back longer than {} bytes", index_, expected.size())};
    if (sampled() && expected.substr(received_, part.size()) != part)
      throw Wrong{fmt::format("message {} came back with other content", index_)};
  }
  received_ += part.size();
}

void EchoReader::end_frame() {
  in_payload_ = false;
  if ((header_[0] & 0x0fU) == kClose)
    closed_ = true;
  else if ((header_[0] & 0x80U) != 0)
    end_message();
}

void EchoReader::end_message() {
  const std::string_view expected = pool_->payload(index_);
  if (is_compressed_) {
    if (sampled() && !inflates_to(std::move(deflated_), expected))
      throw Wrong{fmt::format("message {} does not inflate to what was sent", index_)};
    deflated_.clear();
    ++compressed_;
  } else if (received_ != expected.size()) {
    throw Wrong{fmt::format("message {} came back with {} bytes, not {}", index_, received_,
                            expected.size())};
  }
  ++index_;
  received_ = 0;
  in_message_ = false;
}

}  // namespace weir::bench
