// Stream: the TLS of one connection, server side: ciphertext in and out as bytes, plaintext in and
// out as bytes. No socket, no ring, no clock: whoever owns the connection moves the bytes, and
// watches how long a handshake takes.
//
//   handshake --established--> open --peer's close_notify--> closed
//        \------------------------+---- any error ---------> failed
//
// An established stream that is idle keeps 13.0 KiB in TLS 1.2 and 13.9 KiB in TLS 1.3 (OpenSSL
// 3.0.19, by malloc's count over 2,000 streams, X25519 and AES-128-GCM). Of that, 7.4 KiB are
// OpenSSL's SSL and 1.9 its two AES-GCM contexts; ours are some 100 bytes. Record buffers are
// there only while a record is under way. A handshake under way holds 24 KiB more, 62 while half a
// record has come, and 195 if the peer sends most of a hello of the 128 KiB that OpenSSL takes:
// bound the handshakes.
//
// A TCP connection that ends without close_notify is the owner's to judge: it just stops feeding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

struct ssl_st;      // OpenSSL's SSL
struct ssl_ctx_st;  // and SSL_CTX

namespace weir::tls {

/// Where a stream writes ciphertext. Called during read(), write() and close() only.
class Sink {
 public:
  Sink() = default;
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;
  /// Takes all of it: a copy, for it is lent for the call. Must not throw, nor call the stream.
  virtual void put(std::span<const std::byte> ciphertext) = 0;

 protected:
  ~Sink() = default;
};

class Stream {
 public:
  /// Made by Context::open().
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream();

  enum class Kind : std::uint8_t {
    data,       // `bytes` of plaintext are in `out`; there may be more
    need_more,  // all ciphertext so far is taken
    closed,     // the peer's close_notify: it sends nothing more (RFC 8446, 6.1)
    failed,     // handshake or record error: an alert may be in the sink; why() says what
  };
  struct Read {
    Kind kind;
    std::size_t bytes;
  };

  /// Hands over the next ciphertext, borrowed until read() has said something other than `data`.
  /// Only when it has: one piece at a time. After `closed` or `failed` it is passed over.
  void feed(std::span<const std::byte> ciphertext) noexcept;
  /// The next plaintext into `out`, which is not empty (16 KiB hold a whole record), driving the
  /// handshake as needed. What the peer makes us answer goes to the sink at about the rate at
  /// which it sends.
  [[nodiscard]] Read read(std::span<std::byte> out, Sink& sink) noexcept;
  /// Encrypts all of `plaintext`, in records of at most 16 KiB, each put as one piece. Only once
  /// established, and before close(). False: the stream has failed.
  [[nodiscard]] bool write(std::span<const std::byte> plaintext, Sink& sink) noexcept;
  /// Sends close_notify, once; not after a failure or before the handshake is done. What the peer
  /// still sends can be read afterwards.
  void close(Sink& sink) noexcept;

  [[nodiscard]] bool established() const noexcept { return established_; }
  /// Whether the session was resumed from a ticket.
  [[nodiscard]] bool resumed() const noexcept;
  /// Why it failed, in a few words for a log line; empty while it has not.
  [[nodiscard]] std::string_view why() const noexcept { return why_; }

 private:
  friend class Context;
  struct Bytes;  // the BIO between OpenSSL and the two spans

  [[nodiscard]] static std::unique_ptr<Stream> create(ssl_ctx_st* context) noexcept;
  explicit Stream(ssl_st* ssl) noexcept : ssl_{ssl} {}
  /// What OpenSSL's `result`, which is no success, means for the stream.
  [[nodiscard]] Kind judge(int result) noexcept;

  ssl_st* ssl_;                    // owned
  std::span<const std::byte> in_;  // fed, and not yet read
  Sink* sink_ = nullptr;           // lent for the length of a call
  std::string_view why_;           // of static storage
  bool established_ = false;
  bool failed_ = false;
  bool closed_ = false;   // the peer's close_notify has come
  bool closing_ = false;  // ours has gone
};

}  // namespace weir::tls
