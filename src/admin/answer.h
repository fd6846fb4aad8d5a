// What a request is answered with: the control protocol without its sockets.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "weir/admin/control_server.h"

namespace weir::admin {

/// Runs the command that `line`, a request without its newline, names. `reply` is called once with
/// the answer, which ends in a newline and is an error's for whatever is no request, and with what
/// descriptor goes with it: before this returns, unless the command takes longer (Command::begin).
void answer(const CommandTable& commands, std::string_view line,
            const std::function<void(std::string, UniqueFd)>& reply);

/// {"ok":false,"error":message} and a newline.
[[nodiscard]] std::string error_answer(std::string_view message);

}  // namespace weir::admin
