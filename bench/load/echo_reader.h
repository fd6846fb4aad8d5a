// EchoReader: the frames of a server, taken apart and held against what was sent. Of every message
// the length and the kind are checked, of a sample every byte. It answers nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "message_pool.h"

namespace weir::bench {

class EchoReader {
 public:
  /// `pool` is borrowed. `deflate`: the extension was agreed to.
  EchoReader(const MessagePool& pool, bool deflate) noexcept : pool_{&pool}, deflate_{deflate} {}

  /// Takes what was received; returns how many messages it completed. Throws Wrong at the first
  /// byte that no echo server would have sent.
  std::uint64_t feed(std::string_view bytes);

  [[nodiscard]] bool closed() const noexcept { return closed_; }  // a Close frame has come
  [[nodiscard]] std::uint64_t compressed() const noexcept { return compressed_; }  // messages

 private:
  void begin_frame();
  void take_payload(std::string_view part);
  void end_frame();
  void end_message();
  [[nodiscard]] bool sampled() const noexcept { return index_ < 4 || index_ % 16 == 0; }

  const MessagePool* pool_;
  bool deflate_;
  bool closed_ = false;

  unsigned char header_[10] = {};
  std::size_t header_have_ = 0;
  std::size_t header_need_ = 2;
  std::uint64_t payload_left_ = 0;
  bool in_payload_ = false;

  std::uint64_t index_ = 0;     // of the message that is coming
  std::uint64_t received_ = 0;  // of its bytes, before inflation
  bool in_message_ = false;     // a fragment of it has come
  bool is_compressed_ = false;
  std::uint64_t compressed_ = 0;
  std::string deflated_;  // of a message in the sample
};

}  // namespace weir::bench
