// Command lines and configuration files of any text: options that are sound, a text that was asked
// for, or one line of refusal. Input: words of the command line, one a line, up to a byte 0xff;
// what follows it is the configuration file.
#include <sys/mman.h>
#include <unistd.h>

#include <fmt/format.h>

#include <chrono>
#include <set>

#include "fuzzing.h"
#include "weir/cli/options.h"

namespace weir::fuzz {
namespace {

using cli::Options;

/// The configuration file, in memory.
class File {
 public:
  File() : fd_{::memfd_create("config", MFD_CLOEXEC)} {
    check(fd_ >= 0, "there is memory for a file");
  }
  void fill(std::string_view text) const {
    check(::ftruncate(fd_, 0) == 0, "a file can be emptied");
    check(::pwrite(fd_, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()),
          "a file can be written");
  }
  [[nodiscard]] std::string path() const { return fmt::format("/proc/self/fd/{}", fd_); }

 private:
  int fd_;
};

cli::ParseOutcome parse(const std::vector<std::string>& words) {
  static const cli::Host host{.cpus = {0, 1, 2, 3}, .default_control = "/run/here.sock"};
  std::vector<const char*> argv{"weir"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  return cli::parse(static_cast<int>(argv.size()), argv.data(), host);
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty() && words.size() < 64) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    // No file of this machine is opened: a device or a pipe would never end.
    if (word.find("config") == word.npos) words.emplace_back(word);
  }
  return words;
}

void judge_limits(const Options& options) {
  using std::chrono::nanoseconds;
  check(options.backlog >= 1, "there is a backlog");
  check(!options.workers || (*options.workers >= 1 && *options.workers <= cli::kWorkersMax),
        "workers have slots");
  check(options.compression_window >= 9 && options.compression_window <= wire::kWindowBitsMax,
        "a window is 9 to 15 bits");
  check(options.handshake_timeout > nanoseconds{0}, "a handshake has its time");
  check(options.tls_ticket_rotation > nanoseconds{0}, "ticket keys are rotated");
  check(options.ping_interval.has_value(), "there is an interval for pings");
  for (const nanoseconds time :
       {options.idle_timeout, *options.ping_interval, options.hang_threshold, *options.hang_kill,
        options.drain_timeout}) {
    check(time >= nanoseconds{0}, "time is not negative");
  }
  for (const std::uint32_t weight : options.weights) {
    check(weight >= 1 && weight <= 1'000, "a weight is 1 to 1000");
  }
  check(options.weights.empty() || options.weights.size() == options.workers.value_or(4),
        "there is a weight for each worker");
  for (const std::string& path : options.paths) check(path.starts_with("/"), "a path is one");
  for (const std::string& warning : options.warnings) {
    check(warning.find('\n') == warning.npos, "a warning is one line");
  }
}

/// What was read of an address, given again, is the same.
void judge_listen(const Options& options) {
  check(!options.listen.empty(), "there is something to listen on");
  std::set<std::string> addresses;
  std::vector<std::string> words;
  for (const cli::Listen& listen : options.listen) {
    check(addresses.insert(listen.address.to_string()).second || listen.address.port() == 0,
          "no address is there twice");
    words.insert(words.end(), {"--listen", listen.to_string()});
    check(!listen.proxy || !options.proxy_from.empty(), "who may send a PROXY header is said");
    check(!listen.tls || !options.tls_certs.empty(), "TLS has a certificate");
  }
  check(options.tls_certs.size() == options.tls_keys.size(), "certificates have keys");
  words.insert(words.end(), {"--proxy-from=::/0", "--tls-cert=a", "--tls-key=b"});
  const auto outcome = parse(words);
  const auto* again = std::get_if<Options>(&outcome);
  check(again != nullptr && again->listen.size() == options.listen.size(),
        "what a listen says of itself is accepted");
  for (std::size_t i = 0; i < options.listen.size(); ++i) {
    check(again->listen[i].to_string() == options.listen[i].to_string(),
          "what a listen says of itself is the same");
  }
}

void judge_line(const std::string& line) {
  check(line.starts_with("weir: "), "a refusal begins with the program's name");
  for (const char c : line) {
    check(static_cast<unsigned char>(c) >= ' ' && c != 0x7f, "a refusal is one printable line");
  }
}

}  // namespace
}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir;
  using namespace weir::fuzz;
  static const File file;
  const std::string_view text = Input{data, size}.rest();
  const std::size_t end = std::min(text.find('\xff'), text.size());
  std::vector<std::string> words = words_of(text.substr(0, end));
  if (end < text.size()) {
    file.fill(text.substr(end + 1));
    words.insert(words.begin(), "--config=" + file.path());
  }
  const cli::ParseOutcome outcome = parse(words);
  if (const auto* options = std::get_if<Options>(&outcome)) {
    judge_limits(*options);
    judge_listen(*options);
  } else if (const auto* printed = std::get_if<cli::Printed>(&outcome)) {
    check(printed->text.ends_with("\n"), "a text ends with its line");
  } else {
    judge_line(std::get<cli::Refused>(outcome).line);
  }
  return 0;
}
