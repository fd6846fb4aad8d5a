// What a request is answered with: the control protocol without its sockets.
#pragma once

#include <string>
#include <string_view>

#include "weir/admin/control_server.h"

namespace weir::admin {

/// Runs the command that `line`, a request without its newline, names. The answer ends in a
/// newline, and is an error's for whatever is no request.
[[nodiscard]] std::string answer(const CommandTable& commands, std::string_view line);

/// {"ok":false,"error":message} and a newline.
[[nodiscard]] std::string error_answer(std::string_view message);

}  // namespace weir::admin
