// What each privilege allows, and what is said where it is missing. Each case runs in a child that
// gives its other capabilities away.
#include <sys/capability.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "group.h"

namespace weir::steering {
namespace {

/// Keeps `kept` only, and says whether that worked.
bool keep_only(const std::vector<cap_value_t>& kept) {
  const cap_t caps = ::cap_init();  // none
  bool done = true;
  for (const cap_flag_t set : {CAP_PERMITTED, CAP_EFFECTIVE})
    for (const cap_value_t& cap : kept)
      done = done && ::cap_set_flag(caps, set, 1, &cap, CAP_SET) == 0;
  done = done && ::cap_set_proc(caps) == 0;
  ::cap_free(caps);
  return done;
}

/// Runs `check` in a child with those capabilities; true when it returned true there.
bool with_only(const std::vector<cap_value_t>& kept, const std::function<bool()>& check) {
  const pid_t child = must(::fork(), "fork");
  if (child == 0) {
    bool passed = false;
    try {  // nothing may leave this block: the rest of the tests is the parent's
      passed = keep_only(kept) && check();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "in the child: %s\n", error.what());
    }
    ::_exit(passed ? 0 : 1);
  }
  int status = 0;
  must(::waitpid(child, &status, 0), "waitpid");
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(Privilege, CapBpfAloneIsEnoughToSteer) {
  EXPECT_TRUE(with_only({CAP_BPF}, [] {
    Group group{plain(4)};
    group.connect_many(40);
    return group.queues() == std::vector<std::uint64_t>(4, 10);
  }));
}

TEST(Privilege, CapBpfAloneIsEnoughForEveryPolicyAt1024Slots) {
  EXPECT_TRUE(with_only({CAP_BPF}, [] {
    Group group{plain(1024)};
    group.table().publish_biases(monotonic_now() + std::chrono::minutes{1}, {});
    for (const std::string_view name : policy_names()) {
      group.table().set_policy(*parse_policy(name));
      group.connect_many(64);
    }
    return sum_of(group.queues()) == 64 * policy_names().size() &&
           group.table().program_counters().syns == 64 * policy_names().size();
  }));
}

TEST(Privilege, WithoutItTheErrorSaysWhatHelps) {
  EXPECT_TRUE(with_only({}, [] {
    const auto made = Steering::create({.backend = BackendChoice::ebpf, .table = plain(2)});
    const auto possible = probe_ebpf();
    return !made && !possible &&
           made.error().remedy.find("setcap cap_bpf+ep") != std::string::npos &&
           possible.error().remedy == made.error().remedy;
  }));
}

TEST(Privilege, WithoutItAutoFallsBackAndCountsByWorker) {
  EXPECT_TRUE(with_only({}, [] {
    auto made = Steering::create({.backend = BackendChoice::automatic, .table = plain(2)});
    return made && made->backend() == Backend::cbpf &&
           made->fallback_reason().find("CAP_BPF") != std::string_view::npos &&
           made->fallback_reason().find('\n') == std::string_view::npos &&
           made->counting() == WorkerSlot::Counting::by_worker;
  }));
}

TEST(Privilege, WithItAutoTakesEbpf) {
  const auto made = Steering::create({.backend = BackendChoice::automatic, .table = plain(2)});
  ASSERT_TRUE(made);
  EXPECT_EQ(made->backend(), Backend::ebpf);
  EXPECT_EQ(made->fallback_reason(), "");
  EXPECT_EQ(made->counting(), WorkerSlot::Counting::by_program);
}

TEST(Privilege, NoneIsNotAFallback) {
  const auto made = Steering::create({.backend = BackendChoice::none, .table = plain(2)});
  ASSERT_TRUE(made);
  EXPECT_EQ(made->backend(), Backend::none);
  EXPECT_EQ(made->fallback_reason(), "");
}

TEST(Privilege, WithoutItAPolicyThatTakesItLeavesAutoNothing) {
  EXPECT_TRUE(with_only({}, [] {
    auto made = Steering::create(
        {.backend = BackendChoice::automatic, .table = plain(2, Policy::two_choices)});
    return made && made->backend() == Backend::none && made->policy_in_force() == "kernel-hash" &&
           made->fallback_reason().find("CAP_BPF") != std::string_view::npos &&
           made->fallback_reason().find("cbpf cannot do --steer two-choices") !=
               std::string_view::npos;
  }));
}

TEST(Privilege, BadOptionsFailBeforeAnythingIsLoaded) {
  EXPECT_FALSE(Steering::create({.table = plain(0)}));
  EXPECT_FALSE(Steering::create({.table = plain(2), .addresses = 0}));
}

}  // namespace
}  // namespace weir::steering
