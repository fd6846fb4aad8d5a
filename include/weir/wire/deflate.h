// permessage-deflate (RFC 7692): what is agreed in the opening handshake, and afterwards the two
// directions of one connection's compression.
//
// Bytes in, bytes out: no sockets, no clock. Frames are the frame codec's; which messages are
// compressed is the session's to decide.
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace weir::wire {

/// How a server compresses.
///   shared     no context takeover in either direction: every message stands alone, so that one
///              compressor and one inflater serve all sessions of a worker, and a session holds
///              nothing.
///   dedicated  each session keeps both contexts, where its client agrees: smaller messages for
///              memory, see deflater_bytes() and inflater_bytes().
enum class Compression : std::uint8_t { off, shared, dedicated };

inline constexpr std::uint8_t kWindowBitsMin = 8;  // RFC 7692, 7.1.2
inline constexpr std::uint8_t kWindowBitsMax = 15;

/// What the operator allows. One for all handshakes.
struct DeflateRules {
  Compression mode = Compression::off;
  /// With `dedicated`: the largest window that a session keeps for either direction, 9 to 15. A
  /// client that did not say that it knows client_max_window_bits, and so cannot be held to less
  /// than 15, is told to keep no context instead.
  std::uint8_t window_bits = kWindowBitsMax;
};

/// What was agreed for one connection (RFC 7692, 7.1).
struct DeflateTerms {
  bool server_no_context_takeover = false;
  bool client_no_context_takeover = false;
  std::uint8_t server_window_bits = kWindowBitsMax;  // of what the server sends, 8 to 15
  std::uint8_t client_window_bits = kWindowBitsMax;  // of what the client sends, 8 to 15
};

/// The value of Sec-WebSocket-Extensions in the 101. In place, so that a handshake allocates
/// nothing for it.
class DeflateResponse {
 public:
  /// `text` has to fit in what is left of the longest response there is.
  void append(std::string_view text) noexcept {
    assert(text.size() <= text_.size() - size_);
    size_ += text.copy(text_.data() + size_, text.size());
  }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  operator std::string_view() const noexcept { return {text_.data(), size_}; }

 private:
  static constexpr std::string_view kLongest =
      "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
      "; server_max_window_bits=15; client_max_window_bits=15";
  std::array<char, kLongest.size()> text_{};
  std::size_t size_ = 0;
};

struct DeflateAnswer {
  enum class Kind : std::uint8_t {
    none,       // not asked for, or no offer could be taken: the connection goes on without
    agreed,     // terms and response are set
    malformed,  // not the grammar of RFC 6455, 9.1: the handshake has to fail with 400
  };
  Kind kind = Kind::none;
  DeflateTerms terms{};
  DeflateResponse response{};
};

/// Takes the first offer of permessage-deflate that can be taken, in the order given, over all
/// `headers` (the values of the request's Sec-WebSocket-Extensions lines, in order). An offer
/// with an unknown, repeated or ill-valued parameter is declined, and the next one looked at;
/// other extensions are passed over. Names are matched in their case. Where the mode is off, what
/// is malformed is so all the same.
///
/// shared: always server_no_context_takeover and client_no_context_takeover, which a server may
/// answer unasked (7.1.1). The client's window is not limited: one inflater of 15 bits serves all.
/// dedicated: as the client asks, within window_bits.
[[nodiscard]] DeflateAnswer negotiate_deflate(std::span<const std::string_view> headers,
                                              const DeflateRules& rules);

/// What one Deflater that keeps its context takes of memory, all of it when it is constructed:
/// zlib's window twice, a hash with a bucket for each byte of it, its buffers, and what does not
/// depend on the window. 9 (and 8, which has zlib's window of 9): 10 KiB; 12: 38 KiB; 15: 262 KiB.
[[nodiscard]] constexpr std::size_t deflater_bytes(std::uint8_t window_bits) noexcept {
  const unsigned bits = window_bits < 9 ? 9 : window_bits;
  return (std::size_t{8} << bits) + 6'400;
}
/// And one Inflater, with or without context: its window and what does not depend on it.
[[nodiscard]] constexpr std::size_t inflater_bytes(std::uint8_t window_bits) noexcept {
  return (std::size_t{1} << window_bits) + 7'680;
}

/// The window of any context that is kept, at its largest: room for what window() writes.
inline constexpr std::size_t kWindowBytesMax = std::size_t{1} << kWindowBitsMax;
/// And what a Deflater's can have: zlib has none of 8 bits, see deflater_bytes().
[[nodiscard]] constexpr std::size_t deflater_window_bytes_max(std::uint8_t window_bits) noexcept {
  return std::size_t{1} << (window_bits < 9 ? 9 : window_bits);
}
/// And an Inflater's.
[[nodiscard]] constexpr std::size_t inflater_window_bytes_max(std::uint8_t window_bits) noexcept {
  return std::size_t{1} << window_bits;
}

/// One direction out: messages to DEFLATE data. With no context takeover one serves any number of
/// connections with the same window.
class Deflater {
 public:
  /// `window_bits` 8 to 15. `takeover`: each message may refer to those before it. Allocates all
  /// that it will need, and throws std::bad_alloc: deflater_bytes(), or some 360 KiB without
  /// takeover.
  Deflater(std::uint8_t window_bits, bool takeover);
  Deflater(Deflater&&) noexcept;
  Deflater& operator=(Deflater&&) noexcept;
  ~Deflater();

  /// The most that deflate() can need for a message of `bytes`: what cannot be compressed is
  /// stored.
  [[nodiscard]] std::size_t bound(std::size_t bytes) const noexcept;
  /// Compresses one message into the front of `out`, which has bound() bytes of room, and returns
  /// how many it took, at least 1: the payload of a compressed message, its tail 00 00 ff ff
  /// removed (RFC 7692, 7.2.1). With takeover, what is returned has to be sent, and in this order:
  /// the next message may refer to it.
  [[nodiscard]] std::size_t deflate(std::span<const std::byte> message,
                                    std::span<std::byte> out) noexcept;

  /// All that there is to a context between two messages: the end of what has been said, to which
  /// the next message may refer. Writes it to the front of `out` and returns its size, at most
  /// deflater_window_bytes_max(). Only with takeover.
  [[nodiscard]] std::size_t window(std::span<std::byte, kWindowBytesMax> out) const noexcept;
  /// Goes on, with takeover, where the one of these `window_bits` left off whose window() this is.
  /// Throws as the constructor does. A longer `window` than that can be is cut from its front.
  [[nodiscard]] static Deflater restore(std::uint8_t window_bits,
                                        std::span<const std::byte> window);

 private:
  struct State;
  explicit Deflater(std::unique_ptr<State> state) noexcept;

  std::unique_ptr<State> state_;
};

/// One direction in: the payload of compressed messages to the messages. With no context takeover
/// one serves any number of connections, a message at a time.
class Inflater {
 public:
  /// `window_bits` 8 to 15: what the other side may refer back to. What refers further back may
  /// be found corrupt or not, but never gives what is not this connection's. Allocates all that
  /// it will need, inflater_bytes(), and throws std::bad_alloc.
  Inflater(std::uint8_t window_bits, bool takeover);
  Inflater(Inflater&&) noexcept;
  Inflater& operator=(Inflater&&) noexcept;
  ~Inflater();

  struct Step {
    enum class Kind : std::uint8_t {
      more_room,  // `out` is full: call again with the rest of `in`, which may be empty
      done,       // all of `in` is taken; with `last`, the message is whole
      corrupt,    // not DEFLATE data, or not to its end: the connection has to fail
    };
    Kind kind;
    std::size_t bytes;  // written to the front of `out`
  };
  /// Takes from the front of `in`, which it advances, and writes to `out`, not one byte past it:
  /// a bomb costs what the caller has room for. `last`: `in` ends its message, so that the tail
  /// 00 00 ff ff follows (7.2.2) and with no context takeover the next message starts afresh.
  /// `in` may be empty. Without `last`, the last bytes of what it says may come with the next call.
  ///
  /// - A final block (BFINAL) ends a run of the sender's compressor, not the message: blocks may
  ///   follow from the next byte on (7.2.1, 7.2.3.4), and the window stays.
  /// - An empty payload is taken for an empty message, and one that ends with a final block for
  ///   whole, though a sender should have put 00 there.
  /// - After `corrupt` an inflater that keeps its context says `corrupt` for ever; another is
  ///   ready for the next connection's message.
  [[nodiscard]] Step inflate(std::span<const std::byte>& in, bool last,
                             std::span<std::byte> out) noexcept;
  /// Forgets a message that was not taken to its end, as one must before the next connection's.
  /// Only without context takeover.
  void reset() noexcept;

  /// As Deflater's: the end of what was inflated, at most inflater_window_bytes_max(). Only with
  /// takeover, between two messages and not after `corrupt`.
  [[nodiscard]] std::size_t window(std::span<std::byte, kWindowBytesMax> out) const noexcept;
  [[nodiscard]] static Inflater restore(std::uint8_t window_bits,
                                        std::span<const std::byte> window);
  /// As constructed.
  [[nodiscard]] std::uint8_t window_bits() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weir::wire
