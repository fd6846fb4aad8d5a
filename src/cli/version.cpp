#include "weir/cli/version.h"

namespace weir::cli {

std::string_view version() noexcept {
  return WEIR_VERSION;
}

}  // namespace weir::cli
