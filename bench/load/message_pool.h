// MessagePool: the messages that a load sends, made before anything is measured. Each is kept as
// it goes over the wire (masked frame, compressed or not) and as it has to come back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir::bench {

/// A masked client frame around `payload`. `first_byte`: FIN, reserved bits and opcode.
[[nodiscard]] std::string masked_frame(std::uint8_t first_byte, std::string_view payload,
                                       std::uint32_t key);

class MessagePool {
 public:
  struct Shape {
    std::size_t bytes = 64;      // of each message, before compression
    bool binary = false;         // random bytes; else text, lines of JSON
    bool compressed = false;     // each deflated by itself
    std::size_t count_max = 64;  // messages; fewer where they are long
  };
  explicit MessagePool(Shape shape);

  [[nodiscard]] std::size_t size() const noexcept { return payloads_.size(); }
  /// What has to come back for message `index`, counted from a connection's first.
  [[nodiscard]] std::string_view payload(std::uint64_t index) const noexcept {
    return payloads_[index % size()];
  }
  /// The bytes to send for up to `count` messages from `index` on, without the first `skip` bytes
  /// of the first. Ends early where the pool does: ask again.
  [[nodiscard]] std::string_view frames(std::uint64_t index, std::uint64_t count,
                                        std::size_t skip) const noexcept;
  [[nodiscard]] std::size_t frame_bytes(std::uint64_t index) const noexcept {
    const std::size_t i = index % size();
    return starts_[i + 1] - starts_[i];
  }
  [[nodiscard]] bool binary() const noexcept { return binary_; }

 private:
  bool binary_;
  std::vector<std::string> payloads_;
  std::string frames_;               // one after the other
  std::vector<std::size_t> starts_;  // of each in frames_, and the end
};

}  // namespace weir::bench
