#include "program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <memory>
#include <string_view>
#include <thread>

#include "steer.skel.h"
#include "weir/base/log.h"

namespace weir::steering {
namespace {

/// One debug line per message. The verifier's log, thousands of lines about registers, is left
/// out: whoever wants it loads the object with bpftool.
int log_line(libbpf_print_level, const char* format, va_list arguments) {
  if (!spdlog::should_log(spdlog::level::debug)) return 0;
  std::array<char, 256> text{};
  std::vsnprintf(text.data(), text.size(), format, arguments);
  std::string_view line{text.data()};
  if (line.find("PROG LOAD LOG") != std::string_view::npos) return 0;
  if (line.ends_with('\n')) line.remove_suffix(1);
  spdlog::debug("libbpf: {}", line);
  return 0;
}

Error load_error(int number) {
  switch (number) {
    case EPERM:  // no CAP_BPF, or a container's seccomp profile forbids bpf(2)
      return os_error("loading the steering program", number,
                      "it needs CAP_BPF: run as root, grant it with setcap cap_bpf+ep, or use "
                      "--steer-backend cbpf or none");
    case ENOSYS:  // CONFIG_BPF_SYSCALL is off
    case EINVAL:  // a map flag, attach type or helper that this kernel does not have
    case EACCES:  // the verifier refuses it
    case E2BIG:   // the verifier gives up on it
      return os_error(
          "this kernel does not take the steering program", number,
          "weir needs Linux 6.1 or later with BPF; else use --steer-backend cbpf or none");
    default: return os_error("loading the steering program", number);
  }
}

/// bpftool's skeleton holds the descriptors only while it lives.
struct Close {
  void operator()(steer_bpf* skeleton) const noexcept { steer_bpf__destroy(skeleton); }
};

/// An array goes with the last program that has it, after a grace period of the kernel's.
constexpr std::chrono::milliseconds kBusyPause{10};
constexpr int kBusyTries = 300;

}  // namespace

Result<Program> Program::load(const Options& options) {
  libbpf_set_print(log_line);  // for the whole process; libbpf's own prints to standard error
  const std::unique_ptr<steer_bpf, Close> opened{steer_bpf__open()};
  if (!opened) return load_error(errno);
  opened->rodata->weir_behind_proxy = options.behind_proxy;
  if (options.shares != nullptr) {
    if (bpf_map__reuse_fd(opened->maps.weir_load, options.shares->table_map()) != 0 ||
        bpf_map__reuse_fd(opened->maps.weir_clients, options.shares->clients_map()) != 0)
      return os_error("sharing the load table", errno);
  } else if (bpf_map__set_max_entries(opened->maps.weir_clients, options.client_sets) != 0) {
    return os_error("sizing the clients' table", errno);
  }
  if (const int failed = steer_bpf__load(opened.get()); failed != 0) return load_error(-failed);
  Parts parts{.program = duplicate(bpf_program__fd(opened->progs.weir_select)),
              .listeners = duplicate(bpf_map__fd(opened->maps.weir_listeners)),
              .table = duplicate(bpf_map__fd(opened->maps.weir_load)),
              .clients = duplicate(bpf_map__fd(opened->maps.weir_clients))};
  if (!parts.program || !parts.listeners || !parts.table || !parts.clients)
    return os_error("keeping the steering program", errno,
                    "raise the descriptor limit (ulimit -n)");
  return Program{std::move(parts)};
}

Result<void> Program::set_listener(std::uint32_t slot, int listener) {
  const auto socket = static_cast<std::uint64_t>(listener);
  for (int tries = 0; tries < kBusyTries; ++tries) {
    if (bpf_map_update_elem(parts_.listeners.get(), &slot, &socket, BPF_ANY) == 0) return {};
    if (errno != EBUSY) break;
    const int unused = 0;
    if (tries == 0)
      ::setsockopt(listener, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &unused, sizeof unused);
    std::this_thread::sleep_for(kBusyPause);
  }
  // EINVAL: not a listening SO_REUSEPORT socket; EBUSY: it is in another array already.
  return os_error("handing a listener to the steering program", errno);
}

Result<void> Program::attach(int listener) {
  const int program = fd();
  if (::setsockopt(listener, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &program, sizeof program) == 0)
    return {};
  return os_error("attaching the steering program", errno);
}

}  // namespace weir::steering
