// The manual pages: the flags from the programs' own tables, the rest written here.
#pragma once

#include <string>

namespace weir::manual {

/// weir(8) and weirctl(8), in roff.
[[nodiscard]] std::string weir_page();
[[nodiscard]] std::string weirctl_page();

}  // namespace weir::manual
