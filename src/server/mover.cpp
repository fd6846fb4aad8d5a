#include "mover.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "weir/base/log.h"

namespace weir::server {
namespace {

using io::Op;
using io::Tag;
using process::Inbox;
using process::Letter;
using process::LetterKind;
using process::Posted;
using session::Carried;

/// Before a letter is looked at again that there was no descriptor or memory for.
constexpr Duration kLookAgain = std::chrono::milliseconds{20};
constexpr Duration kComplainPause = std::chrono::seconds{10};

/// The letter's content as what its kind says that it is; nothing if it has another size.
template <class T>
std::optional<T> content_of(const Letter& letter) noexcept {
  if (letter.content.size() != sizeof(T)) return std::nullopt;
  T content;
  std::memcpy(&content, letter.content.data(), sizeof content);
  return content;
}

}  // namespace

Mover::Mover(io::Ring& ring, session::Sessions& sessions, steering::WorkerSlot& slot,
             Acceptor& acceptor, int reader, const std::vector<int>& writers)
    : ring_{ring},
      sessions_{sessions},
      slot_{slot},
      acceptor_{acceptor},
      reader_{reader},
      inbox_{reader} {
  for (const int writer : writers) writers_.emplace_back(writer);
  sessions_.carry_by(*this);
  arm();  // finds also what came while the slot had no worker
}

void Mover::arm() {
  ring_.poll_multishot(reader_, Tag::of(Op::inbox));
}

void Mover::on_letters(const io::Completion& completion, Instant now) {
  if (hand_over_) return;
  if (completion.result > 0) read_letters(now);
  if (!completion.more() && !hand_over_) arm();
}

void Mover::look(Instant now) {
  if (look_at_ && now >= *look_at_) read_letters(now);
}

void Mover::read_letters(Instant now) {
  look_at_.reset();
  for (int i = 0; i < kLettersPerTurn; ++i) {
    Letter letter;
    switch (inbox_.look(letter)) {
      case Inbox::Look::letter:
        read(std::move(letter), now);
        if (hand_over_) return;
        break;
      case Inbox::Look::empty: return;
      case Inbox::Look::damaged:
        spdlog::error("a letter that is none was in this slot's inbox");
        inbox_.take_off();
        break;
      case Inbox::Look::no_room:
        look_at_ = now + kLookAgain;
        if (complained_at_ && now - *complained_at_ < kComplainPause) return;
        complained_at_ = now;
        spdlog::warn("cannot take in a session that was given to this worker: {}; tries again",
                     std::strerror(errno));
        return;
    }
  }
  look_at_ = now;  // the poll tells of what comes, not of what is left
}

/// Off the queue first: what follows reads from the socket, or sends.
void Mover::read(Letter letter, Instant now) {
  inbox_.take_off();
  switch (letter.kind) {
    case LetterKind::session:
    case LetterKind::returned: return take_session(std::move(letter), now);
    case LetterKind::give:
      if (const auto order = content_of<process::GiveOrder>(letter)) give(*order);
      return;
    case LetterKind::hand_over:
      if (const auto order = content_of<process::HandOverOrder>(letter);
          order && order->worker == ::getpid()) {
        hand_over_ = order;
        ring_.cancel(Tag::of(Op::inbox));
      }
      return;
    case LetterKind::sums:
      if (const auto sums = content_of<weir_row>(letter)) add(*sums);
      return;
    case LetterKind::joined: return join(std::move(letter));
    case LetterKind::parted:
      if (const auto parted = content_of<process::SlotParted>(letter)) part(*parted);
      return;
    case LetterKind::rules: return note_rules(letter);
    case LetterKind::record:
    case LetterKind::record_end:
      if (const auto order = content_of<process::RecordOrder>(letter))
        recording_ = process::RecordingEnd{.order = *order, .pipe = std::move(letter.fd)};
      return;
  }
  spdlog::error("a letter of an unknown kind, {}, was in this slot's inbox",
                static_cast<std::uint32_t>(letter.kind));
}

void Mover::take_session(Letter letter, Instant now) {
  const bool came_back = letter.kind == LetterKind::returned;
  const auto taken = sessions_.arrive(letter.fd, letter.content, came_back, now);
  if (taken) return slot_.arrived();
  if (!came_back && reaches(letter.from) &&
      process::post(writers_[letter.from].get(), LetterKind::returned, slot_.slot(), letter.content,
                    letter.fd.get()) == Posted::posted) {
    slot_.pass_on(letter.from);
    spdlog::warn("gave a session back to slot {}: {}", letter.from, to_string(taken.error()));
    return;
  }
  slot_.lost();
  spdlog::error("lost a session of slot {}: {}", letter.from, to_string(taken.error()));
}

void Mover::give(const process::GiveOrder& order) {
  if (!reaches(order.target) || order.target == slot_.slot()) return;
  const std::size_t given = sessions_.give(order.count, order.target);
  spdlog::debug("gives {} of {} sessions to slot {}", given, order.count, order.target);
}

void Mover::add(const weir_row& sums) noexcept {
  if (!sums_) sums_ = std::make_unique<weir_row>();
  steering::add_sums(*sums_, sums);
}

void Mover::post_sums(const weir_row& sums) noexcept {
  // Should there be no room for it, nothing is lost but numbers.
  if (process::post(writers_[slot_.slot()].get(), LetterKind::sums, slot_.slot(),
                    std::as_bytes(std::span{&sums, 1})) != Posted::posted)
    spdlog::warn("what was counted since the slot was handed over is lost");
}

/// Applied by the worker between two turns: no session is in the middle of anything then.
void Mover::note_rules(const Letter& letter) {
  auto told = unpack_rules(letter.content);
  if (!told) return spdlog::error("{}", to_string(told.error()));
  if (!rules_ || rules_->made_at < told->made_at)
    rules_ = std::make_unique<WorkerRules>(std::move(*told));
}

void Mover::join(Letter letter) {
  const auto joined = content_of<process::SlotJoined>(letter);
  if (!joined || joined->slot >= WEIR_SLOTS_MAX) return;
  auto listeners = letter.joined.begin();
  if (joined->address == 0) {
    if (writers_.size() <= joined->slot) writers_.resize(joined->slot + 1);
    writers_[joined->slot] = std::move(*listeners++);
  }
  acceptor_.add(joined->slot, joined->address,
                {std::move_iterator{listeners}, std::move_iterator{letter.joined.end()}});
  if (joined->slot == slot_.slot()) slot_is_gone_ = false;  // it was, and a new master keeps it
}

void Mover::part(const process::SlotParted& parted) {
  if (parted.slot >= writers_.size()) return;
  acceptor_.drop(parted.slot);
  if (parted.slot == slot_.slot())
    slot_is_gone_ = true;
  else
    writers_[parted.slot].reset();
}

Carried Mover::carry(int fd, std::span<const std::byte> parcel, std::uint32_t target) noexcept {
  if (!reaches(target)) return Carried::gone;  // it went while this session made ready
  switch (process::post(writers_[target].get(), LetterKind::session, slot_.slot(), parcel, fd)) {
    case Posted::posted: slot_.moved_to(target); return Carried::taken;
    case Posted::no_room: return Carried::no_room;
    case Posted::failed: break;
  }
  if (errno == EPIPE) return Carried::gone;  // its inbox is shut, and we have not heard yet
  spdlog::warn("cannot give a session to slot {}: {}", target, std::strerror(errno));
  return Carried::refused;
}

}  // namespace weir::server
