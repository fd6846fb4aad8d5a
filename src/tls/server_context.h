// One SSL_CTX, set as weir serves TLS: versions, ciphers, protocol, what is refused.
#pragma once

#include "identity.h"
#include "openssl.h"
#include "weir/base/result.h"
#include "weir/tls/context.h"

namespace weir::tls {

/// Without a certificate, and without tickets and names, which are Context's.
[[nodiscard]] Result<Owned<SSL_CTX>> make_server_context(Version min_version);

/// Adds certificate, chain and key. One of each kind of key has room in a context; a client gets
/// the one that it can verify. False: take_reason() says why.
[[nodiscard]] bool use_identity(SSL_CTX* context, const Identity& identity) noexcept;

}  // namespace weir::tls
