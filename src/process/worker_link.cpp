#include "weir/process/worker_link.h"

#include <unistd.h>

namespace weir::process {
namespace {

// A master that is gone reads nothing; the worker serves all the same.
void write_line(int fd, std::string line) noexcept {
  line += '\n';
  [[maybe_unused]] const ssize_t written = ::write(fd, line.data(), line.size());
}

}  // namespace

void WorkerLink::ready() noexcept {
  write_line(fd_.get(), {});
}

void WorkerLink::failed(const Error& error) noexcept {
  write_line(fd_.get(), to_string(error));
}

}  // namespace weir::process
