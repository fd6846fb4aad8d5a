// Opening handshakes as these tests write, change and feed them.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bytes.h"
#include "weir/wire/upgrade.h"

namespace weir::wire {

using Progress = UpgradeParser::Progress;

/// The request of RFC 6455, section 1.3, without its protocol and origin.
inline constexpr std::string_view kLines[] = {
    "GET /chat HTTP/1.1",
    "Host: server.example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
};

inline constexpr std::string_view kSwitching =
    "HTTP/1.1 101 Switching Protocols\r\n"
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A change to the request: the line that begins with `begin` becomes `lines`, or goes if that is
/// empty. With no `begin`, `lines` are added.
struct Edit {
  std::string_view begin;
  std::string_view lines;
};

inline std::string request(const std::vector<Edit>& edits = {}) {
  std::string head;
  for (std::string_view line : kLines) {
    for (const Edit& edit : edits) {
      if (!edit.begin.empty() && line.starts_with(edit.begin)) line = edit.lines;
    }
    if (!line.empty()) head.append(line).append("\r\n");
  }
  for (const Edit& edit : edits) {
    if (edit.begin.empty()) head.append(edit.lines).append("\r\n");
  }
  return head + "\r\n";
}

/// What was asked for, kept for longer than it is lent.
struct Asked {
  std::string target, path, host, origin, key, subprotocol;
  std::optional<DeflateTerms> deflate;

  Asked() = default;
  explicit Asked(const UpgradeRequest& request)
      : target{request.target},
        path{request.path},
        host{request.host},
        origin{request.origin},
        key{request.key},
        subprotocol{request.subprotocol},
        deflate{request.deflate} {}
};

struct Outcome {
  Progress progress = Progress::need_more;
  unsigned status = 0;
  std::string response;
  std::string left;  // in the piece that decided
  Asked request;
};

inline Outcome feed(const UpgradeRules& rules, std::string_view text, const Cut& cut) {
  UpgradeParser parser{rules};
  Outcome outcome;
  for (const std::size_t size : cut) {
    Bytes piece = to_bytes(text.substr(0, size));
    text.remove_prefix(size);
    std::span<std::byte> in{piece};
    outcome.progress = parser.feed(in);
    if (outcome.progress != Progress::need_more) {
      outcome.left = to_text(in) + std::string{text};
      outcome.request = Asked{parser.request()};
      break;
    }
    EXPECT_TRUE(in.empty()) << "need_more means that all input is taken";
    EXPECT_EQ(parser.response(), "");
    EXPECT_EQ(parser.status(), 0U);
  }
  outcome.status = parser.status();
  outcome.response = parser.response();
  return outcome;
}

inline Outcome feed(const UpgradeRules& rules, std::string_view text) {
  return feed(rules, text, {text.size()});
}

}  // namespace weir::wire
