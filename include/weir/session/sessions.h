// Sessions: all sessions of one worker. It turns completions into bytes, bytes into messages for
// the handler, and the handler's messages into sends; it keeps the deadlines and ends each
// session in good order. It accepts nothing and owns neither ring nor loop.
//
// What a session may have in the kernel at once: one multishot receive, one send, and one cancel.
// A session's place is reused only after both have completed, so a completion never meets a
// stranger.
//
// Nothing is allocated per message: input lies in the receive buffer it arrived in unless a
// message came in pieces, output in pooled blocks. A message that is forwarded leaves from where
// it lies: our frame header is shorter than the one that it came with, which had a mask, and takes
// its place. Output is gathered per session and sent by flush(), once per loop and session. A
// compressed message is inflated once it is whole: no session holds an inflater for it unless it
// has a context of its own.
//
// A send is tried once, as it is submitted, and is heard of only where it fell short: one
// completion less a message, and no second wake-up for it. So after the loop's one system call the
// memory of whatever did not fall short is free again, receive buffers among it: no slow reader
// can hold one back. What fell short is copied out and goes on as a send that waits for room. Where
// something is to follow a send, as on the way to a close, it is an ordinary one, which completes.
//
// A session whose peer sends much at a time is read in bulk instead: the ring says when it is
// readable, and one plain call receives into the one large buffer that all such sessions share,
// out of which answers are sent by another. A batch of large messages would fill as many receive
// buffers and pass through the caches three times; here each message is still in the first-level
// cache when it leaves, and two system calls are little beside it.
//
// How sessions end, and with which code (RFC 6455, 7.4; "-": no close frame can be sent):
//   the peer's close, answered                its own code, 1000 for one without
//   stopping (close_some)                     1001
//   nothing heard for the idle timeout        1001
//   a frame against RFC 6455 or 7692          1002
//   an app that takes no such message         1003  (Peer::close)
//   text that is no UTF-8, corrupt DEFLATE    1007
//   over the message rate                     1008
//   a message over the limit, inflated too    1009
//   a handler that throws                     1011
//   making way for a successor                1012  (close_some)
//   a backlog over the limit                  1013
//   transport errors, TLS failures            -     (1006 to the handler)
// After a close of ours that the peer may answer (1001, 1011 to 1013, the application's) it has
// close_timeout for that; after its own, one that fails the connection, or an answer to a request
// that is no upgrade, the same to end its direction.
#pragma once

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weir/base/cidr.h"
#include "weir/base/clock.h"
#include "weir/base/unique_fd.h"
#include "weir/io/buffer_ring.h"
#include "weir/io/ring.h"
#include "weir/io/timer_wheel.h"
#include "weir/session/block_pool.h"
#include "weir/session/carrier.h"
#include "weir/session/gate.h"
#include "weir/session/handler.h"
#include "weir/session/parcel.h"
#include "weir/session/placer.h"
#include "weir/session/session.h"
#include "weir/session/witness.h"
#include "weir/tls/context.h"

namespace weir::session {

/// What becomes of a session whose backlog is over the limit.
enum class SlowConsumer : std::uint8_t {
  close,  // closed with 1013
  drop,   // messages are left out until there is room
};

/// So many a second, after `burst` at once. per_second 0: no limit.
struct Rate {
  std::uint32_t per_second = 0;
  std::uint32_t burst = 1;

  bool operator==(const Rate&) const = default;
};

struct SessionRules {
  std::string app{};  // the handler's name: a session that arrives has to be of the same
  wire::UpgradeRules upgrade;
  std::vector<Cidr> proxy_from{};           // whose PROXY headers are believed
  std::uint64_t message_bytes_max = 1_MiB;  // after inflation; below BlockPool::kBytesMax
  std::size_t compress_from_bytes = 128;    // a smaller message is sent as it is
  Rate message_rate{};                      // data messages and pings of one session
  std::size_t backlog_bytes_max = 16_MiB;   // unsent output beyond which slow_consumer holds
  SlowConsumer slow_consumer = SlowConsumer::close;
  Duration handshake_timeout = std::chrono::seconds{10};
  Duration idle_timeout = std::chrono::seconds{120};  // nothing heard; 0: off
  Duration ping_interval = std::chrono::seconds{30};  // nothing heard, then a ping; 0: off
  Duration close_timeout = std::chrono::seconds{5};   // for the peer to finish the close
  /// Over this much unsent output a session is not read from, until it is down to half.
  std::size_t high_water_bytes = 256_KiB;
};

/// What the connections of one listen address begin with.
struct Door {
  bool proxy = false;  // a PROXY header
  bool tls = false;    // TLS, after that
};

/// Running totals of one worker.
struct Traffic {
  std::uint64_t messages_in = 0;  // whole data messages
  std::uint64_t messages_out = 0;
  std::uint64_t bytes_in = 0;  // on the wire: handshake and frame headers included
  std::uint64_t bytes_out = 0;
  std::uint64_t ended = 0;  // connections closed, of those adopted and arrived

  std::uint64_t upgraded = 0;            // handshakes answered with 101
  std::uint64_t rejected = 0;            // handshakes answered with an error
  std::uint64_t handshake_timeouts = 0;  // no session in time
  std::uint64_t idle_timeouts = 0;       // sessions of which nothing was heard
  std::uint64_t protocol_errors = 0;     // sessions ended by a frame error but message_too_big
  std::uint64_t too_big = 0;             // sessions ended by that
  std::uint64_t too_chatty = 0;          // sessions ended for their message rate
  std::uint64_t overloaded = 0;          // sessions ended for their backlog
  std::uint64_t dropped = 0;             // messages left out for it
  std::uint64_t proxy_refused = 0;       // connections reset: untrusted, or no PROXY header
  std::uint64_t tls_established = 0;
  std::uint64_t tls_resumed = 0;  // of those
  std::uint64_t tls_failed = 0;   // handshakes and streams
  std::uint64_t compressed_in = 0;
  std::uint64_t compressed_out = 0;
  std::uint64_t arrived = 0;  // sessions that came from other workers
  std::uint64_t left = 0;     // and those that went there; not among `ended`
  // Of those that a Placer was asked about:
  std::uint64_t hash_moved = 0;   // went to another worker; among `left`
  std::uint64_t hash_stayed = 0;  // another's, and answered here
  std::uint64_t hash_tls = 0;     // likewise, for their TLS
  std::uint64_t hash_no_key = 0;  // lacked what they would be placed by
};

class Sessions {
 public:
  /// All are borrowed and must outlive this, but for `now`. `tls` may be null where no door has it.
  /// `rules` may change between two turns of the loop: rules_changed().
  Sessions(io::Ring& ring, io::BufferRing& buffers, Handler& handler, Gate& gate, tls::Context* tls,
           const SessionRules& rules, Instant now);
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;
  /// Closes what is left without ceremony. The ring must not be entered any more.
  ~Sessions();

  /// Takes a connected socket and begins its handshake, or resets it where the gate or the door is
  /// against it: it then counts as ended at once.
  void adopt(UniqueFd fd, Door door, Instant now);

  /// To be called once the ring was entered, with all that it says, and then finish_sends(); both
  /// before any of these completions is handed over. What was sent has gone then, and an answer to
  /// what came meanwhile may leave from where that lies.
  void begin_batch(const io::Completions& batch) noexcept;
  void finish_sends(Instant now);
  /// The completions of the operations that this queued: Op::receive and Op::send, one at a time.
  /// Op::short_send is begin_batch()'s.
  void on_receive(const io::Completion& completion, Instant now);
  void on_send(const io::Completion& completion, Instant now);

  /// From now on sessions may leave, by `carrier`, which is borrowed, in parcels of this version.
  void carry_by(Carrier& carrier, std::uint16_t version = kParcelNewest) noexcept {
    carrier_ = &carrier;
    parcel_version_ = version;
  }
  /// From now on none may; those about to go on here.
  void carry_no_more() noexcept { carrier_ = nullptr; }
  /// From now on `placer`, which is borrowed, is asked which worker is to answer a request. Where
  /// it is another, the session goes there, once, if sessions may leave; else it is answered here.
  void place_by(Placer& placer) noexcept { placer_ = &placer; }
  /// Begins to give so many sessions to the worker of slot `target`, each as soon as nothing of it
  /// is in the kernel, which takes a turn or two. Returns how many: fewer only where no more of
  /// them can move. Whatever has TLS stays, and so does what the handler will not let go.
  std::size_t give(std::size_t count, std::uint32_t target);
  /// Whether give() would find a session, or one is on its way out.
  [[nodiscard]] bool may_give();
  /// Takes in a session that another worker gave, from its socket and its packed parcel. One that
  /// is in its opening is answered. `came_back`: from whom it was given to, who could not take it;
  /// an open one is not given to anyone again. Where it fails, nothing was done, and `fd` is the
  /// caller's.
  [[nodiscard]] Result<void> arrive(UniqueFd& fd, std::span<const std::byte> packed, bool came_back,
                                    Instant now);

  /// Before a carrier that had no room is asked again, by run_deadlines().
  static constexpr Duration kLeaveAgain = std::chrono::milliseconds{1};
  /// It goes on here after that: nobody serves it while it waits.
  static constexpr Duration kLeaveWithin = std::chrono::milliseconds{250};
  [[nodiscard]] bool waits_to_leave() const noexcept { return !waiting_to_leave_.empty(); }

  [[nodiscard]] std::optional<Instant> next_deadline() const noexcept {
    return waiting_to_leave_.empty() ? timers_.next() : std::optional{now_ + kLeaveAgain};
  }
  void run_deadlines(Instant now);

  /// Queues at most one send per session with output. Once per loop, before the ring is entered.
  void flush(Instant now);

  /// Upgrades are answered 503 from here on, and so are health checks.
  void refuse_upgrades() noexcept { upgrade_rules_.draining = true; }
  /// Begins the closing handshake on so many open sessions, those least recently looked at by
  /// earlier calls first. Returns on how many: fewer only where there are no more. `which`: of all,
  /// or only of those that cannot be given away.
  enum class Which : std::uint8_t { all, that_stay };
  std::size_t close_some(std::size_t count, wire::CloseCode code, std::string_view reason,
                         Instant now, Which which = Which::all);

  /// Ends the connections that are still handshaking.
  void drop_handshakes();

  /// The owner of the rules has changed them; not from within a handler. They hold at once and for
  /// every session, also for how long it has been silent: one that other timeouts make overdue is
  /// pinged first, if there are pings, and has as long to answer as any. What does not change is
  /// the compression that an open session has agreed to, and that a message in progress may fill
  /// the frame that it has begun (what it inflates to is held against the new limit). The app's
  /// name stays.
  void rules_changed(Instant now);

  /// From now on it is told of sessions, borrowed; null: nobody is.
  void watch_by(Witness* witness) noexcept { witness_ = witness; }
  /// Calls `call(const Session&)` for each session: open, or on its way to its end.
  template <class Call>
  void each_open(Call call) const {
    for (const auto& chunk : slab_)
      for (const Session& session : *chunk)
        if (session.state != State::free && session.counted_open) call(session);
  }
  /// Before finish_sends(): calls `call(place, bytes)` for what that is going to count as sent.
  template <class Call>
  void each_tried_send(Call call) const {
    if (!ring_.everything_answered()) return;
    for (const Outgoing& out : sent_)
      call(out.slot,
           out.result == kWhole ? out.size : static_cast<std::uint32_t>(std::max(out.result, 0)));
  }

  /// Connections adopted and not ended.
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  /// Of those, sessions: what got its 101.
  [[nodiscard]] std::size_t open_count() const noexcept { return open_count_; }
  [[nodiscard]] const Traffic& traffic() const noexcept { return traffic_; }

 private:
  friend class Peer;
  static constexpr std::size_t kSlabChunk = 64;           // sessions allocated together
  static constexpr std::size_t kRecordBytesMax = 16_KiB;  // plaintext of a TLS record
  /// Before a gathered message, for the header that it is forwarded with.
  static constexpr std::size_t kHeadroom = wire::kServerHeaderBytesMax;
  static constexpr std::uint16_t kNoBuffer = std::numeric_limits<std::uint16_t>::max();
  static constexpr std::uint16_t kBulkBuffer = kNoBuffer - 1;
  static constexpr std::size_t kBulkBytes = 512_KiB;  // of the large buffer
  static constexpr std::uint8_t kSmallReadsMax = 64;  // in a row, and it was not bulk
  static constexpr int kBulkReadsMax = 4;             // of one session in one turn
  static constexpr std::int32_t kWhole = std::numeric_limits<std::int32_t>::max();

  /// What flush() is to send for one session, or has sent: frames that lie in a receive buffer,
  /// or with kNoBuffer those of its blocks.
  struct Outgoing {
    std::uint32_t slot = 0;
    std::uint16_t buffer = kNoBuffer;  // given back when this is done with
    std::uint32_t size = 0;
    std::byte* data = nullptr;
    std::int32_t result = kWhole;  // of a send that fell short
  };
  /// The receive buffer whose bytes are being taken in.
  struct Receiving {
    std::uint16_t buffer = kNoBuffer;
    const std::byte* begin = nullptr;  // of the bytes, and of what may be written to
    bool held = false;                 // by one of to_flush_, which gives it back
    std::uint32_t holder = 0;          // its place there, from 1
  };
  /// What packing takes, made when the first session leaves.
  struct Packing {
    std::array<std::byte, wire::kWindowBytesMax> out;
    std::array<std::byte, wire::kWindowBytesMax> in;
    std::vector<std::byte> app_state;
    std::vector<std::byte> parcel;
  };
  /// One for which the carrier had no room.
  struct WaitingToLeave {
    std::uint32_t slot = 0;
    std::uint32_t generation = 0;
    Instant until;
  };

  /// Of the rules, what sessions have done under them: only where it changes is that forgiven.
  struct Followed {
    Duration idle_timeout{};
    Duration ping_interval{};
    Rate message_rate{};
  };

  /// Where the message lies that a handler is looking at: in the block, or the buffer received.
  struct Lying {
    const std::byte* begin = nullptr;  // null: nowhere to send it from
    const std::byte* end = nullptr;
    Block* block = nullptr;
  };

  // The slab.
  [[nodiscard]] Session& at(std::uint32_t slot) noexcept {
    return (*slab_[slot / kSlabChunk])[slot % kSlabChunk];
  }
  [[nodiscard]] Session& of(io::Tag tag) noexcept;
  [[nodiscard]] Session& take_place();
  [[nodiscard]] Session& take_in(UniqueFd fd, Instant now);
  /// Of the one receive or poll that a session has in the kernel: completions that bring events,
  /// not a buffer, are the poll's.
  [[nodiscard]] static io::Tag receive_tag(const Session& session) noexcept {
    return io::Tag::of(io::Op::receive, session.slot, session.generation);
  }

  // Opening (opening.cpp).
  [[nodiscard]] bool take_proxy_header(Session& session, std::span<std::byte>& in, Instant now);
  void take_upgrade(Session& session, std::span<std::byte>& in, Instant now);
  void open(Session& session, const wire::UpgradeParser& accepted, Instant now);
  void handshake_expired(Session& session, Instant now);
  void refuse(Session& session, std::string_view why);

  // TLS (secure.cpp).
  void take_ciphertext(Session& session, std::span<std::byte> in, Instant now);
  void answer_plain_http(Session& session, Instant now);
  [[nodiscard]] bool seal(Session& session);
  [[nodiscard]] bool close_tls(Session& session);

  // Receiving (receive.cpp).
  void read_bulk(Session& session, int events, Instant now);
  void change_mode(Session& session, bool bulk);
  [[nodiscard]] bool over_high_water(const Session& session) const noexcept;
  void take_received(Session& session, std::uint16_t buffer, std::span<std::byte> in, Instant now);
  void take(Session& session, std::span<std::byte> in, Instant now);
  void take_plaintext(Session& session, std::span<std::byte> in, Instant now);
  void take_frames(Session& session, std::span<std::byte> in, Instant now);
  [[nodiscard]] std::span<std::byte> take_whole_messages(Session& session, std::span<std::byte> in);
  void take_data(Session& session, const wire::Event& event);
  void gather(Session& session, std::span<const std::byte> piece);
  void deliver(Session& session, wire::Opcode opcode, std::span<std::byte> bytes,
               Block* block = nullptr);
  template <class Call>
  void call_handler(Session& session, Call call);
  [[nodiscard]] bool within_rate(Session& session);
  void receive_ended(Session& session, int result, Instant now);
  void keep_receiving(Session& session);

  // Transfer (transfer.cpp).
  [[nodiscard]] bool may_leave(Session& session);
  void begin_leaving(Session& session, std::uint32_t target);
  void stop_leaving(Session& session);
  void leave_if_ready(Session& session);
  void leave(Session& session);
  void leave_at_last();
  [[nodiscard]] std::span<const std::byte> pack_up(Session& session);
  void pack_open(Session& session, Parcel& parcel);
  void take_over_account(Session& session, Instant now);

  // Placing (placing.cpp).
  [[nodiscard]] bool goes_elsewhere(Session& session, const wire::UpgradeRequest& request,
                                    Instant now);
  void begin_placing(Session& session, std::string_view request, std::span<const std::byte> behind);
  void add_pending(Session& session, std::span<const std::byte> in);
  void stop_placing(Session& session);
  void arrive_opening(UniqueFd& fd, const Parcel& parcel, bool came_back, Instant now);

  // Compression (compression.cpp).
  void agree_on(Session& session, const wire::DeflateTerms& terms);
  void inflate(Session& session, wire::Opcode opcode, std::span<const std::byte> payload);
  [[nodiscard]] bool send_compressed(Session& session, wire::Opcode opcode,
                                     std::span<const std::byte> payload);

  // Sending (send.cpp).
  [[nodiscard]] bool send_message(Session& session, wire::Opcode opcode,
                                  std::span<const std::byte> payload);
  [[nodiscard]] bool forward_message(Session& session, wire::Opcode opcode,
                                     std::span<std::byte> bytes);
  [[nodiscard]] bool may_send(Session& session);
  void close_overloaded(Session& session);
  [[nodiscard]] bool send_from_block(Session& session, wire::Opcode opcode,
                                     std::span<std::byte> bytes);
  [[nodiscard]] bool send_from_buffer(Session& session, wire::Opcode opcode,
                                      std::span<std::byte> bytes);
  void send_behind(Outgoing& out, wire::Opcode opcode, std::span<std::byte> bytes);
  void send_frame(Session& session, wire::Opcode opcode, std::span<const std::byte> payload,
                  bool compressed = false);
  void send_raw(Session& session, std::string_view bytes);
  void send_close(Session& session, wire::CloseCode code, std::string_view reason);
  [[nodiscard]] std::span<std::byte> queue_room(Session& session, std::size_t bytes);
  Outgoing& outgoing_of(Session& session);
  void list_for_flush(Session& session) { (void)outgoing_of(session); }
  void unlist(Session& session) noexcept;
  void leave_buffer(Outgoing& out) noexcept;
  void start_send(Session& session, Block& next);
  void send_now(Session& session, Outgoing out);
  void send_at_once(Outgoing& listed);
  void send_on(Session& session);
  void fell_short(Session& session, Outgoing out);
  void leave_out_excess(Session& session, Outgoing& out, std::uint32_t taken);
  void send_failed(Session& session, int error);
  void sent_whole(Session& session);
  void send_finished(Session& session);

  // Life (sessions.cpp).
  void enter(Session& session, State state, Instant now);
  void begin_close(Session& session, wire::CloseCode code, std::string_view reason, Instant now);
  void fail(Session& session, wire::CloseCode code, std::string_view reason, Instant now);
  void fail_on(Session& session, wire::FrameError error, Instant now);
  void linger(Session& session, wire::CloseCode code, Instant now);
  void release(Session& session, wire::CloseCode code);
  void tell_closed(Session& session, wire::CloseCode code);
  void free_if_done(Session& session);
  void give_back_blocks(Session& session) noexcept;
  void expire(Session& session, Instant now);
  void follow_rules(Session& session, const Followed& before, Instant now);
  [[nodiscard]] Instant deadline(const Session& session) const noexcept;

  io::Ring& ring_;
  io::BufferRing& buffers_;
  Handler& handler_;
  Gate& gate_;
  tls::Context* tls_;
  const SessionRules& rules_;
  wire::UpgradeRules upgrade_rules_;
  Followed followed_;
  BlockPool blocks_;
  /// Deflaters without context takeover, by window bits; made when first needed.
  std::array<std::optional<wire::Deflater>, wire::kWindowBitsMax + 1> deflaters_;
  std::optional<wire::Inflater> inflater_;  // without context takeover; takes any window
  std::vector<std::byte> plaintext_;        // of one TLS record; empty without TLS
  Carrier* carrier_ = nullptr;
  Witness* witness_ = nullptr;
  Placer anywhere_;
  Placer* placer_ = &anywhere_;
  std::unique_ptr<Packing> packing_;
  std::vector<WaitingToLeave> waiting_to_leave_;
  std::size_t give_next_ = 0;  // the place that give() looked at last
  io::TimerWheel timers_;
  std::vector<std::unique_ptr<std::array<Session, kSlabChunk>>> slab_;
  std::vector<std::uint32_t> free_places_;
  std::vector<Outgoing> to_flush_;
  std::vector<Outgoing> sent_;  // since the ring was last known to have answered everything
  Receiving receiving_;
  std::unique_ptr<std::byte[]> bulk_;  // made when first needed
  Lying lying_;
  std::size_t count_ = 0;
  std::size_t open_count_ = 0;
  std::uint16_t parcel_version_ = kParcelNewest;
  std::size_t close_next_ = 0;  // the place that close_some() looks at next
  Instant now_;                 // of the loop's turn; for what handlers cause
  Traffic traffic_;
};

}  // namespace weir::session
