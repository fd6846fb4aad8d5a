#include <fmt/format.h>

#include "said.h"

namespace weir::differential {
namespace {

using wire::Event;
using Kind = Event::Kind;

std::string to_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Ours ask_weir(std::string_view stream, const std::vector<std::size_t>& pieces,
              std::uint64_t message_bytes_max) {
  wire::FrameDecoder decoder{wire::Role::server, message_bytes_max};
  Ours ours;
  std::string message;
  for (const std::size_t size : pieces) {
    const auto text = std::as_bytes(std::span{stream.substr(0, size)});
    stream.remove_prefix(size);
    std::vector<std::byte> piece{text.begin(), text.end()};
    std::span<std::byte> in{piece};
    for (Event event = decoder.next(in); event.kind != Kind::need_more; event = decoder.next(in)) {
      const std::string bytes = to_text(event.bytes);
      switch (event.kind) {
        case Kind::data:
          message += bytes;
          if (!event.last) break;
          ours.said.items.push_back((event.opcode == wire::Opcode::text ? "text " : "binary ") +
                                    message);
          message.clear();
          break;
        case Kind::ping: ours.said.items.push_back("ping " + bytes); break;
        case Kind::pong: ours.said.items.push_back("pong " + bytes); break;
        case Kind::close:
          ours.said.end = fmt::format("close {} {}", static_cast<unsigned>(event.code), bytes);
          break;
        case Kind::error:
          ours.error = event.error;
          ours.said.end = fmt::format("fail {}", static_cast<unsigned>(event.code));
          break;
        case Kind::need_more: break;
      }
    }
  }
  return ours;
}

}  // namespace weir::differential
