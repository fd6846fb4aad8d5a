// TlsKeeper: the master's side of TLS. It reads the certificate files, at the start and when told
// to, and draws ticket keys as time passes; workers find both in the vault.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <vector>

#include "weir/base/clock.h"
#include "weir/base/result.h"
#include "weir/tls/vault.h"

namespace weir::launch {

class TlsKeeper {
 public:
  /// Reads the files; fails as tls::read_credentials() does. Before the privileges go that may be
  /// needed to read them. `io` is borrowed and must outlive this. `before`: the vault of a weir
  /// that this one succeeds, whose sessions resume here; none: -1.
  [[nodiscard]] static Result<std::unique_ptr<TlsKeeper>> start(
      boost::asio::io_context& io, std::vector<tls::CredentialFiles> files, Duration rotation,
      UniqueFd before = UniqueFd{});
  TlsKeeper(const TlsKeeper&) = delete;
  TlsKeeper& operator=(const TlsKeeper&) = delete;

  /// Reads the files again. New connections get what they have now; if anything is wrong with
  /// them, everything stays as it was.
  [[nodiscard]] Result<void> reload();

  [[nodiscard]] tls::Vault& vault() noexcept { return vault_; }

 private:
  TlsKeeper(boost::asio::io_context& io, std::vector<tls::CredentialFiles> files, Duration rotation,
            tls::Vault vault);
  void await_rotation();

  std::vector<tls::CredentialFiles> files_;
  Duration rotation_;
  tls::Vault vault_;
  boost::asio::steady_timer timer_;
};

}  // namespace weir::launch
