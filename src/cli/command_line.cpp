#include "command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <optional>

namespace weir::cli {
namespace {

using Words = std::vector<std::string>;

const Flag* find(const std::vector<Flag>& flags, std::string_view name) {
  const auto found = std::find_if(flags.begin(), flags.end(),
                                  [name](const Flag& flag) { return flag.name == name; });
  return found == flags.end() ? nullptr : &*found;
}

bool is_switch(const Flag& flag) {
  return flag.value.empty();
}

std::string value_missing(std::string_view program, const Flag& flag) {
  return fmt::format("{}: --{}: a value is missing: expected {}", program, flag.name, flag.accepts);
}

/// What CLI11 would take and we do not: it reads on for the value of "--flag=", and lets a switch
/// have one.
std::optional<Refused> misuse_of_equals(std::string_view program, const std::vector<Flag>& flags,
                                        const Words& words) {
  for (const std::string_view word : words) {
    const auto equals = word.find('=');
    if (!word.starts_with("--") || equals == word.npos) continue;
    const Flag* flag = find(flags, word.substr(2, equals - 2));
    if (flag == nullptr) continue;
    if (is_switch(*flag))
      return Refused{fmt::format("{}: --{} takes no value, and {} has one", program, flag->name,
                                 in_quotes(word))};
    if (equals + 1 == word.size()) return Refused{value_missing(program, *flag)};
  }
  return std::nullopt;
}

Refused unknown_flag(std::string_view program, const std::vector<Flag>& flags,
                     std::string_view word) {
  const std::string_view name = word.substr(0, word.find('='));
  std::vector<std::string_view> names;
  names.reserve(flags.size());
  for (const Flag& flag : flags) names.push_back(flag.name);
  const std::string_view bare = name.substr(std::min(name.find_first_not_of('-'), name.size()));
  return Refused{fmt::format("{}: unknown flag {}{}", program, in_quotes(name),
                             did_you_mean(bare, names, "--", "--help lists them"))};
}

/// What stands before a "--", which ends the flags.
bool asks_for(const Words& words, std::string_view flag) {
  const auto end = std::find(words.begin(), words.end(), "--");
  return std::find(words.begin(), end, flag) != end;
}

Result<CommandLine, Refused> read(std::string_view program, const std::vector<Flag>& flags,
                                  const Words& words) {
  if (auto refused = misuse_of_equals(program, flags, words)) return std::move(*refused);

  CLI::App app;
  app.set_help_flag();  // --help is a row like any other
  app.allow_extras();
  std::vector<CLI::Option*> options;
  for (const Flag& flag : flags) {
    const std::string name = fmt::format("--{}", flag.name);
    options.push_back(is_switch(flag) ? app.add_flag(name) : app.add_option(name)->take_all());
  }
  try {
    app.parse(Words{words.rbegin(), words.rend()});  // CLI11 takes them off the back
  } catch (const CLI::ArgumentMismatch&) {
    // A value is taken from whatever word follows, so only the last flag can lack one.
    if (const Flag* flag = find(flags, std::string_view{words.back()}.substr(2)))
      return Refused{value_missing(program, *flag)};
    throw;
  }

  CommandLine result;
  for (std::size_t row = 0; row < flags.size(); ++row) {
    const auto& values = options[row]->results();
    if (values.size() > 1 && !flags[row].repeatable)
      return Refused{fmt::format("{}: --{} is given {} times, and may be given once", program,
                                 flags[row].name, values.size())};
    for (const std::string& value : values)
      result.flags.push_back({.row = row,
                              .value = is_switch(flags[row]) ? std::string{} : value,
                              .where = fmt::format("--{}", flags[row].name)});
  }
  result.words = app.remaining();
  const auto flag_like = std::find_if(result.words.begin(), result.words.end(),
                                      [](const auto& word) { return word.starts_with('-'); });
  if (flag_like == result.words.end()) return result;
  if (*flag_like != "--") return unknown_flag(program, flags, *flag_like);
  result.words.erase(flag_like);  // ends the flags: words after it may look like one
  return result;
}

}  // namespace

Result<CommandLine, Refused> read_command_line(std::string_view program,
                                               const std::vector<Flag>& flags, int argc,
                                               const char* const* argv) {
  const Words words(argv + std::min(argc, 1), argv + argc);
  CommandLine asked;
  asked.help = asks_for(words, "--help") || asks_for(words, "-h");
  asked.version = asks_for(words, "--version");
  if (asked.help || asked.version) return asked;
  try {
    return read(program, flags, words);
  } catch (const CLI::Error& error) {  // nothing is known to come here; say what CLI11 says
    return Refused{fmt::format("{}: {}", program, error.what())};
  }
}

}  // namespace weir::cli
