// JSON as text on one line, with numbers as people write them: 0.5, where the library's own
// serializer has 5E-1.
#pragma once

#include <boost/json/value.hpp>
#include <string>

namespace weir::admin {

/// No newline in it, whatever the strings hold. A number that JSON cannot say becomes null.
[[nodiscard]] std::string json_text(const boost::json::value& value);

}  // namespace weir::admin
