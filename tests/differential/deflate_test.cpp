// permessage-deflate with Boost.Beast's client, agreed in a handshake that we answer: what it
// compresses we inflate, what we compress it inflates, whatever windows and contexts were agreed.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <optional>
#include <set>

#include "pipe.h"
#include "streams.h"
#include "weir/wire/upgrade.h"

namespace weir::differential {
namespace {

namespace beast = boost::beast;
namespace websocket = beast::websocket;
using wire::Compression;
using wire::DeflateTerms;

constexpr int kSessions = 150;
constexpr int kMessages = 8;

/// Our end, in the worker's role: handshake, frames and compression, without the worker.
class Server {
 public:
  explicit Server(const wire::DeflateRules& rules) { rules_.compression = rules; }

  /// The response to `request`, which is whole.
  std::string upgrade(std::string_view request) {
    wire::UpgradeParser parser{rules_};
    std::vector<std::byte> bytes = to_bytes(request);
    std::span<std::byte> in{bytes};
    EXPECT_EQ(parser.feed(in), wire::UpgradeParser::Progress::accepted) << parser.response();
    terms_ = parser.request().deflate;
    if (terms_) {
      inflater_.emplace(terms_->client_window_bits, !terms_->client_no_context_takeover);
      deflater_.emplace(terms_->server_window_bits, !terms_->server_no_context_takeover);
    }
    return std::string{parser.response()};
  }
  [[nodiscard]] const std::optional<DeflateTerms>& terms() const { return terms_; }

  /// The messages in `frames`, fed in pieces and inflated into rooms of `room` bytes.
  std::vector<std::string> read(std::string_view frames, const std::vector<std::size_t>& pieces,
                                std::size_t room) {
    std::vector<std::string> messages;
    for (const std::size_t size : pieces) {
      std::vector<std::byte> piece = to_bytes(frames.substr(0, size));
      frames.remove_prefix(size);
      std::span<std::byte> in{piece};
      for (wire::Event event = decoder_.next(in); event.kind != wire::Event::Kind::need_more;
           event = decoder_.next(in)) {
        EXPECT_EQ(event.kind, wire::Event::Kind::data) << to_string(event.error);
        if (event.kind != wire::Event::Kind::data) return messages;
        if (event.first) messages.emplace_back();
        event.compressed ? inflate(event, room, messages.back())
                         : void(messages.back() += to_text(event.bytes));
        compressed_ += event.first && event.compressed ? 1 : 0;
      }
    }
    return messages;
  }

  /// One compressed message, in two frames where it is long enough.
  std::string write(std::string_view message, std::size_t cut) {
    std::vector<std::byte> out(deflater_->bound(message.size()));
    out.resize(deflater_->deflate(std::as_bytes(std::span{message}), out));
    const std::size_t at = cut % out.size();
    std::string frames;
    if (at > 0) frames += frame(wire::Opcode::binary, false, std::span{out}.first(at), true);
    return frames + frame(at > 0 ? wire::Opcode::continuation : wire::Opcode::binary, true,
                          std::span{out}.subspan(at), at == 0);
  }
  [[nodiscard]] int compressed() const { return compressed_; }

 private:
  static std::vector<std::byte> to_bytes(std::string_view text) {
    const auto bytes = std::as_bytes(std::span{text});
    return {bytes.begin(), bytes.end()};
  }
  static std::string to_text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  static std::string frame(wire::Opcode opcode, bool fin, std::span<const std::byte> payload,
                           bool compressed) {
    std::array<std::byte, wire::kHeaderBytesMax> header;
    const std::size_t bytes = encode_header(header, opcode, fin, payload.size(), compressed);
    return to_text(std::span{header}.first(bytes)) + to_text(payload);
  }

  void inflate(const wire::Event& event, std::size_t room, std::string& message) {
    std::span<const std::byte> in = event.bytes;
    std::vector<std::byte> out(room);
    while (true) {
      const wire::Inflater::Step step = inflater_->inflate(in, event.last, out);
      message += to_text(std::span{out}.first(step.bytes));
      ASSERT_NE(step.kind, wire::Inflater::Step::Kind::corrupt);
      if (step.kind == wire::Inflater::Step::Kind::done) return;
    }
  }

  wire::UpgradeRules rules_;
  std::optional<DeflateTerms> terms_;
  wire::FrameDecoder decoder_{wire::Role::server, UINT64_MAX, true};
  std::optional<wire::Inflater> inflater_;
  std::optional<wire::Deflater> deflater_;
  int compressed_ = 0;  // messages read
};

/// What compresses well, badly, not at all, or only within a window.
std::string make_message(Random& random) {
  constexpr std::size_t most_bytes[] = {1, 20, 300, 5'000, 70'000};
  const std::size_t bytes = random.below(most_bytes[random.below(std::size(most_bytes))]);
  switch (random.below(4)) {
    case 0: return make_bytes(random, bytes);
    case 1: return std::string(bytes, static_cast<char>(random.below(256)));
    case 2: {
      const std::string unit = make_bytes(random, 1 + random.below(40'000));
      std::string text;
      while (text.size() < bytes) text += unit.substr(0, bytes - text.size());
      return text;
    }
    default: return make_text(random, bytes);
  }
}

websocket::permessage_deflate make_offer(Random& random) {
  websocket::permessage_deflate offer;
  offer.client_enable = true;
  offer.server_max_window_bits = static_cast<int>(9 + random.below(7));
  offer.client_max_window_bits = static_cast<int>(9 + random.below(7));
  offer.server_no_context_takeover = random.one_in(2);
  offer.client_no_context_takeover = random.one_in(2);
  offer.compLevel = static_cast<int>(random.below(10));
  offer.memLevel = static_cast<int>(1 + random.below(9));
  return offer;
}

struct Session {
  explicit Session(Random& random)
      : server{{.mode = random.one_in(4) ? Compression::shared : Compression::dedicated,
                .window_bits = static_cast<std::uint8_t>(9 + random.below(7))}} {
    client.set_option(make_offer(random));
    client.auto_fragment(random.one_in(2));
    client.write_buffer_bytes(8 + random.below(5'000));
    client.binary(true);
    client.read_message_max(0);
    pipe().on_dry = [this] { pipe().in += server.upgrade(std::exchange(pipe().out, {})); };
    client.handshake("localhost", "/");
    pipe().on_dry = {};
  }
  Pipe& pipe() { return client.next_layer(); }

  boost::asio::io_context io;
  websocket::stream<Pipe> client{io};
  Server server;
};

TEST(DeflateAndBeast, UnderstandEachOtherWhateverIsAgreed) {
  Random random{3};
  std::set<unsigned> client_windows, server_windows;
  std::set<bool> client_contexts, server_contexts;
  int compressed = 0;
  for (int i = 0; i < kSessions; ++i) {
    Session session{random};
    ASSERT_TRUE(session.server.terms()) << "session " << i;
    const DeflateTerms& terms = *session.server.terms();
    client_windows.insert(terms.client_window_bits);
    server_windows.insert(terms.server_window_bits);
    client_contexts.insert(!terms.client_no_context_takeover);
    server_contexts.insert(!terms.server_no_context_takeover);
    SCOPED_TRACE(fmt::format(
        "session {}: client {} bits{}, server {} bits{}", i, terms.client_window_bits,
        terms.client_no_context_takeover ? ", no context" : "", terms.server_window_bits,
        terms.server_no_context_takeover ? ", no context" : ""));
    for (int count = 0; count < kMessages; ++count) {
      const std::string up = make_message(random);
      session.client.write(boost::asio::buffer(up));
      const std::string frames = std::exchange(session.pipe().out, {});
      const std::vector<std::string> got =
          session.server.read(frames, make_pieces(random, frames.size()), 1 + random.below(10'000));
      ASSERT_EQ(got.size(), 1U) << "message " << count;
      ASSERT_TRUE(got.front() == up) << "up, message " << count << " of " << up.size();

      const std::string down = make_message(random);
      session.pipe().in += session.server.write(down, random.one_in(2) ? random.below(1'000) : 0);
      beast::flat_buffer read;
      beast::error_code error;
      session.client.read(read, error);
      ASSERT_FALSE(error) << error.message() << ", down, message " << count;
      ASSERT_TRUE(beast::buffers_to_string(read.data()) == down)
          << "down, message " << count << " of " << down.size();
    }
    compressed += session.server.compressed();
  }
  EXPECT_EQ(client_windows.size(), 7U) << "9 to 15";
  EXPECT_EQ(server_windows.size(), 7U);
  EXPECT_EQ(client_contexts.size(), 2U);
  EXPECT_EQ(server_contexts.size(), 2U);
  EXPECT_GT(compressed, kSessions * kMessages / 2);
}

}  // namespace
}  // namespace weir::differential
