#include "weir/cli/control_path.h"

#include <unistd.h>

#include <cstdlib>

namespace weir::cli {

std::string default_control_path(uid_t effective_user, const char* runtime_dir) {
  if (effective_user == 0) return "/run/weir/control.sock";
  if (runtime_dir == nullptr || *runtime_dir == '\0') return {};
  return std::string{runtime_dir} + "/weir.sock";
}

std::string default_control_path() {
  return default_control_path(::geteuid(), std::getenv("XDG_RUNTIME_DIR"));
}

}  // namespace weir::cli
