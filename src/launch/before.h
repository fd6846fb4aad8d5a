// What a weir has from the one before it, and what it has to have in common with that one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reload.h"
#include "weir/base/result.h"
#include "weir/cli/options.h"
#include "weir/process/estate.h"
#include "weir/process/takeover.h"

namespace weir::launch {

/// What the weir before hands over, if this one was started by an upgrade: WEIR_UPGRADE_FD in the
/// environment says so, and is taken out of it. Fails if it is not handed over in 10 s.
[[nodiscard]] Result<std::optional<process::Inheritance>> inheritance_of_environment();

/// The listen addresses that were passed to the weir before by the service manager.
[[nodiscard]] std::vector<cli::Listen> passed_before(const process::EstateTerms& terms);

/// EstateTerms::settings: a checksum over the command line and the file that it names. --takeover
/// says how to begin, not what to do.
[[nodiscard]] std::string settings_of(const StartWords& words, const std::string& config);

}  // namespace weir::launch
