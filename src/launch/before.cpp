#include "before.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <boost/crc.hpp>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <system_error>
#include <utility>

namespace weir::launch {
namespace {

/// What the weir before hands over is under way already when this one starts.
constexpr Duration kHandedOverWithin = std::chrono::seconds{10};

}  // namespace

Result<std::optional<process::Inheritance>> inheritance_of_environment() {
  const char* const given = std::getenv("WEIR_UPGRADE_FD");
  if (given == nullptr) return std::optional<process::Inheritance>{};
  UniqueFd channel{std::atoi(given)};
  ::unsetenv("WEIR_UPGRADE_FD");
  if (::fcntl(channel.get(), F_SETFD, FD_CLOEXEC) != 0)
    return os_error("the descriptor that WEIR_UPGRADE_FD names", errno,
                    "it is for weir to set, at an upgrade");
  auto estate = process::receive_estate(channel.get(), kHandedOverWithin);
  if (!estate) return estate.error();
  return std::optional{
      process::Inheritance{.estate = std::move(*estate), .channel = std::move(channel)}};
}

std::vector<cli::Listen> passed_before(const process::EstateTerms& terms) {
  std::vector<cli::Listen> passed;
  for (const process::EstateTerms::Listen& listen : terms.listens)
    if (listen.passed > 0)
      passed.push_back({.address = listen.address, .proxy = listen.proxy, .tls = listen.tls});
  return passed;
}

std::string settings_of(const StartWords& words, const std::string& config) {
  boost::crc_32_type sum;
  for (int i = 1; i < words.argc; ++i) {
    const std::string_view word{words.argv[i]};
    if (word != "--takeover") sum.process_bytes(words.argv[i], word.size() + 1);
  }
  std::error_code unknown;
  if (std::filesystem::is_regular_file(config, unknown)) {  // what a pipe had in it was read
    std::ifstream file{config, std::ios::binary};
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    sum.process_bytes(text.data(), text.size());
  }
  return fmt::format("{:08x}", sum.checksum());
}

}  // namespace weir::launch
