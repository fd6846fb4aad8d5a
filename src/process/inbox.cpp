#include "weir/process/inbox.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace weir::process {
namespace {

/// What every letter begins with. One host and one user: no byte order, but a version's word.
struct Head {
  std::uint32_t magic = kMagic;
  LetterKind kind{};
  std::uint32_t from = 0;
  std::uint32_t in_file = 0;  // 1: the content is in the second descriptor
  std::uint64_t bytes = 0;    // of the content

  static constexpr std::uint32_t kMagic = 0x31'78'62'77;  // "wbx1"
};
static_assert(sizeof(Head) == 24);

constexpr std::size_t kDescriptorsMax = 2;  // socket, file
constexpr std::size_t kControlBytes = CMSG_SPACE(kDescriptorsMax * sizeof(int));
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

std::vector<UniqueFd> descriptors_of(msghdr& message) {
  std::vector<UniqueFd> found;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      found.emplace_back(fd);
    }
  }
  return found;
}

}  // namespace

Result<Inboxes> Inboxes::open(std::uint32_t slots) {
  Inboxes made;
  for (std::uint32_t slot = 0; slot < slots; ++slot) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0)
      return os_error("making the workers' inboxes", errno, "raise the limit on open files");
    made.readers_.emplace_back(ends[0]);
    made.writers_.emplace_back(ends[1]);
    // What may be under way to one slot; the kernel gives what the host's limit allows.
    const int bytes = 4 << 20;
    if (::setsockopt(ends[1], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0)
      ::setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  }
  return made;
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
  Head head{.kind = kind, .from = from, .bytes = content.size()};
  UniqueFd file;
  if (content.size() > Inbox::kInlineBytesMax) {
    file = file_of(content);
    if (!file) return errno == EMFILE || errno == ENFILE ? Posted::no_room : Posted::failed;
    head.in_file = 1;
    content = {};
  }
  std::array<int, kDescriptorsMax> fds{};
  std::size_t count = 0;
  if (fd >= 0) fds[count++] = fd;
  if (file) fds[count++] = file.get();

  std::array<iovec, 2> parts{
      {{&head, sizeof head}, {const_cast<std::byte*>(content.data()), content.size()}}};
  alignas(cmsghdr) std::array<std::byte, kControlBytes> control{};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = content.empty() ? 1 : 2;
  if (count > 0) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    cmsghdr* const c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(count * sizeof(int));
    std::memcpy(CMSG_DATA(c), fds.data(), count * sizeof(int));
  }
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

Inbox::Inbox(int reader) : reader_{reader}, bytes_(sizeof(Head) + kInlineBytesMax) {}

Inbox::Look Inbox::look(Letter& letter) {
  letter = {};
  iovec part{bytes_.data(), bytes_.size()};
  alignas(cmsghdr) std::array<std::byte, kControlBytes> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = -1;
  do {
    got = ::recvmsg(reader_, &message, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return errno == EAGAIN ? Look::empty : Look::no_room;
  if (got == 0) return Look::empty;  // every writer is closed
  std::vector<UniqueFd> fds = descriptors_of(message);
  if ((message.msg_flags & MSG_CTRUNC) != 0) return Look::no_room;  // descriptors ran out
  Head head;
  if ((message.msg_flags & MSG_TRUNC) != 0 || static_cast<std::size_t>(got) < sizeof head)
    return Look::damaged;
  std::memcpy(&head, bytes_.data(), sizeof head);
  const std::span<std::byte> rest{bytes_.data() + sizeof head,
                                  static_cast<std::size_t>(got) - sizeof head};
  const bool in_file = head.in_file != 0;
  const bool has_socket = head.kind == LetterKind::session || head.kind == LetterKind::returned;
  if (head.magic != Head::kMagic || fds.size() != std::size_t{has_socket} + std::size_t{in_file} ||
      (in_file ? !rest.empty() || head.bytes > kFileBytesMax : head.bytes != rest.size()))
    return Look::damaged;
  letter.kind = head.kind;
  letter.from = head.from;
  if (has_socket) letter.fd = std::move(fds.front());
  letter.content = rest;
  file_.clear();
  file_.shrink_to_fit();
  if (in_file) {
    file_.resize(head.bytes);
    if (!read_file(fds.back().get(), file_)) return Look::damaged;
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
