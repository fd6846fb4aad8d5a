#include "weir/base/rseq.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <thread>

#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>

namespace weir {
namespace {

TEST(Rseq, IsLeftForGoodAndTheCpuIsStillKnown) {
  if (__rseq_size == 0) GTEST_SKIP() << "glibc has not registered any";
  std::thread{[] {  // one thread's own, so that the others of this program keep theirs
    const volatile auto& cpu = *reinterpret_cast<const volatile int*>(
        static_cast<const char*>(__builtin_thread_pointer()) + __rseq_offset +
        offsetof(struct rseq, cpu_id));
    EXPECT_GE(cpu, 0);
    EXPECT_TRUE(leave_rseq());
    EXPECT_EQ(cpu, RSEQ_CPU_ID_UNINITIALIZED);
    EXPECT_GE(::sched_getcpu(), 0);
    EXPECT_FALSE(leave_rseq()) << "there is none any more";
  }}
      .join();
}

}  // namespace
}  // namespace weir
#endif
