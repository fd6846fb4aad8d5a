// Carrier: how sessions get to other workers. What Sessions knows of the world of processes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace weir::session {

enum class Carried : std::uint8_t {
  taken,    // the session is not ours any more
  no_room,  // not now; ask again
  gone,     // nobody is there any more; it may go to another
  refused,  // not to there, not this one
};

class Carrier {
 public:
  Carrier() = default;
  Carrier(const Carrier&) = delete;
  Carrier& operator=(const Carrier&) = delete;
  virtual ~Carrier() = default;

  /// Takes a session, as its packed parcel and its socket, of which the caller closes its own, to
  /// the worker of slot `target`; all of it or nothing.
  [[nodiscard]] virtual Carried carry(int fd, std::span<const std::byte> parcel,
                                      std::uint32_t target) noexcept = 0;
};

}  // namespace weir::session
