// How the frame decoder's tests write frames and read events.
//
// Events are written as strings in which the cuts do not show: a message is "text[Hello]", and
// pieces of it that follow on each other run together ("text[Hel" + "lo]"); a control frame in
// between stays in between: "text[Hel", "ping(x)", "lo]".
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "bytes.h"
#include "weir/wire/frame.h"

namespace weir::wire {

constexpr MaskKey kTestKey{std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};
constexpr std::uint64_t kNoLimit = UINT64_MAX;
constexpr Role kServer = Role::server;
constexpr Role kClient = Role::client;

/// A frame by its first byte (FIN, RSV, opcode) and its payload.
struct RawFrame {
  unsigned first;
  std::string payload;
};

/// `frame` as a peer sends it to `receiver`: masked with kTestKey for a server. Written without
/// the encoder, so that one's mistakes do not hide the other's.
inline std::string wire_form(Role receiver, const RawFrame& frame) {
  const std::size_t size = frame.payload.size();
  const unsigned mask_bit = receiver == Role::server ? 0x80 : 0;
  std::string out{static_cast<char>(frame.first)};
  const std::size_t length_bytes = size < 126 ? 0 : size < 65'536 ? 2 : 8;
  const std::size_t code = length_bytes == 0 ? size : length_bytes == 2 ? 126 : 127;
  out += static_cast<char>(mask_bit | code);
  for (std::size_t i = length_bytes; i-- > 0;) out += static_cast<char>(size >> (8 * i) & 0xff);
  if (receiver == Role::client) return out + frame.payload;
  out += to_text(kTestKey);
  Bytes payload = to_bytes(frame.payload);
  apply_mask_scalar(payload, kTestKey, 0);
  return out + to_text(payload);
}

inline std::string wire_form(Role receiver, const std::vector<RawFrame>& frames) {
  std::string out;
  for (const RawFrame& frame : frames) out += wire_form(receiver, frame);
  return out;
}

/// Feeds `wire` to `decoder` in the pieces of `cut`, each in a buffer of its exact size, and
/// writes down what it says.
class Listener {
 public:
  explicit Listener(FrameDecoder& decoder) : decoder_{decoder} {}

  void feed(std::string_view wire, const Cut& cut) {
    for (const std::size_t size : cut) {
      Bytes piece = to_bytes(wire.substr(0, size));
      wire.remove_prefix(size);
      std::span<std::byte> in{piece};
      for (Event event = decoder_.next(in); event.kind != Event::Kind::need_more;
           event = decoder_.next(in)) {
        note(event);
      }
      EXPECT_TRUE(in.empty()) << "need_more means that all input is taken";
    }
  }

  [[nodiscard]] const std::vector<std::string>& events() const { return events_; }
  [[nodiscard]] FrameError error() const { return error_; }

 private:
  void note(const Event& event) {
    const std::string bytes = to_text(event.bytes);
    switch (event.kind) {
      case Event::Kind::need_more: return;
      case Event::Kind::data: note_data(event, bytes); return;
      case Event::Kind::ping: events_.push_back("ping(" + bytes + ")"); break;
      case Event::Kind::pong: events_.push_back("pong(" + bytes + ")"); break;
      case Event::Kind::close:
        events_.push_back("close(" + std::to_string(static_cast<unsigned>(event.code)) +
                          (bytes.empty() ? "" : " " + bytes) + ")");
        break;
      case Event::Kind::error:
        error_ = event.error;
        EXPECT_EQ(event.code, close_code_for(event.error));
        events_.push_back("error");
        break;
    }
    runs_on_ = false;
  }

  void note_data(const Event& event, const std::string& bytes) {
    const std::string opcode = event.opcode == Opcode::text     ? "text["
                               : event.opcode == Opcode::binary ? "binary["
                                                                : "neither[";
    EXPECT_EQ(event.first, !inside_) << "the first piece, and only it, is marked so";
    if (event.first) opcode_ = opcode;
    EXPECT_EQ(opcode, opcode_) << "each piece has the message's opcode";
    EXPECT_TRUE(!bytes.empty() || event.last) << "an empty piece has to say something";
    const std::string text = (event.first ? opcode : "") + bytes + (event.last ? "]" : "");
    if (runs_on_) {
      events_.back() += text;
    } else {
      events_.push_back(text);
    }
    inside_ = !event.last;
    runs_on_ = inside_;
  }

  FrameDecoder& decoder_;
  std::vector<std::string> events_;
  FrameError error_ = FrameError::none;
  std::string opcode_;
  bool inside_ = false;   // a message
  bool runs_on_ = false;  // the last event is a piece of it
};

}  // namespace weir::wire
