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
      boost::asio::io_context& io, const std::vector<tls::CredentialFiles>& files,
      Duration rotation, UniqueFd before = UniqueFd{}, bool goes_on = false);
  TlsKeeper(const TlsKeeper&) = delete;
  TlsKeeper& operator=(const TlsKeeper&) = delete;

  /// Reads these files. Fails, and changes nothing, if anything is wrong with them or the vault
  /// has no room for what is in them.
  [[nodiscard]] Result<std::vector<tls::Credential>> read(
      const std::vector<tls::CredentialFiles>& files) const;
  /// From here on new connections get this, which read() has returned.
  void publish(const std::vector<tls::Credential>& credentials);
  /// The next key for tickets is drawn once the newest is that old: at once, should it be already.
  void rotate_every(Duration rotation);

  [[nodiscard]] tls::Vault& vault() noexcept { return vault_; }

 private:
  TlsKeeper(boost::asio::io_context& io, Duration rotation, tls::Vault vault);
  void await_rotation();

  Duration rotation_;
  Instant drawn_at_ = monotonic_now();  // the newest key, or taken over with it
  tls::Vault vault_;
  boost::asio::steady_timer timer_;
};

}  // namespace weir::launch
