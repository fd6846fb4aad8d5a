#include "weir/admin/json_text.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <cmath>

namespace weir::admin {
namespace {

namespace json = boost::json;

void append(std::string& out, const json::value& value);

void append(std::string& out, const json::object& object) {
  char separator = '{';
  for (const auto& [key, member] : object) {
    out += separator;
    out += json::serialize(json::string_view{key});
    out += ':';
    append(out, member);
    separator = ',';
  }
  out += object.empty() ? "{}" : "}";
}

void append(std::string& out, const json::array& array) {
  char separator = '[';
  for (const json::value& element : array) {
    out += separator;
    append(out, element);
    separator = ',';
  }
  out += array.empty() ? "[]" : "]";
}

void append(std::string& out, double number) {
  out += std::isfinite(number) ? fmt::format("{}", number) : "null";
}

/// Recursion is as deep as the value, which our own code builds, or the parser's limit of 32.
void append(std::string& out, const json::value& value) {
  if (const auto* object = value.if_object()) return append(out, *object);
  if (const auto* array = value.if_array()) return append(out, *array);
  if (const auto* number = value.if_double()) return append(out, *number);
  out += json::serialize(value);
}

}  // namespace

std::string json_text(const json::value& value) {
  std::string out;
  append(out, value);
  return out;
}

}  // namespace weir::admin
