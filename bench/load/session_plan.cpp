#include "session_plan.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "wrong.h"

namespace weir::bench {

std::vector<PlannedSession> read_plan(const std::string& path, std::uint64_t part,
                                      std::uint64_t parts) {
  std::ifstream file{path};
  if (!file) throw Wrong{fmt::format("cannot read {}", path)};
  std::vector<PlannedSession> sessions;
  std::string line;
  std::int64_t last = 0;
  for (std::uint64_t number = 0; std::getline(file, line); ++number) {
    std::istringstream fields{line};
    PlannedSession session;
    std::int64_t arrives_us = 0;
    std::int64_t lifetime_us = 0;
    double gap_us = 0;
    std::string address;
    in_addr parsed{};
    if (!(fields >> arrives_us >> lifetime_us >> gap_us >> session.cost_ns >> session.seed >>
          address >> session.target) ||
        ::inet_pton(AF_INET, address.c_str(), &parsed) != 1 || arrives_us < last ||
        lifetime_us < 0 || !(gap_us >= 0) || !(session.cost_ns >= 0))
      throw Wrong{fmt::format("{}:{}: not a session of a plan: {}", path, number + 1, line)};
    last = arrives_us;
    if (number % parts != part) continue;
    session.arrives_ns = arrives_us * 1'000;
    session.lifetime_ns = lifetime_us * 1'000;
    session.gap_ns = gap_us * 1e3;
    session.address = parsed.s_addr;
    sessions.push_back(std::move(session));
  }
  return sessions;
}

}  // namespace weir::bench
