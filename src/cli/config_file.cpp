#include "config_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>

namespace weir::cli {
namespace {

/// One line's meaning: a key and its values.
struct Setting {
  std::string key;
  std::vector<std::string> values;
};

constexpr std::string_view kForm = "expected name = value";

/// A value that opens a list and does not close it: CLI11 would read on through the file for the
/// other bracket. Mostly an IPv6 address without its quotes.
bool opens_a_list(std::string_view line) {
  const auto comment = line.find('#');
  std::string_view value = line.substr(0, comment);
  const auto equals = value.find('=');
  if (equals == value.npos) return false;
  value.remove_prefix(equals + 1);
  const auto first = value.find_first_not_of(" \t");
  const auto last = value.find_last_not_of(" \t\r");
  return first != value.npos && value[first] == '[' && value[last] != ']';
}

Error no_setting(std::string_view line) {
  return Error{fmt::format("{} is no setting", in_quotes(line)), std::string{kForm}};
}

/// Lines go to CLI11 one by one, which is what tells their number, and keeps a mistake in one
/// from changing the meaning of the next. Nothing for an empty line or a comment.
Result<std::optional<Setting>> read_line(const std::string& line) {
  const auto first = line.find_first_not_of(" \t\r");
  if (first == line.npos || line[first] == '#' || line[first] == ';')
    return std::optional<Setting>{};
  if (line[first] == '[') return Error{"sections are not used", std::string{kForm}};
  if (line.find('=') == line.npos) return no_setting(line.substr(first));
  if (opens_a_list(line))
    return Error{"a list ends with ] on the line that begins it",
                 "an IPv6 address stands in quotes: listen = \"[::1]:9000\""};

  std::istringstream input{line};
  const std::vector<CLI::ConfigItem> items = CLI::ConfigTOML{}.from_config(input);
  if (items.size() != 1 || !items.front().parents.empty() || items.front().name.empty())
    return no_setting(line.substr(first));
  return std::optional{Setting{items.front().name, items.front().inputs}};
}

Result<std::size_t> row_of(const std::vector<Flag>& flags, std::string_view key) {
  std::vector<std::string_view> names;
  for (std::size_t row = 0; row < flags.size(); ++row) {
    if (flags[row].command_line_only) {
      if (flags[row].name == key)
        return Error{fmt::format("{} belongs on the command line only", key), {}};
      continue;
    }
    if (flags[row].name == key) return row;
    names.push_back(flags[row].name);
  }
  return Error{
      fmt::format("unknown key {}{}", in_quotes(key),
                  did_you_mean(key, names, "", "the keys are the flags that --help lists")),
      {}};
}

}  // namespace

Result<std::vector<Given>, Refused> read_config_file(std::string_view program,
                                                     const std::vector<Flag>& flags,
                                                     const std::string& path) {
  errno = 0;
  std::ifstream file{path};
  // A directory opens, and then fails to be read.
  if (!file || (file.peek() == std::ifstream::traits_type::eof() && errno != 0))
    return Refused{fmt::format("{}: --config: cannot read {}: {}", program, in_quotes(path),
                               std::strerror(errno))};
  std::vector<Given> given;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    const auto refuse = [&](std::string_view why) {
      return Refused{fmt::format("{}: {}:{}: {}", program, path, number, why)};
    };
    auto setting = read_line(line);
    if (!setting) return refuse(to_string(setting.error()));
    if (!*setting) continue;
    auto& [key, values] = **setting;
    const auto row = row_of(flags, key);
    if (!row) return refuse(to_string(row.error()));
    const bool repeatable = flags[*row].repeatable;
    if (!repeatable && gives(given, *row))
      return refuse(fmt::format("{} is there twice, and may be there once", key));
    // "weights = 4,2,1" is a list to CLI11, and one value to the flag.
    if (!repeatable) values = {fmt::format("{}", fmt::join(values, ","))};
    for (std::string& value : values)
      given.push_back({.row = *row,
                       .value = std::move(value),
                       .where = fmt::format("{}:{}: {}", path, number, key)});
  }
  return given;
}

}  // namespace weir::cli
