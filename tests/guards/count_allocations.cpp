// Counts what a process asks of malloc, from inside: preloaded (LD_PRELOAD) into the program under
// test, as it is. The counts stand in a file that whoever watches has made and may read at any
// time, so that the program is neither stopped nor asked.
//
// WEIR_ALLOCATION_COUNTS names the file: kRows rows, all zero. Each process takes one for itself,
// a forked child its own; the mapping is made before main(), for a worker in its sandbox could not
// make it. What is allocated before that is not counted.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

// glibc's own, which malloc and the others are names for.
// NOLINTBEGIN(bugprone-reserved-identifier, readability-identifier-naming)
extern "C" {
void* __libc_malloc(std::size_t bytes);
void* __libc_calloc(std::size_t count, std::size_t bytes);
void* __libc_realloc(void* block, std::size_t bytes);
void* __libc_memalign(std::size_t alignment, std::size_t bytes);
}
// NOLINTEND(bugprone-reserved-identifier, readability-identifier-naming)

namespace {

struct Row {  // test_allocations.py reads this
  std::atomic<std::uint64_t> pid;
  std::atomic<std::uint64_t> allocations;  // calls of malloc, calloc, realloc and the aligned ones
};
static_assert(sizeof(Row) == 16);
constexpr std::size_t kRows = 64;

Row* rows = nullptr;  // shared with all processes
// In a page that the kernel empties in a forked child, however that was forked.
std::atomic<Row*>* own = nullptr;

[[noreturn]] void give_up(const char* what) {
  std::perror(what);
  ::_exit(EXIT_FAILURE);
}

[[gnu::constructor]] void map_counts() {
  const char* path = std::getenv("WEIR_ALLOCATION_COUNTS");
  if (path == nullptr) return;
  const int fd = ::open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) give_up(path);
  void* shared = ::mmap(nullptr, kRows * sizeof(Row), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (shared == MAP_FAILED) give_up(path);
  ::close(fd);
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* wiped = ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (wiped == MAP_FAILED || ::madvise(wiped, page, MADV_WIPEONFORK) != 0)
    give_up("a page that a fork empties");
  rows = static_cast<Row*>(shared);
  own = static_cast<std::atomic<Row*>*>(wiped);
}

/// Two threads that come first together take a row each; who reads adds up the rows of a pid.
Row& claim() {
  const auto pid = static_cast<std::uint64_t>(::getpid());
  for (std::size_t i = 0; i < kRows; ++i) {
    std::uint64_t nobody = 0;
    if (!rows[i].pid.compare_exchange_strong(nobody, pid)) continue;
    own->store(&rows[i]);
    return rows[i];
  }
  errno = ENOSPC;
  give_up("more processes than rows to count in");
}

// Relaxed: the reader looks while the process sleeps.
void count() {
  if (own == nullptr) return;
  Row* row = own->load(std::memory_order_relaxed);
  if (row == nullptr) row = &claim();
  row->allocations.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

extern "C" {

void* malloc(std::size_t bytes) noexcept {
  count();
  return __libc_malloc(bytes);
}

void* calloc(std::size_t items, std::size_t bytes) noexcept {
  count();
  return __libc_calloc(items, bytes);
}

void* realloc(void* block, std::size_t bytes) noexcept {
  count();
  return __libc_realloc(block, bytes);
}

void* memalign(std::size_t alignment, std::size_t bytes) noexcept {
  count();
  return __libc_memalign(alignment, bytes);
}

void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  return memalign(alignment, bytes);
}

int posix_memalign(void** block, std::size_t alignment, std::size_t bytes) noexcept {
  *block = memalign(alignment, bytes);
  return *block == nullptr ? ENOMEM : 0;
}
}
