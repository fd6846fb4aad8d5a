// Estate: what makes a service of its processes, and outlives each of them: the listeners, the
// inboxes, the steering program with the tables that it and the workers share, the TLS vault, the
// control socket. A master hands it to its successor, at an upgrade; the workers hold it too, for
// one that takes over when the master has died.
//
// It is a list of descriptors by name, and a text (JSON) that says what they are part of. Names:
//   listener.A.S   listening socket of the listen address A, in the order of the text, and slot S
//   reader.S       the end of the slot's inbox that its worker reads
//   writer.S       and the one that letters are posted at
//   table          the load table
//   clients        the clients' accounts
//   notes          the workers' notes on them
//   program.A      the steering program of a listen address; none without one
//   array.A        and its socket array
//   vault          certificates and ticket keys; none without TLS
//   control        the listening control socket; none without one
//   recording      the writing end of a recording's pipe; none without one
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weir/base/clock.h"
#include "weir/base/result.h"
#include "weir/base/socket_address.h"
#include "weir/base/unique_fd.h"
#include "weir/process/steering_set.h"

namespace weir::process {

/// What the text of an estate says.
struct EstateTerms {
  /// A listen address: as it was asked for (port 0, perhaps), and as it is.
  struct Listen {
    SocketAddress asked;
    SocketAddress address;
    bool proxy = false;
    bool tls = false;
    /// So many of its sockets, the first slots', were passed by the service manager, which holds
    /// them too; 0: none was, and the address is one of the flags.
    std::uint32_t passed = 0;
  };

  std::string version;              // of the weir that wrote it
  std::string app;                  // whose sessions there are
  std::uint16_t parcel_oldest = 0;  // versions of parcels that it reads and writes
  std::uint16_t parcel_newest = 0;
  std::uint32_t workers = 0;        // slots
  std::uint32_t workers_asked = 0;  // as its flags had it, before the count was changed
  std::uint32_t places = 0;         // of sessions, for which each bank of notes has room
  std::uint32_t bank = 0;           // of the slots' notes on clients that its workers write
  std::string control;              // the control socket's path; empty: none
  /// Of its flags and its configuration file, as one word: two weirs of one version and the same
  /// settings can have each other's workers.
  std::string settings;
  std::vector<Listen> listens;
  /// What holds instead of its configuration. Optional in the text, as all that was added since the
  /// first version: one that does not know it steers as configured.
  SteeringSet set{};
  /// When the recording began whose pipe is in the estate; 0: none is. Optional likewise.
  std::uint64_t recording_began_ns = 0;

  [[nodiscard]] std::string to_text() const;
  /// Takes members that it does not know for a later version's, and leaves them out.
  [[nodiscard]] static Result<EstateTerms> from_text(std::string_view text);
};

/// The version of parcels that two weirs have in common, the newest; 0: none.
[[nodiscard]] std::uint16_t common_parcel_version(std::uint16_t oldest, std::uint16_t newest,
                                                  std::uint16_t others_oldest,
                                                  std::uint16_t others_newest) noexcept;

/// Descriptors by name; lent.
using EstateItems = std::vector<std::pair<std::string, int>>;

struct Estate {
  EstateTerms terms;
  std::map<std::string, UniqueFd, std::less<>> items;

  /// Takes the descriptor of that name out; fails where there is none.
  [[nodiscard]] Result<UniqueFd> take(const std::string& name);
  [[nodiscard]] bool has(std::string_view name) const { return items.contains(name); }
};

/// Sends an estate over a channel. Fails where the other end does not make room for it.
[[nodiscard]] Result<void> send_estate(int channel, const EstateTerms& terms,
                                       const EstateItems& items);
/// Waits for one.
[[nodiscard]] Result<Estate> receive_estate(int channel, Duration patience);

}  // namespace weir::process
