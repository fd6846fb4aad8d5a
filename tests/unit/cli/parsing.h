// Runs weir's parser on words written as at a prompt, on a machine with the CPUs 0 to 3.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "weir/cli/options.h"

namespace weir::cli {

inline Host four_cpus() {
  return {.cpus = {0, 1, 2, 3}, .default_control = "/run/here.sock"};
}

inline ParseOutcome parse_words(const std::vector<std::string>& words,
                                const Host& host = four_cpus()) {
  std::vector<const char*> argv{"weir"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  return parse(static_cast<int>(argv.size()), argv.data(), host);
}

/// The options, or those of a run without flags after a failure of the test.
inline Options accepted(const std::vector<std::string>& words, const Host& host = four_cpus()) {
  const ParseOutcome outcome = parse_words(words, host);
  if (const auto* options = std::get_if<Options>(&outcome)) return *options;
  const auto* refused = std::get_if<Refused>(&outcome);
  ADD_FAILURE() << (refused ? refused->line : "printed a text");
  return {};
}

/// The refusal's line; empty after a failure of the test.
inline std::string refused(const std::vector<std::string>& words, const Host& host = four_cpus()) {
  const ParseOutcome outcome = parse_words(words, host);
  if (const auto* refusal = std::get_if<Refused>(&outcome)) return refusal->line;
  ADD_FAILURE() << "accepted";
  return {};
}

/// A configuration file for the length of a test, in a directory of its own.
class ConfigFile {
 public:
  explicit ConfigFile(std::string_view text) {
    std::string pattern = (std::filesystem::temp_directory_path() / "weir-cli-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    std::ofstream{path()} << text;
  }
  ConfigFile(const ConfigFile&) = delete;
  ConfigFile& operator=(const ConfigFile&) = delete;
  ~ConfigFile() { std::filesystem::remove_all(directory_); }

  [[nodiscard]] std::string path() const { return (directory_ / "weir.conf").string(); }

 private:
  std::filesystem::path directory_;
};

}  // namespace weir::cli
