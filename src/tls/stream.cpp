#include "weir/tls/stream.h"

#include <openssl/err.h>

#include <algorithm>
#include <cassert>
#include <climits>
#include <cstring>
#include <new>

#include "openssl.h"

namespace weir::tls {
namespace {

/// OpenSSL reads its own queue to judge a result. What other code left there is not of this stream.
void forget_old_errors() noexcept {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

}  // namespace

/// Ciphertext goes from the span that was fed straight to OpenSSL's record buffer, and from there
/// straight to the sink: no BIO of memory, no copy of ours.
struct Stream::Bytes {
  static int read(BIO* bio, char* out, int size) noexcept {
    auto& stream = *static_cast<Stream*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    const std::size_t bytes = std::min(stream.in_.size(), static_cast<std::size_t>(size));
    if (bytes == 0) {
      BIO_set_retry_read(bio);
      return -1;
    }
    std::memcpy(out, stream.in_.data(), bytes);
    stream.in_ = stream.in_.subspan(bytes);
    return static_cast<int>(bytes);
  }

  static int write(BIO* bio, const char* in, int size) noexcept {
    const auto& stream = *static_cast<const Stream*>(BIO_get_data(bio));
    assert(stream.sink_ != nullptr);
    BIO_clear_retry_flags(bio);
    stream.sink_->put({reinterpret_cast<const std::byte*>(in), static_cast<std::size_t>(size)});
    return size;
  }

  static long control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) noexcept {
    return command == BIO_CTRL_FLUSH ? 1 : 0;  // 0: what we are asked for is not of this BIO
  }

  /// Made once a process, by Context::create(), and never freed: streams may end late.
  static const BIO_METHOD* method() noexcept {
    static const BIO_METHOD* const made = [] {
      BIO_METHOD* const fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weir");
      if (fresh != nullptr) {
        BIO_meth_set_read(fresh, read);
        BIO_meth_set_write(fresh, write);
        BIO_meth_set_ctrl(fresh, control);
      }
      return fresh;
    }();
    return made;
  }
};

std::unique_ptr<Stream> Stream::create(ssl_ctx_st* context) noexcept {
  Owned<SSL> ssl{SSL_new(context)};
  Owned<BIO> bio{Bytes::method() != nullptr ? BIO_new(Bytes::method()) : nullptr};
  std::unique_ptr<Stream> stream;
  if (ssl && bio) stream.reset(new (std::nothrow) Stream{ssl.get()});
  if (!stream) {
    ERR_clear_error();
    return nullptr;
  }
  BIO_set_data(bio.get(), stream.get());
  BIO_set_init(bio.get(), 1);
  SSL_set_bio(ssl.get(), bio.get(), bio.get());
  SSL_set_accept_state(ssl.get());
  (void)bio.release();
  (void)ssl.release();
  return stream;
}

Stream::~Stream() {
  SSL_free(ssl_);
}

void Stream::feed(std::span<const std::byte> ciphertext) noexcept {
  assert(in_.empty());
  if (!failed_ && !closed_) in_ = ciphertext;
}

Stream::Read Stream::read(std::span<std::byte> out, Sink& sink) noexcept {
  assert(!out.empty());
  if (failed_) return {Kind::failed, 0};
  if (closed_) return {Kind::closed, 0};
  // OpenSSL would take a record buffer only to find that out, and free it again. It reads no
  // further than the record it is at, so all that it may hold back is the rest of one's plaintext.
  if (in_.empty() && SSL_pending(ssl_) == 0) return {Kind::need_more, 0};
  forget_old_errors();
  sink_ = &sink;
  std::size_t bytes = 0;
  const int result = SSL_read_ex(ssl_, out.data(), out.size(), &bytes);
  // Noted rather than asked for each time: OpenSSL is "in the handshake" again while it takes in
  // a message that follows it (a key update).
  if (!established_) established_ = SSL_is_init_finished(ssl_) == 1;
  const Kind kind = result == 1 ? Kind::data : judge(result);
  sink_ = nullptr;
  return {kind, bytes};
}

Stream::Kind Stream::judge(int result) noexcept {
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ: assert(in_.empty()); return Kind::need_more;
    case SSL_ERROR_ZERO_RETURN:
      closed_ = true;
      in_ = {};  // what follows close_notify is passed over (RFC 8446, 6.1)
      return Kind::closed;
    default:  // SSL_ERROR_SSL; nothing else can come of a BIO that takes all and has no end
      failed_ = true;
      in_ = {};
      why_ = take_reason();
      return Kind::failed;
  }
}

bool Stream::write(std::span<const std::byte> plaintext, Sink& sink) noexcept {
  assert(established_ && !closing_);
  if (failed_) return false;
  if (plaintext.empty()) return true;  // OpenSSL would send an empty record
  forget_old_errors();
  sink_ = &sink;
  std::size_t bytes = 0;
  const int result = SSL_write_ex(ssl_, plaintext.data(), plaintext.size(), &bytes);
  if (result != 1 && judge(result) != Kind::failed) {
    // It wants the rest of a handshake message that the peer has begun, and left in pieces over
    // several records: legal for a key update, and nobody does it.
    failed_ = true;
    why_ = "handshake message in pieces";
  }
  sink_ = nullptr;
  return !failed_;
}

void Stream::close(Sink& sink) noexcept {
  if (!established_ || failed_ || closing_) return;
  closing_ = true;
  forget_old_errors();
  sink_ = &sink;
  (void)SSL_shutdown(ssl_);  // 0: the peer's is still to come; below 0: amid a message of its
  ERR_clear_error();
  sink_ = nullptr;
}

bool Stream::resumed() const noexcept {
  return SSL_session_reused(ssl_) == 1;
}

}  // namespace weir::tls
