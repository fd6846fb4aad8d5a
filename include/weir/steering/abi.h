/*
 * The load table: the one piece of memory that the steering program (in the kernel), the workers
 * and the master share. This file is the layout and nothing else; pick.h decides with it.
 * Plain C with the names of the kernel, because the BPF object, the C++ parts and the tests all
 * include it.
 *
 * It is the single value of a BPF_F_MMAPABLE array map, so that one lookup gives the program
 * everything, and a store by a worker is a report: nobody makes a system call to publish load.
 *
 * Shaped by what a SYN reads. On a big host nearly every line that the program reads was last
 * written by another core, so a miss costs more than an instruction:
 *   key[]     packed, 8 slots a cache line: all that the scan for the least loaded slot reads.
 *   bias[]    packed alike, what the scan adds to each key under the policies that weigh more than
 *             connections (load_score.h). The master writes it, once a tick: a CPU that steers
 *             misses on such a line ten times a second and then has it, where it misses on a key's
 *             line whenever a connection came or went. So a score of its own beside each key, which
 *             program and workers would have to count in as well, was not taken: it would make
 *             twice the lines to write, to save reading what is cached anyway. Nor need the bias
 *             tell of flags, or of what came since it was published: the key does both. Biases that
 *             nobody renews, because the master is no more, count no longer than three seconds.
 *   row[]     a worker's own lines; the program reads one, for the slot that it chose.
 *   steered[] the program's own line per slot, touched once per SYN, for the slot chosen.
 * The two counters that every SYN or every ticket adds to have a line each.
 *
 * A key is one number whose order is the order of preference, so that the smallest one names the
 * pick by itself, without a division, a second array or a branch on state:
 *
 *   63               62      61 ........................ 10   9 ......... 0
 *   out of service | hung  | weighted load (52 bits)        | slot (10 bits)
 *
 * The weighted load is connections x WEIR_LOAD_SCALE / weight. The scale is a multiple of every
 * number from 1 to 16, so those weights divide it exactly and ties between them are exact; up to
 * 1,000 the share is off by less than 0.01 %.
 *
 * Nothing may carry or borrow into the flag bits.
 *   Upwards: the load field holds 2^52 / WEIR_LOAD_SCALE = 390 million connections of weight 1.
 *   Whoever adds does so only while the field's top bit (WEIR_KEY_SATURATED) is clear. Each CPU
 *   can be past that check once, so the field would have to be overrun by 2^51 / 11,531,520 = 195
 *   million CPUs at the same moment to reach the hung bit. A bias is at most WEIR_BIAS_MAX, half
 *   of the field's top bit, so that a key with its bias does not reach it either.
 *   Downwards: whoever subtracts does it by compare-and-swap and stops at zero (connection_count.h,
 *   and weir_discharge in pick.h).
 *
 * Who writes what: the comment on each member. All words are aligned and written whole, in host
 * byte order; the table never leaves the host.
 */
#ifndef WEIR_STEERING_ABI_H
#define WEIR_STEERING_ABI_H

#include <linux/types.h>

#define WEIR_TABLE_MAGIC 0x72696577u /* "weir" */
#define WEIR_TABLE_VERSION 5u        /* raise with every change of layout or meaning */

#define WEIR_SLOTS_MAX 1024u
#define WEIR_SLOT_MASK 1023u
#define WEIR_CPUS_MAX 1024u /* a power of two; CPUs beyond share a line and may lose counts */

#define WEIR_KEY_OUT (1ULL << 63)
#define WEIR_KEY_HUNG (1ULL << 62)
#define WEIR_KEY_SATURATED (1ULL << 61)
#define WEIR_KEY_UNHEALTHY (WEIR_KEY_OUT | WEIR_KEY_HUNG)
#define WEIR_KEY_LOAD_SHIFT 10
#define WEIR_BIAS_MAX (1ULL << 60)
#define WEIR_KEY_LOAD_MASK (((1ULL << 52) - 1) << WEIR_KEY_LOAD_SHIFT)

#define WEIR_LOAD_SCALE (720720u * 16u) /* 720720 is the least common multiple of 1..16 */
#define WEIR_WEIGHT_MAX 1000u

#define WEIR_SEQUENCE_MAX 16384u
#define WEIR_MAGLEV_SIZE 131071u /* a prime (2^17 - 1): any skip visits every entry */

/* The numbers are part of the ABI: the master stores one, the program switches on it. */
enum weir_policy {
  WEIR_LEAST_CONNECTIONS = 0,
  WEIR_TWO_CHOICES = 1,
  WEIR_ROUND_ROBIN = 2,
  WEIR_WEIGHTED_ROUND_ROBIN = 3,
  WEIR_SOURCE_HASH = 4,
  WEIR_TUPLE_HASH = 5,
  WEIR_CPU_LOCAL = 6,
  WEIR_LEAST_LOAD = 7,
  WEIR_PREDICTIVE = 8,
  WEIR_URI_HASH = 9, /* the program steers as by least-connections; the rest is the workers' */
};

/* Written by the master; read by the program on every SYN, so that a change acts on the next. */
struct weir_config {
  __u32 magic;
  __u32 version;
  __u32 policy;            /* enum weir_policy */
  __u32 slot_count;        /* 0..WEIR_SLOTS_MAX; keys from here on are all out of service */
  __u64 hang_threshold_ns; /* 0: never judge a worker hung */
  __u64 max_connections;   /* 0: no limit */
  __u64 hash_key[2];       /* secret: a client cannot aim at a slot */
  __u32 live;              /* which of lookup[2] the program reads: 0 or 1 */
  __u32 zero;              /* always 0: see weir_scan_keys in pick.h */
  __u32 local_step;        /* x all connections = the load that cpu-local allows a slot */
  __u32 bias_until;        /* biases count until then: CLOCK_MONOTONIC in 2^30 ns, 1.07 s */
};

/* What each client may have (clients.h). Written by the master, read on every SYN and accept. */
struct weir_admission {
  __u64 open_max;    /* connections open at once; 0: no limit */
  __u64 interval_ns; /* what a connection costs; 0: no limit to the rate */
  __u64 burst_ns;    /* how far ahead of the clock a client may have paid */
  __u32 set_mask;    /* sets in the clients' table - 1, a power of two - 1 */
  __u32 bank;        /* of notes, that the workers of the master in charge write (see owner) */
  __u32 pad[8];
};

/* A counter that many CPUs add to, alone on its line. */
struct weir_lone_counter {
  __u64 value;
  __u64 pad[7];
};

/* One per slot. The master writes step; the program adds to assigned. */
struct weir_steered {
  __u64 step;     /* what one connection adds to the key: (WEIR_LOAD_SCALE / weight) << 10 */
  __u64 assigned; /* SYNs and migrated connections steered here, ever */
  __u64 pad[6];
};

/*
 * One per slot, written by the worker that owns it and no other (the master zeroes `open` after a
 * worker died). The first line is written every loop, and its first word is what the program reads.
 */
struct weir_row {
  __u64 awake_at_ns; /* CLOCK_MONOTONIC, when the loop last woke */
  __u64 open;        /* connections accepted and not ended */
  __u64 busy_ns;     /* time with work, ever: of the CPU, or awake (weir/server/busy_time.h) */
  __u64 pending;     /* completions of the turn under way; 0: none, the loop sleeps */
  __u64 loops;       /* wakes, ever */
  __u64 enters;      /* io_uring_enter calls, ever */
  __u64 accepted;    /* connections accepted, ever; reset ones included */
  __u64 refused;     /* of those, reset for being over the limit */

  __u64 messages_in;
  __u64 messages_out;
  __u64 bytes_in;        /* read from sockets */
  __u64 bytes_out;       /* written to sockets */
  __u64 upgraded;        /* handshakes answered with 101 */
  __u64 rejected;        /* handshakes answered with an error, or too slow */
  __u64 overloaded;      /* sessions ended because their output went over the backlog limit */
  __u64 protocol_errors; /* sessions ended for breaking RFC 6455 or RFC 7692 */

  __u64 handshake_timeouts; /* connections ended because no session was open in time */
  __u64 idle_timeouts;      /* sessions ended because nothing was heard of them */
  __u64 too_big;            /* sessions ended for a message over the limit */
  __u64 too_chatty;         /* sessions ended for more messages than they may send */
  __u64 dropped;            /* messages not sent because the backlog limit was reached */
  __u64 clients_too_many;   /* connections reset: their client has as many as it may */
  __u64 clients_too_fast;   /* connections reset: their client makes them too fast */
  __u64 clients_untracked;  /* connections taken without an account: no room in the table */
  __u64 proxy_refused;      /* connections reset: untrusted, or no PROXY header */
  __u64 tls_established;    /* TLS handshakes done */
  __u64 tls_resumed;        /* of those, from a ticket */
  __u64 tls_failed;         /* TLS handshakes and streams that failed */
  __u64 compressed_in;      /* messages that came compressed */
  __u64 compressed_out;     /* messages sent compressed */
  __u64 arrived;            /* sessions that came from other workers */
  __u64 left;               /* and those that went there */

  /* Under uri-hash, in their opening: */
  __u64 hash_moved;  /* went to the worker whose request's key it is */
  __u64 hash_stayed; /* were that of another worker, which did not take them */
  __u64 hash_tls;    /* were that of another worker, and could not move for their TLS */
  __u64 hash_no_key; /* had no such argument, header or cookie in their request */
  __u64 pad[4];
};

/* Written by the program on that CPU alone. A sum over the CPUs is the program's own account. */
struct weir_program_counters {
  __u64 syns;          /* runs for a new connection; all but two of the others are subsets */
  __u64 refused;       /* over max_connections, answered with a reset */
  __u64 abstained;     /* no slot is serving: left to the kernel's hash */
  __u64 fallback;      /* the policy's own candidates were unhealthy or full: least loaded taken */
  __u64 select_failed; /* the slot had no listener: left to the kernel's hash */
  __u64 migrated;      /* runs for a queued connection whose listener was closed */
  __u64 hung_marked;   /* slots found hung; no subset of the runs */
  __u64 too_many;      /* refused: the client has as many connections as it may */
  __u64 too_fast;      /* refused: the client makes connections too fast */
  __u64 pad[7];
};

/* What a policy looks up instead of scanning. Written whole by the master while not live. */
struct weir_lookup {
  __u32 sequence_length; /* 1..WEIR_SEQUENCE_MAX; 0: none yet */
  __u32 pad[15];
  __u16 sequence[WEIR_SEQUENCE_MAX];   /* smooth weighted round-robin, slot numbers */
  __u16 maglev[WEIR_MAGLEV_SIZE + 1u]; /* the last entry is padding */
};

struct weir_table {
  struct weir_config config;
  struct weir_admission admission;
  /* Connections counted: in handshake, queued or open. Added to by the program, subtracted
   * from by workers. Signed in meaning: a moment below zero must not read as "full". */
  struct weir_lone_counter total;
  struct weir_lone_counter ticket; /* taken by the program, for the round-robin policies */
  /* The program adds load and sets hung; the worker subtracts load and clears hung; the
   * master sets and clears out-of-service and corrects drift. */
  __u64 key[WEIR_SLOTS_MAX];
  /* Added to the keys under least-load and predictive. Written by the master; shifted as a key's
   * load is, its low bits 0, at most WEIR_BIAS_MAX. */
  __u64 bias[WEIR_SLOTS_MAX];
  /* The slot whose worker is bound to that CPU, + 1; 0: none is. Written by the master. */
  __u16 local_slot[WEIR_CPUS_MAX];
  struct weir_steered steered[WEIR_SLOTS_MAX];
  struct weir_row row[WEIR_SLOTS_MAX];
  struct weir_program_counters cpu[WEIR_CPUS_MAX];
  struct weir_lookup lookup[2];
  /* Which worker's the slot is: its row to write, its queues to accept from, its inbox to read.
   * The process in the low half, in the high half which of the slot's two banks of notes on
   * clients (client_table.h) it writes; 0: nobody's. A worker, once admission.bank is its own,
   * takes a slot that is nobody's, and lets it go for its successor, each by one store or swap;
   * the master clears it for the dead. */
  __u64 owner[WEIR_SLOTS_MAX];
};

/* Whether a worker that last woke then has not for longer than the threshold (0: never). */
static inline __attribute__((always_inline)) int weir_overslept(__u64 now_ns, __u64 awake_at_ns,
                                                                __u64 threshold_ns) {
  /* Signed: it may have woken after this CPU read its clock. */
  return threshold_ns != 0 && (__s64)(now_ns - awake_at_ns) > (__s64)threshold_ns;
}

#ifdef __cplusplus
#define WEIR_ABI_ASSERT(what) static_assert(what, "load table ABI")
#else
#define WEIR_ABI_ASSERT(what) _Static_assert(what, "load table ABI")
#endif

WEIR_ABI_ASSERT(sizeof(struct weir_config) == 64);
WEIR_ABI_ASSERT(sizeof(struct weir_admission) == 64);
WEIR_ABI_ASSERT(sizeof(struct weir_lone_counter) == 64);
WEIR_ABI_ASSERT(sizeof(struct weir_steered) == 64);
WEIR_ABI_ASSERT(sizeof(struct weir_row) == 320);
WEIR_ABI_ASSERT(sizeof(struct weir_program_counters) == 128);
WEIR_ABI_ASSERT(sizeof(struct weir_lookup) == 64 + 2 * 16384 + 2 * 131072);
WEIR_ABI_ASSERT(__builtin_offsetof(struct weir_table, admission) == 64);
WEIR_ABI_ASSERT(__builtin_offsetof(struct weir_table, total) == 128);
WEIR_ABI_ASSERT(__builtin_offsetof(struct weir_table, ticket) == 192);
WEIR_ABI_ASSERT(__builtin_offsetof(struct weir_table, key) == 256);
WEIR_ABI_ASSERT(__builtin_offsetof(struct weir_table, bias) == 256 + 8 * 1024);
WEIR_ABI_ASSERT(__builtin_offsetof(struct weir_table, local_slot) == 256 + 16 * 1024);
WEIR_ABI_ASSERT(__builtin_offsetof(struct weir_table, steered) == 256 + 18 * 1024);
WEIR_ABI_ASSERT(__builtin_offsetof(struct weir_table, row) == 256 + 82 * 1024);
WEIR_ABI_ASSERT(__builtin_offsetof(struct weir_table, cpu) == 256 + 402 * 1024);
WEIR_ABI_ASSERT(__builtin_offsetof(struct weir_table, lookup) == 256 + 530 * 1024);
WEIR_ABI_ASSERT(__builtin_offsetof(struct weir_table, owner) == 256 + 530 * 1024 + 2 * 294976);
WEIR_ABI_ASSERT(sizeof(struct weir_table) == 256 + 538 * 1024 + 2 * 294976);

#endif /* WEIR_STEERING_ABI_H */
