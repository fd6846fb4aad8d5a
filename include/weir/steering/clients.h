/*
 * Per-client admission: how many connections each client address has open, and how fast it makes
 * new ones. Plain C, shared by the steering program, the workers and the tests.
 *
 * Counting and refusing are apart. A worker counts a connection when it accepts it, and that count
 * decides. The steering program only looks, and refuses at the SYN, by a reset, what the worker
 * would refuse after accepting it: a SYN may carry anybody's address, and if SYNs were counted,
 * whoever forges a client's address could shut that client out. SYNs that come faster than they
 * are accepted may all pass the program; the worker resets those that are too many.
 *
 * A client is an IPv4 address, or the /64 of an IPv6 address, which is what one host commonly has
 * to itself (RFC 4291, 2.5.1; RFC 6177).
 *
 * The table is of sets of eight ways, two cache lines a set; a client's set comes from a keyed
 * hash, and so does the tag that tells the clients of a set apart: 40 bits, which make two clients
 * of one set share an account once in 10^11 pairs. A way is free when nothing is open and nothing
 * is left to pay. A client whose set has no free way is admitted without an account, and counted
 * as untracked: with the key secret nobody can aim at a set, so that takes a full table.
 *
 * The rate is a token bucket kept as one number (the generic cell rate algorithm, ITU-T I.371,
 * annex A): the moment up to which all connections so far are paid for. Each costs an interval; no
 * client may be further ahead of the clock than a burst.
 */
#ifndef WEIR_STEERING_CLIENTS_H
#define WEIR_STEERING_CLIENTS_H

#include "weir/steering/abi.h"
#include "weir/steering/pick.h"

#define WEIR_CLIENT_WAYS 8u
#define WEIR_CLIENT_SETS_MAX (1u << 20)
#define WEIR_CLIENT_OPEN_BITS 24
#define WEIR_CLIENT_OPEN_MASK ((1ULL << WEIR_CLIENT_OPEN_BITS) - 1)
#define WEIR_CLIENT_TAG_MASK (~WEIR_CLIENT_OPEN_MASK)

/* Written by workers, each word by atomic operations; read by the program. All zero: free. */
struct weir_client {
  __u64 account; /* tag in the upper 40 bits, connections open in the lower 24 */
  __u64 paid_ns; /* CLOCK_MONOTONIC up to which its connections are paid for */
};

struct weir_client_set {
  struct weir_client way[WEIR_CLIENT_WAYS];
};

WEIR_ABI_ASSERT(sizeof(struct weir_client_set) == 128);

enum weir_admission_verdict {
  WEIR_ADMITTED = 0,
  WEIR_TOO_MANY = 1, /* it has as many connections open as it may */
  WEIR_TOO_FAST = 2, /* it has made too many of late */
};

/* Where a client's account is. */
struct weir_client_id {
  __u64 tag; /* in the place that it has in weir_client.account; never 0 */
  __u32 set;
};

WEIR_INLINE int weir_admission_on(const struct weir_table* table) {
  return WEIR_READ(table->admission.open_max) != 0 || WEIR_READ(table->admission.interval_ns) != 0;
}

/* `address` as in struct weir_syn. */
WEIR_INLINE struct weir_client_id weir_client_of(const struct weir_table* table,
                                                 const __u64 address[2]) {
  struct weir_client_id id;
  /* IPv4 stands in ::ffff:0:0/96, whose first half is 0, which no client's /64 is. */
  __u64 second = address[0] == 0 ? address[1] : 0;
  /* 17 bytes: another hash than those of the hash policies, of 16 and 18. */
  __u64 hash = weir_siphash(WEIR_READ(table->config.hash_key[0]),
                            WEIR_READ(table->config.hash_key[1]), address[0], second, 0, 17, 1, 3);

  id.tag = hash & WEIR_CLIENT_TAG_MASK;
  if (id.tag == 0) id.tag = 1ULL << WEIR_CLIENT_OPEN_BITS;
  id.set = (__u32)hash & WEIR_READ(table->admission.set_mask) & (WEIR_CLIENT_SETS_MAX - 1);
  return id;
}

/* Whether a client that has paid up to paid_ns may make a connection now. interval_ns 0: any. */
WEIR_INLINE int weir_client_may_pay(__u64 paid_ns, __u64 now_ns, __u64 interval_ns,
                                    __u64 burst_ns) {
  __u64 from = (__s64)(paid_ns - now_ns) > 0 ? paid_ns : now_ns;

  return interval_ns == 0 || from + interval_ns - now_ns <= burst_ns;
}

/*
 * What a worker would say to one more connection of this client, by a look at its account. Each way
 * is read whether it matches or not: without CAP_PERFMON the verifier takes no offset that depends
 * on the way found, and the set is two lines in any case.
 */
WEIR_INLINE int weir_client_look(const struct weir_table* table, const struct weir_client_set* set,
                                 __u64 tag, __u64 now_ns) {
  __u64 open_max = WEIR_READ(table->admission.open_max);
  __u64 account = tag, paid_ns = 0; /* of one without an account */
  __u32 i;

  WEIR_UNROLL
  for (i = 0; i < WEIR_CLIENT_WAYS; i++) {
    __u64 its_account = WEIR_READ(set->way[i].account);
    __u64 its_paid_ns = WEIR_READ(set->way[i].paid_ns);

    if ((its_account & WEIR_CLIENT_TAG_MASK) == tag) {
      account = its_account;
      paid_ns = its_paid_ns;
    }
  }
  if (open_max != 0 && (account & WEIR_CLIENT_OPEN_MASK) >= open_max) return WEIR_TOO_MANY;
  if (!weir_client_may_pay(paid_ns, now_ns, WEIR_READ(table->admission.interval_ns),
                           WEIR_READ(table->admission.burst_ns)))
    return WEIR_TOO_FAST;
  return WEIR_ADMITTED;
}

#endif /* WEIR_STEERING_CLIENTS_H */
