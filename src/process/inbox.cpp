#include "weir/process/inbox.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "weir/base/rights.h"

namespace weir::process {
namespace {

/// What every letter begins with. One host and one user: no byte order, but a version's word.
struct LetterHead {
  std::uint32_t magic = kMagic;
  LetterKind kind{};
  std::uint32_t from = 0;
  std::uint32_t in_file = 0;  // 1: the content is in the second descriptor
  std::uint64_t bytes = 0;    // of the content

  static constexpr std::uint32_t kMagic = 0x31'78'62'77;  // "wbx1"
};
static_assert(sizeof(LetterHead) == 24);

/// More than any session holds: the backlog limit and a message twice over stay far below.
constexpr std::uint64_t kFileBytesMax = std::uint64_t{4} << 30;

UniqueFd file_of(std::span<const std::byte> content) noexcept {
  UniqueFd file{::memfd_create("weir-session", MFD_CLOEXEC)};
  if (!file) return file;
  while (!content.empty()) {
    const ssize_t put = ::write(file.get(), content.data(), content.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return UniqueFd{};
    content = content.subspan(static_cast<std::size_t>(put));
  }
  return file;
}

bool read_file(int file, std::span<std::byte> into) noexcept {
  off_t at = 0;
  while (!into.empty()) {
    const ssize_t got = ::pread(file, into.data(), into.size(), at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    into = into.subspan(static_cast<std::size_t>(got));
  }
  return true;
}

/// Whether shutdown() closed its reading end: it ends then, instead of being empty.
bool is_shut(int reader) noexcept {
  pollfd poll{.fd = reader, .events = POLLRDHUP, .revents = 0};
  return ::poll(&poll, 1, 0) == 1 && (poll.revents & POLLRDHUP) != 0;
}

/// How many descriptors a letter of this kind has besides its file; nothing for no kind of ours.
bool may_have(LetterKind kind, std::size_t descriptors) noexcept {
  switch (kind) {
    case LetterKind::session:
    case LetterKind::returned:
    case LetterKind::record: return descriptors == 1;
    case LetterKind::give:
    case LetterKind::hand_over:
    case LetterKind::sums:
    case LetterKind::rules:
    case LetterKind::record_end:
    case LetterKind::parted: return descriptors == 0;
    case LetterKind::joined: return descriptors > 0;
  }
  return false;
}

}  // namespace

Result<Inboxes> Inboxes::open(std::uint32_t slots) {
  Inboxes made;
  if (auto grown = made.grow(slots); !grown) return grown.error();
  return made;
}

Result<void> Inboxes::grow(std::uint32_t slots) {
  const std::uint32_t before = this->slots();
  while (this->slots() < slots) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
      const int error = errno;
      shrink(before);
      return os_error("making the workers' inboxes", error, "raise the limit on open files");
    }
    readers_.emplace_back(ends[0]);
    writers_.emplace_back(ends[1]);
    // What may be under way to one slot; the kernel gives what the host's limit allows.
    const int bytes = 4 << 20;
    if (::setsockopt(ends[1], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0)
      ::setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  }
  return {};
}

void Inboxes::shrink(std::uint32_t slots) noexcept {
  if (slots >= this->slots()) return;
  readers_.erase(readers_.begin() + slots, readers_.end());
  writers_.erase(writers_.begin() + slots, writers_.end());
}

void Inboxes::shut(std::uint32_t slot) noexcept {
  // Whoever posts next gets EPIPE; what is in the queue stays there.
  ::shutdown(readers_[slot].get(), SHUT_RD);
}

Result<void> Inboxes::replace_shut(std::uint32_t slot) {
  if (!is_shut(readers_[slot].get())) return {};
  Inboxes fresh;
  if (auto made = fresh.grow(1); !made) return made;
  Inbox before{readers_[slot].get()};
  Letter letter;
  while (before.look(letter) == Inbox::Look::letter) {
    if (letter.fd && post(fresh.writer(0), letter.kind, letter.from, letter.content,
                          letter.fd.get()) != Posted::posted)
      return Error{fmt::format("what is on its way to slot {} does not fit its inbox", slot), ""};
    before.take_off();
  }
  readers_[slot] = std::move(fresh.readers_.front());
  writers_[slot] = std::move(fresh.writers_.front());
  return {};
}

Result<Inboxes> Inboxes::inherit(std::uint32_t slots, Estate& estate) {
  Inboxes made;
  for (std::uint32_t slot = 0; slot < slots; ++slot) {
    auto reader = estate.take(fmt::format("reader.{}", slot));
    if (!reader) return reader.error();
    auto writer = estate.take(fmt::format("writer.{}", slot));
    if (!writer) return writer.error();
    made.readers_.push_back(std::move(*reader));
    made.writers_.push_back(std::move(*writer));
    if (auto replaced = made.replace_shut(slot); !replaced) return replaced.error();
  }
  return made;
}

std::vector<int> Inboxes::writers() const {
  std::vector<int> all;
  for (const UniqueFd& writer : writers_) all.push_back(writer.get());
  return all;
}

Posted post(int writer, LetterKind kind, std::uint32_t from, std::span<const std::byte> content,
            int fd) noexcept {
  return post(writer, kind, from, content, std::span{&fd, fd >= 0 ? 1U : 0U});
}

Posted post(int writer, LetterKind kind, std::uint32_t from, std::span<const std::byte> content,
            std::span<const int> with) noexcept {
  LetterHead head{.kind = kind, .from = from, .bytes = content.size()};
  UniqueFd file;
  if (content.size() > Inbox::kInlineBytesMax) {
    file = file_of(content);
    if (!file) return errno == EMFILE || errno == ENFILE ? Posted::no_room : Posted::failed;
    head.in_file = 1;
    content = {};
  }
  if (with.size() + (file ? 1 : 0) > kLetterDescriptorsMax) {
    errno = E2BIG;
    return Posted::failed;
  }
  std::array<int, kLetterDescriptorsMax> fds{};
  std::size_t count = with.size();
  std::ranges::copy(with, fds.begin());
  if (file) fds[count++] = file.get();

  std::array<iovec, 2> parts{
      {{&head, sizeof head}, {const_cast<std::byte*>(content.data()), content.size()}}};
  RightsRoom<kLetterDescriptorsMax> room;
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = content.empty() ? 1 : 2;
  attach_rights(message, room.bytes, std::span{fds}.first(count));
  while (::sendmsg(writer, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
    switch (errno) {
      case EINTR: continue;
      case EAGAIN:        // the reader is behind
      case ENOBUFS:       // no memory just now
      case ENOMEM:        // likewise
      case ETOOMANYREFS:  // as many descriptors as this user may have are in queues already
        return Posted::no_room;
      default: return Posted::failed;
    }
  }
  return Posted::posted;
}

Inbox::Inbox(int reader) : reader_{reader}, bytes_(sizeof(LetterHead) + kInlineBytesMax) {}

Inbox::Look Inbox::look(Letter& letter) {
  letter = {};
  iovec part{bytes_.data(), bytes_.size()};
  RightsRoom<kLetterDescriptorsMax> room;
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  await_rights(message, room.bytes);
  ssize_t got = -1;
  do {
    got = ::recvmsg(reader_, &message, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return errno == EAGAIN ? Look::empty : Look::no_room;
  if (got == 0) return Look::empty;  // every writer is closed
  std::vector<UniqueFd> fds = take_rights(message);
  if ((message.msg_flags & MSG_CTRUNC) != 0) return Look::no_room;  // descriptors ran out
  LetterHead head;
  if ((message.msg_flags & MSG_TRUNC) != 0 || static_cast<std::size_t>(got) < sizeof head)
    return Look::damaged;
  std::memcpy(&head, bytes_.data(), sizeof head);
  const std::span<std::byte> rest{bytes_.data() + sizeof head,
                                  static_cast<std::size_t>(got) - sizeof head};
  const bool in_file = head.in_file != 0;
  if (head.magic != LetterHead::kMagic || fds.size() < std::size_t{in_file} ||
      !may_have(head.kind, fds.size() - std::size_t{in_file}) ||
      (in_file ? !rest.empty() || head.bytes > kFileBytesMax : head.bytes != rest.size()))
    return Look::damaged;
  UniqueFd file;
  if (in_file) {
    file = std::move(fds.back());
    fds.pop_back();
  }
  letter.kind = head.kind;
  letter.from = head.from;
  if (head.kind == LetterKind::joined)
    letter.joined = std::move(fds);
  else if (!fds.empty())
    letter.fd = std::move(fds.front());
  letter.content = rest;
  file_.clear();
  file_.shrink_to_fit();
  if (in_file) {
    file_.resize(head.bytes);
    if (!read_file(file.get(), file_)) return Look::damaged;
    letter.content = file_;
  }
  return Look::letter;
}

void Inbox::take_off() noexcept {
  std::byte first{};
  while (::recv(reader_, &first, sizeof first, MSG_DONTWAIT | MSG_TRUNC) < 0 && errno == EINTR) {
  }
}

}  // namespace weir::process
