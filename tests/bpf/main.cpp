// Runs the tests, or skips them all (77) where the steering program may not be loaded.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdio>

#include "weir/steering/steering.h"

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  rlimit files{};  // both ends of thousands of connections are ours
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);

  if (const auto possible = weir::steering::probe_ebpf(); !possible) {
    std::fprintf(stderr, "skipped: %s\n", weir::to_string(possible.error()).c_str());
    return 77;
  }
  return RUN_ALL_TESTS();
}
