// Trace: sessions as they were, one a line, to be replayed under every policy. CSV, so that any
// tool can make one:
//
//   arrival_s,client,lifetime_s,messages,cost_us,bytes
//   0.001250,10.0.0.7,12.5,40,85.2,5120
//
// The first line is that header, word by word. Then a line a session, in the order of arrival:
//   arrival_s   seconds since the trace began; not before the line above
//   client      its address, or any other word without a comma: equal words are one client
//   lifetime_s  seconds it stayed
//   messages    how many it sent, spread over its lifetime as a Poisson process
//   cost_us     microseconds of a worker's time for one of them, the mean of an exponential
//   bytes       received and sent, all messages together
// An empty line, or one that begins with #, is skipped.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include "weir/base/result.h"
#include "workload.h"

namespace weir::sim {

class Trace final : public Workload {
 public:
  /// Reads from `in`, which is borrowed and must outlive this. Fails if the header is not as above.
  /// `name` is for messages.
  [[nodiscard]] static Result<Trace> open(std::istream& in, std::string name, std::uint64_t seed);

  /// Nothing at the end, and at a line that is wrong: error() tells which.
  [[nodiscard]] std::optional<Session> next() override;
  [[nodiscard]] const std::optional<Error>& error() const noexcept { return error_; }

 private:
  Trace(std::istream& in, std::string name, std::uint64_t seed)
      : in_{&in}, name_{std::move(name)}, seed_{seed} {}

  std::istream* in_;
  std::string name_;
  std::uint64_t seed_;
  std::uint64_t line_ = 1;
  Nanoseconds last_ = 0;
  std::optional<Error> error_;
};

}  // namespace weir::sim
