// Where weir puts its control socket, and weirctl looks for it, unless --control says otherwise.
#pragma once

#include <sys/types.h>

#include <string>

namespace weir::cli {

/// root: /run/weir/control.sock. Others: weir.sock in `runtime_dir` ($XDG_RUNTIME_DIR, null where
/// unset); empty without one.
[[nodiscard]] std::string default_control_path(uid_t effective_user, const char* runtime_dir);
/// The same for this process.
[[nodiscard]] std::string default_control_path();

}  // namespace weir::cli
