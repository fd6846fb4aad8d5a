// Result: a value, or the error that stands in its place. Failures travel as values; exceptions
// are left to the libraries that throw them and are caught where they are called.
#pragma once

#include <boost/system/result.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace weir {

/// What went wrong on the host or in the configuration, for a person to read: one line that says
/// what, and one that says what to do about it (empty when there is nothing to do).
struct Error {
  // Not an aggregate: one could be made of a lone string, and then a Result<std::string> could not
  // tell a value from an error.
  Error() = default;  // for Result::error() of a value, which has none
  Error(std::string what_happened, std::string what_helps)
      : what{std::move(what_happened)}, remedy{std::move(what_helps)} {}

  std::string what;
  std::string remedy;
};

/// "what; remedy", the form in which errors are printed and logged.
[[nodiscard]] std::string to_string(const Error& error);

/// `what: strerror(number)`, with the remedy given.
[[nodiscard]] Error os_error(std::string_view what, int number, std::string_view remedy = {});

/// Called by Result::value() on an error, which is our own mistake: test has_value() first.
[[noreturn]] void throw_exception_from_error(const Error& error,
                                             const boost::source_location& location);

template <class T, class E = Error>
using Result = boost::system::result<T, E>;

}  // namespace weir
