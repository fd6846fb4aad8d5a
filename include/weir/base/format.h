// fmt, with its one big function compiled once. fmt 9 does not declare this template extern: each
// file that formats into a buffer, as spdlog does for every line, would compile all of fmt's number
// formatting again, in some five seconds under sanitizers. fmt 10 declares it by itself.
#pragma once

#include <fmt/format.h>

#if FMT_VERSION / 10'000 == 9
extern template void fmt::detail::vformat_to<char>(fmt::detail::buffer<char>&, fmt::string_view,
                                                   fmt::format_args, fmt::detail::locale_ref);
#endif
