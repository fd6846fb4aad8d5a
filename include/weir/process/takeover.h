// Takeover: how a new master finds what a dead one has left (weir --takeover).
#pragma once

#include <optional>
#include <string>

#include "weir/base/result.h"
#include "weir/process/master.h"

namespace weir::process {

/// Asks at the control socket at `path`. Nothing where nobody answers: there is nothing to take
/// over. Fails where a master that lives answers, or what is handed over cannot be used.
[[nodiscard]] Result<std::optional<Inheritance>> ask_for_estate(const std::string& path);

}  // namespace weir::process
