// RequestBook: the requests of a skewed load, each a message whose cost to the server is known. An
// echo is as dear as its message is long, most of all compressed: the server inflates it and
// compresses it again, while the client sends bytes that were made before. So a cost is a size.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "weir/base/socket_address.h"

namespace weir::bench {

struct Request {
  std::string frame;   // as it goes over the wire
  std::string answer;  // to the byte the same each time: every message is compressed by itself
};

class RequestBook {
 public:
  struct Size {
    std::size_t bytes;      // of the message, before compression
    std::uint64_t cost_ns;  // CPU of the server; ascending from size to size
    bool compressed;
  };
  /// `sizes`: at least one.
  explicit RequestBook(const std::vector<Size>& sizes);

  /// Sends each request to `server` once, holds what comes back against what was sent, to the last
  /// byte, and keeps it as the answer that must come from then on. Blocks, each read for `patience`
  /// at most; throws Wrong.
  void learn_answers(const SocketAddress& server, std::chrono::seconds patience);

  /// Which request costs about `cost_ns`, and how many of it one after the other: more than one
  /// where the largest alone does not cost enough.
  struct Choice {
    std::uint32_t request;
    std::uint32_t count;
  };
  [[nodiscard]] Choice choose(double cost_ns) const noexcept;

  [[nodiscard]] const Request& operator[](std::size_t request) const noexcept {
    return requests_[request];
  }
  /// Whether sessions have to agree to permessage-deflate.
  [[nodiscard]] bool deflate() const noexcept { return sizes_.back().compressed; }

 private:
  std::vector<Size> sizes_;
  std::vector<Request> requests_;
};

}  // namespace weir::bench
