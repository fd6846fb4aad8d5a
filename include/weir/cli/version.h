// The version of this build, as CMakeLists.txt states it.
#pragma once

#include <string_view>

namespace weir::cli {

/// "0.1.0".
[[nodiscard]] std::string_view version() noexcept;

}  // namespace weir::cli
