#include "tls_keeper.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <string>
#include <utility>

#include "weir/base/units.h"

namespace weir::launch {
namespace {

/// For certificates that grow by a reload: their chains, or how many names they carry.
constexpr std::size_t kRoomToGrow = 4;
constexpr std::size_t kVaultBytesMin = 1_MiB;

Result<std::vector<tls::Credential>> read(const std::vector<tls::CredentialFiles>& files) {
  std::vector<std::string> warnings;
  auto credentials = tls::read_credentials(files, warnings);
  if (credentials)
    for (const std::string& warning : warnings) spdlog::warn("{}", warning);
  return credentials;
}

}  // namespace

Result<std::unique_ptr<TlsKeeper>> TlsKeeper::start(boost::asio::io_context& io,
                                                    std::vector<tls::CredentialFiles> files,
                                                    Duration rotation, UniqueFd before) {
  const auto credentials = read(files);
  if (!credentials) return credentials.error();
  std::size_t bytes = 0;
  for (const tls::Credential& each : *credentials)
    bytes += each.certificate.size() + each.key.size();
  auto vault = tls::Vault::create(std::max(bytes * kRoomToGrow, kVaultBytesMin));
  if (!vault) return vault.error();
  if (auto published = vault->publish(*credentials); !published) return published.error();
  if (before) {
    const auto others = tls::Vault::inherit(std::move(before));
    if (!others) return others.error();
    vault->take_ticket_keys(*others);
  }
  return std::unique_ptr<TlsKeeper>{
      new TlsKeeper{io, std::move(files), rotation, std::move(*vault)}};
}

TlsKeeper::TlsKeeper(boost::asio::io_context& io, std::vector<tls::CredentialFiles> files,
                     Duration rotation, tls::Vault vault)
    : files_{std::move(files)}, rotation_{rotation}, vault_{std::move(vault)}, timer_{io} {
  await_rotation();
}

Result<void> TlsKeeper::reload() {
  const auto credentials = read(files_);
  if (!credentials) return credentials.error();
  return vault_.publish(*credentials);
}

void TlsKeeper::await_rotation() {
  timer_.expires_after(rotation_);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    vault_.rotate_tickets();
    spdlog::debug("a new key for session tickets");
    await_rotation();
  });
}

}  // namespace weir::launch
