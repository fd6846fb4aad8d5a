// What each frame error is called, and which close code answers it: one table.
#include <array>
#include <cassert>

#include "weir/wire/frame.h"

namespace weir::wire {
namespace {

struct Row {
  FrameError error;
  CloseCode code;
  std::string_view text;
};

constexpr std::array kRows{
    Row{FrameError::none, CloseCode::normal, "no error"},
    Row{FrameError::unmasked, CloseCode::protocol_error, "a client's frame is not masked"},
    Row{FrameError::masked, CloseCode::protocol_error, "a server's frame is masked"},
    Row{FrameError::reserved_bits, CloseCode::protocol_error, "a reserved bit is set"},
    Row{FrameError::reserved_opcode, CloseCode::protocol_error, "a reserved opcode"},
    Row{FrameError::length_not_minimal, CloseCode::protocol_error,
        "a length in more bytes than it needs"},
    Row{FrameError::length_too_big, CloseCode::protocol_error, "a length of 2^63 or more"},
    Row{FrameError::control_too_long, CloseCode::protocol_error,
        "a control frame of more than 125 bytes"},
    Row{FrameError::control_fragmented, CloseCode::protocol_error, "a fragmented control frame"},
    Row{FrameError::unexpected_continuation, CloseCode::protocol_error,
        "a continuation with no message to continue"},
    Row{FrameError::expected_continuation, CloseCode::protocol_error,
        "a new message inside an unfinished one"},
    Row{FrameError::message_too_big, CloseCode::message_too_big, "a message over the size limit"},
    Row{FrameError::invalid_utf8, CloseCode::invalid_payload, "text that is not UTF-8"},
    Row{FrameError::close_payload_of_one_byte, CloseCode::protocol_error, "half a close code"},
    Row{FrameError::close_code_invalid, CloseCode::protocol_error,
        "a close code that may not be sent"},
    Row{FrameError::close_reason_invalid_utf8, CloseCode::invalid_payload,
        "a close reason that is not UTF-8"},
    Row{FrameError::inflate_failed, CloseCode::invalid_payload, "invalid compressed data"},
};

constexpr bool rows_stand_in_order() {
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    if (kRows[i].error != FrameError{static_cast<std::uint8_t>(i)}) return false;
  }
  return true;
}
static_assert(rows_stand_in_order(), "kRows is indexed by FrameError");

}  // namespace

CloseCode close_code_for(FrameError error) noexcept {
  assert(error != FrameError::none);
  return kRows[static_cast<std::size_t>(error)].code;
}

std::string_view to_string(FrameError error) noexcept {
  return kRows[static_cast<std::size_t>(error)].text;
}

}  // namespace weir::wire
