#include "weir/process/privileges.h"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <span>
#include <vector>

#include "weir/base/units.h"

namespace weir::process {
namespace {

bool has_capability(cap_value_t capability) {
  const std::unique_ptr<void, int (*)(void*)> caps{cap_get_proc(), cap_free};
  cap_flag_value_t value = CAP_CLEAR;
  return caps &&
         cap_get_flag(static_cast<cap_t>(caps.get()), capability, CAP_EFFECTIVE, &value) == 0 &&
         value == CAP_SET;
}

/// Keeps the capabilities named, as far as this process has them, and none besides.
Result<void> keep_only(std::span<const cap_value_t> kept) {
  const std::unique_ptr<void, int (*)(void*)> empty{cap_init(), cap_free};
  const auto caps = static_cast<cap_t>(empty.get());
  if (caps == nullptr) return os_error("cap_init", errno);
  for (const cap_value_t capability : kept) {
    if (!has_capability(capability)) continue;
    cap_set_flag(caps, CAP_PERMITTED, 1, &capability, CAP_SET);
    cap_set_flag(caps, CAP_EFFECTIVE, 1, &capability, CAP_SET);
  }
  if (cap_set_proc(caps) != 0) return os_error("dropping capabilities", errno);
  return {};
}

}  // namespace

Result<std::optional<Identity>> find_identity(const std::string& user, const std::string& group) {
  if (user.empty() && group.empty()) return std::optional<Identity>{};
  Identity identity{.uid = ::geteuid(), .gid = ::getegid()};
  if (!user.empty()) {
    const auto number = parse_number<uid_t>(user);
    const passwd* entry = number ? ::getpwuid(*number) : ::getpwnam(user.c_str());
    if (entry == nullptr && !number)
      return Error{fmt::format("--user: '{}' is not a user of this host", user),
                   "name one from /etc/passwd, or give a number"};
    identity.uid = entry != nullptr ? entry->pw_uid : *number;
    if (entry != nullptr) identity.gid = entry->pw_gid;
  }
  if (!group.empty()) {
    const auto number = parse_number<gid_t>(group);
    const ::group* entry = number ? ::getgrgid(*number) : ::getgrnam(group.c_str());
    if (entry == nullptr && !number)
      return Error{fmt::format("--group: '{}' is not a group of this host", group),
                   "name one from /etc/group, or give a number"};
    identity.gid = entry != nullptr ? entry->gr_gid : *number;
  }
  const bool other = identity.uid != ::geteuid() || identity.gid != ::getegid();
  if (!other) return std::optional<Identity>{};
  if (!has_capability(CAP_SETUID) || !has_capability(CAP_SETGID))
    return Error{"--user and --group need the right to change to another user",
                 "start weir as root, or leave them out"};
  return std::optional{identity};
}

Result<void> become_worker(const std::optional<Identity>& identity) {
  if (identity) {
    if (::setgroups(0, nullptr) != 0) return os_error("setgroups", errno);
    if (::setresgid(identity->gid, identity->gid, identity->gid) != 0)
      return os_error("setresgid", errno);
    if (::setresuid(identity->uid, identity->uid, identity->uid) != 0)
      return os_error("setresuid", errno);
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return os_error("no_new_privs", errno);
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
    return os_error("clearing ambient capabilities", errno);
  return keep_only(std::array<cap_value_t, 0>{});
}

Result<void> reduce_master(const std::optional<Identity>& identity, bool low_ports) {
  // SETPCAP is not kept: nothing is handed on but by fork, and a worker drops all.
  std::vector<cap_value_t> kept{CAP_IPC_LOCK};
  if (identity) kept.insert(kept.end(), {CAP_SETUID, CAP_SETGID, CAP_KILL});
  if (low_ports) kept.push_back(CAP_NET_BIND_SERVICE);
  return keep_only(kept);
}

void raise_locked_memory_limit() noexcept {
  const rlimit unlimited{.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
  if (::setrlimit(RLIMIT_MEMLOCK, &unlimited) == 0) return;  // takes CAP_SYS_RESOURCE
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_MEMLOCK, &limit);
}

}  // namespace weir::process
