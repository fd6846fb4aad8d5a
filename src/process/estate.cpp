#include "weir/process/estate.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <span>

#include "weir/base/json_number.h"
#include "weir/base/units.h"
#include "weir/process/channel.h"

namespace weir::process {
namespace {

namespace json = boost::json;

/// Of one frame. Far below what the kernel takes, and their names below a frame's bytes.
constexpr std::size_t kItemsPerFrame = 200;
/// More are nobody's: 1,024 slots with a few listen addresses.
constexpr std::size_t kItemsMax = 65'536;

Error no_estate(std::string_view what) {
  return {fmt::format("what the other weir hands over cannot be used: {}", what),
          "restart weir instead of upgrading it in place"};
}

template <class Number>
bool read_number(const json::object& from, std::string_view name, Number& to) {
  const auto number = number_in<Number>(from, name);
  if (number) to = *number;
  return number.has_value();
}

bool read_text(const json::object& from, std::string_view name, std::string& to) {
  const json::value* const value = from.if_contains(name);
  if (value == nullptr || !value->is_string()) return false;
  to = value->get_string().c_str();
  return true;
}

bool read_flag(const json::object& from, std::string_view name) {
  const json::value* const value = from.if_contains(name);
  return value != nullptr && value->is_bool() && value->get_bool();
}

std::optional<EstateTerms::Listen> read_listen(const json::value& value) {
  if (!value.is_object()) return std::nullopt;
  const json::object& object = value.get_object();
  std::string asked;
  std::string address;
  if (!read_text(object, "asked", asked) || !read_text(object, "address", address))
    return std::nullopt;
  std::uint32_t passed = 0;
  if (!read_number(object, "passed", passed)) return std::nullopt;
  const auto asked_for = SocketAddress::parse(asked);
  const auto is = SocketAddress::parse(address);
  if (!asked_for || !is) return std::nullopt;
  return EstateTerms::Listen{.asked = *asked_for,
                             .address = *is,
                             .proxy = read_flag(object, "proxy"),
                             .tls = read_flag(object, "tls"),
                             .passed = passed};
}

json::object written(const SteeringSet& set) {
  json::object object;
  if (set.policy) object["steer"] = steering::to_string(*set.policy);
  json::object weights;
  for (const auto& [slot, weight] : set.weights) weights[fmt::to_string(slot)] = weight;
  if (!weights.empty()) object["weights"] = std::move(weights);
  return object;
}

/// A policy that this version does not know is left out, and so is whatever else is of no use.
SteeringSet read_set(const json::object& from) {
  SteeringSet set;
  std::string policy;
  if (read_text(from, "steer", policy)) set.policy = steering::parse_policy(policy);
  const json::value* const weights = from.if_contains("weights");
  if (weights == nullptr || !weights->is_object()) return set;
  for (const auto& [name, value] : weights->get_object()) {
    std::uint32_t weight = 0;
    const auto slot = parse_number<std::uint32_t>({name.data(), name.size()});
    if (slot && *slot < WEIR_SLOTS_MAX && read_number(weights->get_object(), name, weight) &&
        weight >= 1 && weight <= WEIR_WEIGHT_MAX)
      set.weights[*slot] = weight;
  }
  return set;
}

}  // namespace

std::string EstateTerms::to_text() const {
  json::array addresses;
  for (const Listen& listen : listens)
    addresses.push_back(json::object{{"asked", listen.asked.to_string()},
                                     {"address", listen.address.to_string()},
                                     {"proxy", listen.proxy},
                                     {"tls", listen.tls},
                                     {"passed", listen.passed}});
  json::object text{{"version", version},
                    {"app", app},
                    {"parcel_oldest", parcel_oldest},
                    {"parcel_newest", parcel_newest},
                    {"workers", workers},
                    {"workers_asked", workers_asked},
                    {"places", places},
                    {"bank", bank},
                    {"control", control},
                    {"settings", settings},
                    {"listens", std::move(addresses)}};
  if (set.any()) text["set"] = written(set);
  if (recording_began_ns != 0) text["recording_began_ns"] = recording_began_ns;
  return json::serialize(text);
}

Result<EstateTerms> EstateTerms::from_text(std::string_view text) {
  boost::system::error_code bad;
  const json::value value = json::parse(text, bad);
  if (bad || !value.is_object()) return no_estate("its description is no JSON object");
  const json::object& object = value.get_object();
  EstateTerms terms;
  if (!read_text(object, "version", terms.version) || !read_text(object, "app", terms.app) ||
      !read_number(object, "parcel_oldest", terms.parcel_oldest) ||
      !read_number(object, "parcel_newest", terms.parcel_newest) ||
      !read_number(object, "workers", terms.workers) ||
      !read_number(object, "workers_asked", terms.workers_asked) ||
      !read_number(object, "places", terms.places) || !read_number(object, "bank", terms.bank) ||
      !read_text(object, "control", terms.control) ||
      !read_text(object, "settings", terms.settings) || terms.workers == 0 || terms.bank > 1)
    return no_estate("its description lacks something");
  const json::value* const listens = object.if_contains("listens");
  if (listens == nullptr || !listens->is_array()) return no_estate("it has no listen addresses");
  for (const json::value& each : listens->get_array()) {
    const auto listen = read_listen(each);
    if (!listen) return no_estate("a listen address of it is none");
    terms.listens.push_back(*listen);
  }
  if (const json::value* const set = object.if_contains("set"); set != nullptr && set->is_object())
    terms.set = read_set(set->get_object());
  (void)read_number(object, "recording_began_ns", terms.recording_began_ns);
  return terms;
}

std::uint16_t common_parcel_version(std::uint16_t oldest, std::uint16_t newest,
                                    std::uint16_t others_oldest,
                                    std::uint16_t others_newest) noexcept {
  const std::uint16_t best = std::min(newest, others_newest);
  return best >= std::max(oldest, others_oldest) ? best : std::uint16_t{0};
}

Result<UniqueFd> Estate::take(const std::string& name) {
  const auto found = items.find(name);
  if (found == items.end()) return no_estate(fmt::format("there is no {}", name));
  UniqueFd fd = std::move(found->second);
  items.erase(found);
  return fd;
}

Result<void> send_estate(int channel, const EstateTerms& terms, const EstateItems& items) {
  if (auto sent = send_frame(channel, terms.to_text()); !sent) return sent;
  for (std::size_t at = 0; at < items.size(); at += kItemsPerFrame) {
    std::string names;
    std::vector<int> fds;
    for (const auto& [name, fd] :
         std::span{items}.subspan(at).first(std::min(kItemsPerFrame, items.size() - at))) {
      names += name;
      names += '\n';
      fds.push_back(fd);
    }
    if (auto sent = send_frame(channel, names, fds); !sent) return sent;
  }
  return send_frame(channel, "end");
}

Result<Estate> receive_estate(int channel, Duration patience) {
  auto first = receive_frame(channel, patience);
  if (!first) return first.error();
  auto terms = EstateTerms::from_text(first->text);
  if (!terms) return terms.error();
  Estate estate{.terms = std::move(*terms), .items = {}};
  while (estate.items.size() < kItemsMax) {
    auto frame = receive_frame(channel, patience);
    if (!frame) return frame.error();
    if (frame->fds.empty()) return estate;
    std::string_view names{frame->text};
    for (UniqueFd& fd : frame->fds) {
      const std::size_t end = names.find('\n');
      if (end == names.npos) return no_estate("it has descriptors without a name");
      estate.items.insert_or_assign(std::string{names.substr(0, end)}, std::move(fd));
      names.remove_prefix(end + 1);
    }
  }
  return no_estate("there is too much of it");
}

}  // namespace weir::process
