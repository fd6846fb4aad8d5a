// A frame decoder's state, out and in. What restore() takes is what some stream of bytes leads to,
// and nothing else: next() relies on it.
#include <algorithm>

#include "frame_header.h"
#include "weir/wire/frame.h"

namespace weir::wire {
namespace {

using Stage = FrameDecoder::Stage;
using State = FrameDecoder::State;

std::uint64_t declared_max(bool compressed, std::uint64_t message_bytes_max) noexcept {
  return compressed ? compressed_bytes_max(message_bytes_max) : message_bytes_max;
}

/// The message in progress, or none, together with the frame that stands in it.
bool is_possible_message(const State& state, std::uint64_t message_bytes_max) noexcept {
  switch (state.message_opcode) {
    case Opcode::continuation: return state.stage != Stage::payload;
    case Opcode::text:
    case Opcode::binary: break;
    default: return false;
  }
  if (state.message_compressed && !state.deflate) return false;
  if (state.message_bytes > declared_max(state.message_compressed, message_bytes_max)) return false;
  if (state.text == Utf8Validator::State{}) return true;
  return state.message_opcode == Opcode::text && !state.message_compressed &&
         state.bytes_delivered() > 0 && state.text.pending <= 3;  // a failed text is finished
}

/// The frame in progress, or the header of the next.
bool is_possible_frame(const State& state) noexcept {
  switch (state.stage) {
    case Stage::header:
      return state.piece_bytes < 2 || state.piece_bytes < header_size(state.piece[1]);
    case Stage::payload:
      return state.frame_bytes_left > 0 && state.frame_bytes_left >> 63 == 0 &&
             state.frame_bytes_left <= state.message_bytes && state.key_phase <= 3 &&
             state.key_phase <= state.bytes_delivered();
    case Stage::control:
      return (state.control_opcode == Opcode::close || state.control_opcode == Opcode::ping ||
              state.control_opcode == Opcode::pong) &&
             state.frame_bytes_left > 0 && state.frame_bytes_left <= kControlPayloadBytesMax &&
             state.piece_bytes <= kControlPayloadBytesMax - state.frame_bytes_left;
    case Stage::finished: return true;
    case Stage::lent: break;
  }
  return false;
}

}  // namespace

FrameDecoder::State FrameDecoder::save() const noexcept {
  State state{.stage = stage_ == Stage::lent ? Stage::header : stage_, .deflate = deflate_};
  if (stage_ == Stage::finished) return state;
  if (inside_message()) {
    state.message_opcode = message_opcode_;
    state.message_compressed = message_compressed_;
    state.message_bytes = message_bytes_;
    state.text = text_.save();
  }
  if (state.stage == Stage::header) {
    state.piece_bytes = header_bytes_;
    std::copy_n(header_.begin(), header_bytes_, state.piece.begin());
    return state;
  }
  state.frame_bytes_left = frame_bytes_left_;
  if (role_ == Role::server) state.key = key_;
  if (state.stage == Stage::payload) {
    state.frame_fin = frame_fin_;
    if (role_ == Role::server) state.key_phase = key_phase_;
    return state;
  }
  state.control_opcode = frame_opcode_;
  state.piece_bytes = control_bytes_;
  if (control_) std::copy_n(control_->begin(), control_bytes_, state.piece.begin());
  return state;
}

std::optional<FrameDecoder> FrameDecoder::restore(const State& state, Role role,
                                                  std::uint64_t message_bytes_max) {
  if (!is_possible_frame(state) || !is_possible_message(state, message_bytes_max)) return {};
  if (!Utf8Validator::restore(state.text)) return {};
  FrameDecoder decoder{role, message_bytes_max, state.deflate};
  decoder.load(state);
  if (decoder.save() != state) return {};  // it says what has no meaning in its stage
  return decoder;
}

/// From a state that is possible.
void FrameDecoder::load(const State& state) {
  stage_ = state.stage;
  message_opcode_ = state.message_opcode;
  message_compressed_ = state.message_compressed;
  message_bytes_ = state.message_bytes;
  message_begun_ = state.bytes_delivered() > 0;
  text_ = *Utf8Validator::restore(state.text);
  frame_fin_ = state.frame_fin;
  frame_opcode_ = state.control_opcode;
  frame_bytes_left_ = state.frame_bytes_left;
  key_ = state.key;
  key_phase_ = state.key_phase;
  if (stage_ == Stage::header) {
    header_bytes_ = state.piece_bytes;
    std::copy_n(state.piece.begin(), header_bytes_, header_.begin());
  } else if (stage_ == Stage::control && state.piece_bytes > 0) {
    control_bytes_ = state.piece_bytes;
    control_ = std::make_unique<ControlPayload>(state.piece);
  }
}

}  // namespace weir::wire
