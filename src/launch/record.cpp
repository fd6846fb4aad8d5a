#include "record.h"

#include <cstdint>
#include <utility>

#include "weir/base/json_number.h"

namespace weir::launch {
namespace {

using boost::json::object;
using Handed = admin::Command::Handed;

Result<Handed> record(process::Master& master, const object& request) {
  if (!request.contains("end")) {
    auto begun = master.record();
    if (!begun) return begun.error();
    object answer;
    answer["began_ns"] = begun->order.began_ns;
    return Handed{.answer = std::move(answer), .fd = std::move(begun->pipe)};
  }
  const auto began_ns = number_in<std::uint64_t>(request, "end").value_or(0);
  if (began_ns == 0)
    return Error{R"(expected when the recording began, as the answer to {"command":"record"} says)",
                 ""};
  if (const auto ended = master.end_recording({began_ns}); !ended) return ended.error();
  return Handed{};
}

}  // namespace

admin::Command record_command(process::Master& master) {
  return {.help = "tell what each session does, for a trace, through a pipe",
          .run = nullptr,
          .begin = nullptr,
          .hand = [&master](const object& request) { return record(master, request); }};
}

}  // namespace weir::launch
