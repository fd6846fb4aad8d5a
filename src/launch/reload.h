// Reloader: what SIGHUP and weirctl reload do. The command line is read again with the file that
// its --config names, by the parser of the start and with its checks; what it says otherwise than
// before is taken over by the master and all workers while sessions go on.
//
// All or nothing: whatever can fail comes first, and once anything has changed nothing can fail.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plan.h"
#include "tls_keeper.h"
#include "weir/base/result.h"
#include "weir/cli/changes.h"
#include "weir/cli/options.h"
#include "weir/process/master.h"

namespace weir::launch {

/// What weir was started with. The words are main()'s, and stay; the host is as it was then: what
/// `auto` means does not change with it, and neither do the sockets that were passed.
struct StartWords {
  int argc = 0;
  const char* const* argv = nullptr;
  cli::Host host;
};

class Reloader {
 public:
  /// `options` are those in force. Plan and master are borrowed; `tls` too, and is null where no
  /// listen address has it. Workers that are forked later begin with the plan's rules.
  Reloader(StartWords words, cli::Options options, Plan& plan, process::Master& master,
           TlsKeeper* tls)
      : words_{std::move(words)},
        options_{std::move(options)},
        plan_{plan},
        master_{master},
        tls_{tls} {}

  /// What has changed, in a line that is also logged. Fails with what is wrong, which for a flag or
  /// a line of the file is the sentence that a start would refuse it with; nothing has changed
  /// then, and that too is logged.
  [[nodiscard]] Result<std::string> reload();

 private:
  [[nodiscard]] Result<std::string> take_over();
  [[nodiscard]] Result<cli::Options> read_again() const;

  StartWords words_;
  cli::Options options_;
  Plan& plan_;
  process::Master& master_;
  TlsKeeper* tls_;
};

}  // namespace weir::launch
