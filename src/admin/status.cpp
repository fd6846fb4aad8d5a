#include "weir/admin/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cmath>
#include <concepts>
#include <utility>

namespace weir::admin {
namespace {

namespace json = boost::json;

/// Enough for a person and for a plot.
double to_thousandths(double value) {
  return std::round(value * 1000) / 1000;
}

template <class Number>
requires std::integral<Number> || std::floating_point<Number>
bool read(const json::value& value, Number& out) {
  boost::system::error_code error;
  const auto number = value.to_number<Number>(error);
  if (!error) out = number;
  return !error;
}

bool read(const json::value& value, std::string& out) {
  if (const auto* string = value.if_string()) out = std::string{*string};
  return value.is_string();
}

template <class Value>
bool read(const json::value& value, std::optional<Value>& out) {
  out.reset();
  return value.is_null() || read(value, out.emplace());
}

bool read(const json::value& value, WorkerStatus& out);

bool read(const json::value& value, Counters& out) {
  if (!value.is_object()) return false;
  for (const auto& [name, number] : value.get_object())
    if (!read(number, out.emplace_back(Counter{.name = std::string{name}}).value)) return false;
  return true;
}

template <class Value>
bool read(const json::value& value, std::vector<Value>& out) {
  if (!value.is_array()) return false;
  for (const json::value& element : value.get_array())
    if (!read(element, out.emplace_back())) return false;
  return true;
}

/// Both directions walk the members by this one list, so that what is written is what is read.
template <class Worker, class Visit>
bool each_member(Worker& worker, Visit visit) {
  return visit("slot", worker.slot) && visit("pid", worker.pid) && visit("cpu", worker.cpu) &&
         visit("state", worker.state) && visit("weight", worker.weight) &&
         visit("connections", worker.connections) && visit("queued", worker.queued) &&
         visit("load", worker.load) && visit("assigned", worker.assigned) &&
         visit("accepted", worker.accepted) && visit("messages_in", worker.messages_in) &&
         visit("messages_out", worker.messages_out) && visit("bytes_in", worker.bytes_in) &&
         visit("bytes_out", worker.bytes_out) && visit("arrived", worker.arrived) &&
         visit("left", worker.left) && visit("busy", worker.busy);
}

template <class Service, class Visit>
bool each_member_of_service(Service& status, Visit visit) {
  return visit("master_pid", status.master_pid) && visit("version", status.version) &&
         visit("policy", status.policy) && visit("hash_on", status.hash_on) &&
         visit("backend", status.backend) && visit("listen", status.listen) &&
         visit("connections", status.connections) && visit("imbalance", status.imbalance) &&
         visit("forecast_error", status.forecast_error) &&
         visit("forecast_error_of_connections", status.forecast_error_of_connections) &&
         visit("counters", status.counters) && visit("workers", status.workers);
}

/// Reads a member by its name, and notes the name of the first that does not fit.
class Reader {
 public:
  Reader(const json::object& object, std::string& bad) : object_{object}, bad_{bad} {}

  template <class Value>
  bool operator()(std::string_view name, Value& out) const {
    const json::value* value = object_.if_contains(name);
    if (value != nullptr && read(*value, out)) return true;
    if (bad_.empty()) bad_ = name;
    return false;
  }

 private:
  const json::object& object_;
  std::string& bad_;
};

bool read(const json::value& value, WorkerStatus& out) {
  std::string bad;
  return value.is_object() && each_member(out, Reader{value.get_object(), bad});
}

json::value written(const WorkerStatus& worker);
json::value written(const Counters& counters) {
  json::object object;
  for (const Counter& counter : counters) object[counter.name] = counter.value;
  return object;
}

template <class Value>
json::value written(const Value& value) {
  return json::value(value);
}
json::value written(const std::string& value) {
  return json::value(std::string_view{value});
}
json::value written(double value) {
  return json::value(to_thousandths(value));
}
json::value written(const std::optional<int>& value) {
  return value ? json::value(*value) : json::value(nullptr);
}
json::value written(const std::optional<double>& value) {
  return value ? written(*value) : json::value(nullptr);
}
template <class Value>
json::value written(const std::vector<Value>& values) {
  // At its full size at once: from growing an empty array GCC 12 infers overruns that are not
  // there.
  json::array array(values.size(), nullptr);
  std::transform(values.begin(), values.end(), array.begin(),
                 [](const Value& value) { return written(value); });
  return array;
}

/// Puts each member into `object` by its name.
auto writer_to(json::object& object) {
  return [&object](std::string_view name, const auto& value) {
    object[name] = written(value);
    return true;
  };
}

json::value written(const WorkerStatus& worker) {
  json::object object;
  each_member(worker, writer_to(object));
  return object;
}

}  // namespace

double imbalance(std::span<const WorkerStatus> workers) noexcept {
  std::uint64_t serving = 0;
  std::uint64_t sum = 0;
  std::uint64_t largest = 0;
  for (const WorkerStatus& worker : workers) {
    if (worker.state != "serving") continue;
    ++serving;
    sum += worker.connections;
    largest = std::max(largest, worker.connections);
  }
  if (sum == 0) return 1;
  return static_cast<double>(largest) * static_cast<double>(serving) / static_cast<double>(sum);
}

json::value to_json(const Status& status) {
  json::object object;
  each_member_of_service(status, writer_to(object));
  return object;
}

Result<Status> from_json(const json::value& value) {
  if (!value.is_object()) return Error{"the status is no JSON object", ""};
  Status status;
  std::string bad;
  if (each_member_of_service(status, Reader{value.get_object(), bad})) return status;
  return Error{fmt::format("the status lacks a sound \"{}\"", bad),
               "use the weirctl that came with the weir that runs"};
}

}  // namespace weir::admin
