#include "weir/base/result.h"

#include <fmt/format.h>

#include <system_error>

namespace weir {

std::string to_string(const Error& error) {
  return error.remedy.empty() ? error.what : error.what + "; " + error.remedy;
}

Error os_error(std::string_view what, int number, std::string_view remedy) {
  return Error{fmt::format("{}: {}", what, std::generic_category().message(number)),
               std::string{remedy}};
}

void throw_exception_from_error(const Error& error, const boost::source_location& location) {
  throw std::logic_error(fmt::format("{}:{}: unchecked error: {}", location.file_name(),
                                     location.line(), to_string(error)));
}

}  // namespace weir
