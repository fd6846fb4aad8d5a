#include "tls_keeper.h"

#include <algorithm>
#include <cassert>
#include <string>
#include <utility>

#include "weir/base/log.h"
#include "weir/base/units.h"

namespace weir::launch {
namespace {

/// For certificates that grow by a reload: their chains, or how many names they carry.
constexpr std::size_t kRoomToGrow = 4;
constexpr std::size_t kVaultBytesMin = 1_MiB;

Result<std::vector<tls::Credential>> read_files(const std::vector<tls::CredentialFiles>& files) {
  std::vector<std::string> warnings;
  auto credentials = tls::read_credentials(files, warnings);
  if (credentials)
    for (const std::string& warning : warnings) spdlog::warn("{}", warning);
  return credentials;
}

}  // namespace

Result<std::unique_ptr<TlsKeeper>> TlsKeeper::start(boost::asio::io_context& io,
                                                    const std::vector<tls::CredentialFiles>& files,
                                                    Duration rotation, UniqueFd before,
                                                    bool goes_on) {
  const auto credentials = read_files(files);
  if (!credentials) return credentials.error();
  std::size_t bytes = 0;
  for (const tls::Credential& each : *credentials)
    bytes += each.certificate.size() + each.key.size();
  goes_on = goes_on && before;
  auto vault = goes_on ? tls::Vault::inherit(std::move(before))
                       : tls::Vault::create(std::max(bytes * kRoomToGrow, kVaultBytesMin));
  if (!vault) return vault.error();
  if (auto published = vault->publish(*credentials); !published) return published.error();
  if (before) {
    const auto others = tls::Vault::inherit(std::move(before));
    if (!others) return others.error();
    vault->take_ticket_keys(*others);
  }
  return std::unique_ptr<TlsKeeper>{new TlsKeeper{io, rotation, std::move(*vault)}};
}

TlsKeeper::TlsKeeper(boost::asio::io_context& io, Duration rotation, tls::Vault vault)
    : rotation_{rotation}, vault_{std::move(vault)}, timer_{io} {
  await_rotation();
}

Result<std::vector<tls::Credential>> TlsKeeper::read(
    const std::vector<tls::CredentialFiles>& files) const {
  auto credentials = read_files(files);
  if (!credentials) return credentials;
  if (const auto room = vault_.has_room(*credentials); !room) return room.error();
  return credentials;
}

void TlsKeeper::publish(const std::vector<tls::Credential>& credentials) {
  [[maybe_unused]] const auto published = vault_.publish(credentials);
  assert(published);
}

void TlsKeeper::rotate_every(Duration rotation) {
  if (std::exchange(rotation_, rotation) != rotation) await_rotation();
}

void TlsKeeper::await_rotation() {
  timer_.expires_at(drawn_at_ + rotation_);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    drawn_at_ = monotonic_now();
    vault_.rotate_tickets();
    spdlog::debug("a new key for session tickets");
    await_rotation();
  });
}

}  // namespace weir::launch
