// The asking side of the control socket: one request, one answer, blocking. For weirctl and tests.
#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <string>

#include "weir/base/result.h"
#include "weir/base/unique_fd.h"

namespace weir::admin {

/// Sends `request` to the control socket at `path` and returns the answer without its "ok". Fails
/// when nobody listens there, we may not connect, no whole answer came within `timeout`, or the
/// answer is an error, whose text is then the error's.
[[nodiscard]] Result<boost::json::object> control_call(const std::string& path,
                                                       const boost::json::object& request,
                                                       std::chrono::milliseconds timeout);

/// The same of a command whose answer comes with a descriptor, which it sets `fd` to; where none
/// comes, to none.
[[nodiscard]] Result<boost::json::object> control_call(const std::string& path,
                                                       const boost::json::object& request,
                                                       std::chrono::milliseconds timeout,
                                                       UniqueFd& fd);

}  // namespace weir::admin
