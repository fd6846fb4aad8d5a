// Restartable sequences (rseq(2), Linux 4.18), which glibc registers for every thread from 2.35 on.
//
// The kernel then writes the CPU's number into the thread's memory each time that the thread has
// been switched to, on its way back to it. A worker that serves few sessions is switched to for
// each message, and nobody in it reads that number. Without it a message on one connection takes
// 2 % less CPU.
#pragma once

namespace weir {

/// Has the kernel write no more to the calling thread's area. sched_getcpu() asks the kernel from
/// then on. False where there is none (an older C library, or glibc.pthread.rseq=0), or it stays.
bool leave_rseq() noexcept;

}  // namespace weir
