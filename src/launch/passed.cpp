#include "passed.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace weir::launch {
namespace {

struct Name {
  std::string_view name;
  bool proxy = false;
  bool tls = false;
};
constexpr std::array kNames{
    Name{.name = "plain"},
    Name{.name = "unknown"},
    Name{.name = "tls", .tls = true},
    Name{.name = "proxy", .proxy = true},
    Name{.name = "tls-proxy", .proxy = true, .tls = true},
};

}  // namespace

Result<std::vector<cli::Listen>> listens_of(const std::vector<process::PassedSocket>& sockets) {
  std::vector<cli::Listen> listens;
  for (const process::PassedSocket& socket : sockets) {
    const bool of_unit = socket.name.ends_with(".socket");
    const auto* const named =
        std::ranges::find(kNames, of_unit ? "plain" : socket.name, &Name::name);
    if (named == kNames.end())
      return Error{fmt::format("a socket passed to weir is named '{}'", socket.name),
                   "set FileDescriptorName= of its unit to plain, tls, proxy or tls-proxy"};
    const std::string address = socket.address.to_string();
    const auto same = std::ranges::find_if(
        listens, [&](const cli::Listen& listen) { return listen.address.to_string() == address; });
    if (same == listens.end()) {
      listens.push_back({.address = socket.address,
                         .proxy = named->proxy,
                         .tls = named->tls,
                         .sockets = {socket.fd}});
      continue;
    }
    if (same->proxy != named->proxy || same->tls != named->tls)
      return Error{fmt::format("the sockets passed for {} have different names", address),
                   "give all of one address the same FileDescriptorName="};
    same->sockets.push_back(socket.fd);
  }
  return listens;
}

void use_stored(std::vector<process::ListenOn>& listens, std::uint32_t workers,
                const std::vector<process::PassedSocket>& stored) {
  for (const process::PassedSocket& socket : stored) {
    const auto same = std::ranges::find_if(listens, [&](const process::ListenOn& listen) {
      return listen.address.to_string() == socket.address.to_string() &&
             listen.passed.size() < workers;
    });
    if (same == listens.end()) {
      ::close(socket.fd);
      continue;
    }
    same->passed.push_back(socket.fd);
    ++same->own;
  }
}

}  // namespace weir::launch
