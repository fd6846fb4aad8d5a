// Parcels as these tests write them: each kind of session, and its bytes by hand.
#pragma once

#include <string>
#include <string_view>

#include "weir/session/parcel.h"

namespace weir::session {

inline Parcel::Bytes bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text});
}
inline std::string text_of(Parcel::Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline Instant at_ns(std::int64_t ns) {
  return Instant{Duration{ns}};
}

using namespace std::string_view_literals;

/// Nothing has come since its last message.
inline Parcel idle() {
  Parcel parcel;
  parcel.since = at_ns(1);
  parcel.heard_at = at_ns(2);
  parcel.pinged_at = at_ns(3);
  parcel.messages_paid = at_ns(4);
  parcel.app = "echo";
  return parcel;
}
constexpr std::string_view kIdleBytes =
    "weir\x01\0"                        // version
    "\x02\0"                            // open, no flags
    "\x88\0\0\0\0\0\0\0"                // 136 bytes
    "\x01\0\0\0\0\0\0\0"                // since
    "\x02\0\0\0\0\0\0\0"                // heard at
    "\x03\0\0\0\0\0\0\0"                // pinged at
    "\x04\0\0\0\0\0\0\0"                // paid up to
    "\0\0\0\0\0\0\0\0\0"                // door, close code, window bits, client
    "\0\0\0\0\0\0\0\0\0"                // decoder: between frames, no message
    "\x04\0"                            // name of 4
    "\0\0\0\0\0\0\0\0\0\0"              // decoder: key ...
    "\0\0\0\0\0\0\0\0\0\0"              // ... message bytes, frame bytes left
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"  // client's address
    "\0\0\0\0\0\0\0\0\0\0\0\0"          // no request, gathered, output ...
    "\0\0\0\0\0\0\0\0\0\0\0\0"          // ... windows, app's state
    "echo"
    "\x93\xba\x5f\xc1"sv;

/// Open, and with something of everything: inside a character of a text that goes on.
inline Parcel busy() {
  Parcel parcel;
  parcel.admitted = true;
  parcel.door = 2;
  parcel.client = SocketAddress::parse("[2001:db8::1]:443");
  parcel.since = at_ns(0x0102030405060708);
  parcel.heard_at = at_ns(0x1112131415161718);
  parcel.pinged_at = at_ns(0x2122232425262728);
  parcel.messages_paid = at_ns(0x3132333435363738);
  parcel.decoder.stage = wire::FrameDecoder::Stage::payload;
  parcel.decoder.deflate = true;
  parcel.decoder.message_opcode = wire::Opcode::text;
  parcel.decoder.message_bytes = 10;
  parcel.decoder.text = {.pending = 1, .low = 0x80, .high = 0xbf};
  parcel.decoder.frame_fin = true;
  parcel.decoder.frame_bytes_left = 3;
  parcel.decoder.key = {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  parcel.decoder.key_phase = 3;
  parcel.gathered = bytes_of("prices\xc3");
  parcel.output = {bytes_of("\x81\x02"), bytes_of("hi")};
  parcel.window_bits = 10;
  parcel.out = bytes_of("Hello");
  parcel.in = {.window_bits = 12, .window = bytes_of("abc")};
  parcel.app = "pubsub";
  parcel.app_state = bytes_of("\0\xff"sv);
  return parcel;
}
constexpr std::string_view kBusyBytes =
    "weir\x01\0"
    "\x02\x03"                          // open; admitted, a context of its own out
    "\x9f\0\0\0\0\0\0\0"                // 159 bytes
    "\x08\x07\x06\x05\x04\x03\x02\x01"  // since
    "\x18\x17\x16\x15\x14\x13\x12\x11"  // heard at
    "\x28\x27\x26\x25\x24\x23\x22\x21"  // pinged at
    "\x38\x37\x36\x35\x34\x33\x32\x31"  // paid up to
    "\x02\0\0\0"                        // door 2, no close code
    "\x0a\x0c"                          // windows of 10 and 12 bits
    "\xbb\x01\x06"                      // port 443, IPv6
    "\x01\x01\0\x02\x03"                // in a payload; text; no control; FIN; phase 3
    "\x01\x80\xbf"                      // one byte lacks, 80 to bf
    "\0"                                // nothing in pieces
    "\x06\0"                            // name of 6
    "\x01\x02\x03\x04"                  // key
    "\x0a\0\0\0\0\0\0\0"                // 10 declared
    "\x03\0\0\0\0\0\0\0"                // 3 left
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
    "\0\0\0\0\x07\0\0\0\x04\0\0\0"    // no request, 7 gathered, 4 to send
    "\x05\0\0\0\x03\0\0\0\x02\0\0\0"  // windows of 5 and 3, state of 2
    "prices\xc3"
    "\x81\x02hi"
    "Hello"
    "abc"
    "pubsub"
    "\0\xff"
    "\x72\xfb\x9a\x13"sv;

/// Our 1012 is said but not sent; the peer is in the middle of a close frame of its own.
inline Parcel closing() {
  Parcel parcel;
  parcel.state = Parcel::State::closing;
  parcel.close_code = wire::CloseCode::service_restart;
  parcel.client = SocketAddress::parse("192.0.2.7:43981");
  parcel.since = at_ns(9);
  parcel.heard_at = at_ns(8);
  parcel.pinged_at = at_ns(7);
  parcel.decoder.stage = wire::FrameDecoder::Stage::control;
  parcel.decoder.deflate = true;
  parcel.decoder.message_opcode = wire::Opcode::binary;
  parcel.decoder.message_compressed = true;
  parcel.decoder.message_bytes = 0x1234;
  parcel.decoder.control_opcode = wire::Opcode::close;
  parcel.decoder.frame_bytes_left = 5;
  parcel.decoder.key = {std::byte{0xa1}, std::byte{0xa2}, std::byte{0xa3}, std::byte{0xa4}};
  parcel.decoder.piece_bytes = 2;
  parcel.decoder.piece[0] = std::byte{0xaa};
  parcel.decoder.piece[1] = std::byte{0xbb};
  parcel.output[0] = bytes_of("\x88\x02\x03\xf4");
  parcel.window_bits = 15;
  return parcel;
}
constexpr std::string_view kClosingBytes =
    "weir\x01\0"
    "\x03\0"  // closing
    "\x8a\0\0\0\0\0\0\0"
    "\x09\0\0\0\0\0\0\0"
    "\x08\0\0\0\0\0\0\0"
    "\x07\0\0\0\0\0\0\0"
    "\0\0\0\0\0\0\0\0"
    "\0\0\xf4\x03"        // 1012
    "\x0f\0"              // window bits
    "\xcd\xab\x04"        // port 43981, IPv4
    "\x02\x02\x08\x01\0"  // in a close frame's payload, inside a compressed binary message
    "\0\0\0\x02"          // 2 bytes of it came
    "\0\0"
    "\xa1\xa2\xa3\xa4"
    "\x34\x12\0\0\0\0\0\0"
    "\x05\0\0\0\0\0\0\0"
    "\xc0\0\x02\x07\0\0\0\0\0\0\0\0\0\0\0\0"
    "\0\0\0\0\0\0\0\0\x04\0\0\0"
    "\0\0\0\0\0\0\0\0\0\0\0\0"
    "\xaa\xbb"
    "\x88\x02\x03\xf4"
    "\xd0\xba\x16\x2d"sv;

/// Half a request.
inline Parcel handshaking() {
  Parcel parcel;
  parcel.state = Parcel::State::handshaking;
  parcel.admitted = true;
  parcel.door = 1;
  parcel.since = at_ns(5);
  parcel.heard_at = at_ns(6);
  parcel.pinged_at = at_ns(7);
  parcel.request = bytes_of("GET /chat HT");
  return parcel;
}
constexpr std::string_view kHandshakingBytes =
    "weir\x01\0"
    "\x01\x01"                          // handshaking; admitted
    "\x90\0\0\0\0\0\0\0"                // 144 bytes
    "\x05\0\0\0\0\0\0\0"                // since
    "\x06\0\0\0\0\0\0\0"                // heard at
    "\x07\0\0\0\0\0\0\0"                // pinged at
    "\0\0\0\0\0\0\0\0"                  // nothing paid
    "\x01\0"                            // door 1
    "\0\0\0\0\0\0\0"                    // close code, window bits, client
    "\0\0\0\0\0\0\0\0\0"                // decoder ...
    "\0\0"                              // no app
    "\0\0\0\0"                          // ... its key ...
    "\0\0\0\0\0\0\0\0"                  // ... message bytes ...
    "\0\0\0\0\0\0\0\0"                  // ... frame bytes left
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"  // client's address
    "\x0c\0\0\0\0\0\0\0\0\0\0\0"        // a request of 12, nothing gathered, no output
    "\0\0\0\0\0\0\0\0\0\0\0\0"          // no windows, no app's state
    "GET /chat HT"
    "\x2b\x55\x24\x20"sv;

}  // namespace weir::session
