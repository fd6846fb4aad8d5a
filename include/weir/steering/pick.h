/*
 * The whole steering decision: which slot a new connection goes to. A pure function of the load
 * table and of what is known of the SYN, compiled into the BPF object, the unit tests and the
 * benchmarks: sk_reuseport programs have no test-run hook, so this is how millions of picks at
 * 1,024 slots are tested. No map, socket or clock here; steer.bpf.c has those.
 *
 * weir_steer(), the one entry point, goes:
 *
 *   limit     over max_connections: WEIR_REFUSE
 *   propose   the policy names a slot, or no healthy one among its few candidates
 *   fall back the healthy slot of least load, found by a scan; with no healthy slot the least
 *             loaded serving one, hung or not (a queue beats a reset); none serving: WEIR_ABSTAIN
 *   charge    the slot's key and `assigned`
 *
 * Least-connections proposes nothing: it is the fallback. So is uri-hash, whose key no SYN has: the
 * workers see to it (key_owner.h). So are least-load and predictive, with
 * the scan reading another number: to each key it adds the slot's bias, by which the master says
 * how many connections' worth more or less than what is counted the slot's load weighs
 * (load_score.h). The bias is up to a tick old; the key is not. A burst therefore cannot herd onto
 * the slot that looked best at the last tick: each SYN is in the key before the next one is
 * steered.
 *
 * A slot is healthy when its key says so and its worker woke within the hang threshold. The second
 * is looked up only for a slot about to be chosen; a hang found so is noted in the key, and costs
 * its extra look once.
 *
 * Between reading keys and charging one, another CPU may do the same: with k CPUs in the program
 * at one moment the chosen slot may end k - 1 above the minimum. A lock would cost more than that.
 *
 * For the verifier: loops are unrolled or bpf_loop (kernel 5.17), each index is masked or compared
 * right before its use, and the parts are functions of their own (WEIR_PART). Must load on 6.1
 * with CAP_BPF alone, compiled by clang 14 with -mcpu=v3.
 */
#ifndef WEIR_STEERING_PICK_H
#define WEIR_STEERING_PICK_H

#include "weir/steering/abi.h"
#include "weir/steering/siphash.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_ABSTAIN (-1) /* leave it to the kernel's hash; nothing stays counted */
#define WEIR_REFUSE (-2)  /* answer with a reset; nothing stays counted */

/* Keys a scan step reads; WEIR_SLOTS_MAX is a multiple. Against 16, 32 takes 17 % off the program's
 * time at 1,024 slots, about 4 % at 64 and 256, and costs nothing at 2 (bench/README.md). */
#define WEIR_SCAN_WIDTH 32u
/* So many slots, a cache line of keys, are scanned in place: the loop's calls took 0.1 us of 0.56
 * with two. */
#define WEIR_SCAN_FEW 8u
#define WEIR_SCAN_TRIES 3 /* scans that each find one hung slot, before all are looked at */
#define WEIR_TICKET_TRIES 8
#define WEIR_HASH_TRIES 4

/* What is known of a connection that asks for a slot. */
struct weir_syn {
  __u64 now_ns;     /* CLOCK_MONOTONIC */
  __u64 address[2]; /* client's, IPv6 in network order, IPv4 mapped into it; if has_address */
  __u32 hash;       /* of the 4-tuple, as the kernel has it: the source of randomness */
  __u32 cpu;        /* selects the counters to write */
  __u16 port;       /* client's, network order */
  __u8 has_address; /* 0: the hash policies have nothing to hash and fall back */
  __u8 migrating;   /* queued on a listener that was closed: counted already, never refused */
};

#define WEIR_INLINE static inline __attribute__((always_inline))
#define WEIR_READ(word) (*(const volatile __typeof__(word)*)&(word)) /* once, and now */

#ifdef __clang__
#define WEIR_UNROLL _Pragma("clang loop unroll(full)")
#else
#define WEIR_UNROLL _Pragma("GCC unroll 32")
#endif

/*
 * The decision is in parts that the verifier checks one by one, knowing nothing of the callers
 * ("global functions"): as one piece it has so many paths that with CAP_BPF alone, where each
 * branch is also checked as speculation would run it, a million instructions do not suffice. A
 * pointer handed to such a part may be null for all the verifier knows, and without CAP_PERFMON
 * must not be indexed; so each part looks the table up again, which costs a few instructions.
 */
#ifdef __bpf__
static __attribute__((always_inline)) struct weir_table* weir_look_up(void); /* steer.bpf.c */
#define WEIR_PART __attribute__((noinline))
/* The asm makes the given table count as used, or clang would not pass it. */
#define WEIR_PART_ENTRY(table, syn, otherwise) \
  __asm__ volatile("" : : "r"(table));         \
  table = weir_look_up();                      \
  if (!table || !syn) return otherwise
#define weir_loop(count, step, context) bpf_loop(count, step, context, 0)
#else
#define WEIR_PART WEIR_INLINE
#define WEIR_PART_ENTRY(table, syn, otherwise) (void)0
/* bpf_loop: calls step(0..count - 1, context) until one returns non-zero. */
WEIR_INLINE void weir_loop(__u32 count, long (*step)(__u32, void*), void* context) {
  __u32 i;

  for (i = 0; i < count; i++)
    if (step(i, context)) break;
}
#endif

/* x scaled from 0..2^32 - 1 down to 0..count - 1: no division. count: 1..2^32 - 1. */
WEIR_INLINE __u32 weir_range(__u32 x, __u32 count) {
  return (__u32)(((__u64)x * count) >> 32);
}

/* Spreads the bits of x over the whole word (the finaliser of MurmurHash3). */
WEIR_INLINE __u64 weir_mix(__u64 x) {
  x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdULL;
  x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53ULL;
  return x ^ (x >> 33);
}

/* Slots in the table, never more than it holds. */
WEIR_INLINE __u32 weir_slot_count(const struct weir_table* table) {
  __u32 count = WEIR_READ(table->config.slot_count);

  return count < WEIR_SLOTS_MAX ? count : WEIR_SLOTS_MAX;
}

/* Whether the slot serves and its worker woke within the threshold. If only the latter fails, its
 * key says so from here on, until it wakes. */
WEIR_PART int weir_healthy(struct weir_table* table, const struct weir_syn* syn, __u32 slot) {
  __u64 threshold;

  WEIR_PART_ENTRY(table, syn, 0);
  slot &= WEIR_SLOT_MASK;
  if (WEIR_READ(table->key[slot]) & WEIR_KEY_UNHEALTHY) return 0;
  threshold = WEIR_READ(table->config.hang_threshold_ns);
  if (threshold == 0) return 1; /* its row is not even read */
  if (!weir_overslept(syn->now_ns, WEIR_READ(table->row[slot].awake_at_ns), threshold)) return 1;
  if (!(__sync_fetch_and_or(&table->key[slot], WEIR_KEY_HUNG) & WEIR_KEY_HUNG))
    table->cpu[syn->cpu & (WEIR_CPUS_MAX - 1)].hung_marked++;
  return 0;
}

/* ---- The fallback, and least-connections: a scan for the smallest key. ---- */

struct weir_scan_state {
  struct weir_table* table;
  __u64 salt; /* XORed into each key's slot bits */
  __u64 best; /* the smallest salted key so far */
  __u64 zero; /* 0, which the verifier cannot know */
};

/* The smallest so far, and of `count` keys from `first` on; `biased`: with each slot's bias, which
 * carries into no flag, so that what is best still has its slot's. The last two are constants. */
WEIR_INLINE void weir_scan_keys(struct weir_scan_state* scan, __u32 first, __u32 count,
                                int biased) {
  const __u64* key = &scan->table->key[first];
  const __u64* bias = &scan->table->bias[first];
  __u64 salt = scan->salt;
  __u64 best = scan->best;
  __u64 zero = scan->zero;
  __u32 i;

  WEIR_UNROLL
  for (i = 0; i < count; i++) {
    __u64 salted = (WEIR_READ(key[i]) + (biased ? WEIR_READ(bias[i]) : 0)) ^ salt;

    /* XOR makes the verifier forget the range that it learnt from the comparison. It would follow
     * every order of updates otherwise: 640,000 instructions with CAP_BPF alone, where now it is
     * 5,500. */
    if (salted < best) best = salted ^ zero;
  }
  scan->best = best;
}

/* Keys past the last slot are out of service, so a whole block needs no bound check. */
static long weir_scan_step(__u32 block, void* context) {
  weir_scan_keys((struct weir_scan_state*)context, (block * WEIR_SCAN_WIDTH) & WEIR_SLOT_MASK,
                 WEIR_SCAN_WIDTH, 0);
  return 0;
}

static long weir_scan_biased_step(__u32 block, void* context) {
  weir_scan_keys((struct weir_scan_state*)context, (block * WEIR_SCAN_WIDTH) & WEIR_SLOT_MASK,
                 WEIR_SCAN_WIDTH, 1);
  return 0;
}

/* Whether the policy is a scan over keys and biases. */
WEIR_INLINE int weir_is_biased(__u32 policy) {
  return policy == WEIR_LEAST_LOAD || policy == WEIR_PREDICTIVE;
}

/* Whether the policy is a scan, so that it has nothing to propose. */
WEIR_INLINE int weir_is_scan(__u32 policy) {
  return policy == WEIR_LEAST_CONNECTIONS || policy == WEIR_URI_HASH || weir_is_biased(policy);
}

/* Whether the biases count now. */
WEIR_INLINE int weir_heeds_biases(const struct weir_table* table, const struct weir_syn* syn) {
  return weir_is_biased(WEIR_READ(table->config.policy)) &&
         syn->now_ns >> 30 <= WEIR_READ(table->config.bias_until);
}

/*
 * The smallest key, with its bias if the policy has any. Among equal ones the salt chooses, or slot
 * 0 would do all the work of a host at light load. The salt is itself a slot number, uniform over
 * the slots: XORed in it turns into the smallest of all slot bits, so with all loads equal each
 * slot wins equally often.
 */
WEIR_PART __u64 weir_scan(struct weir_table* table, const struct weir_syn* syn, __u32 count) {
  struct weir_scan_state scan;
  __u32 blocks = (count + WEIR_SCAN_WIDTH - 1) / WEIR_SCAN_WIDTH;
  int biased;

  WEIR_PART_ENTRY(table, syn, WEIR_KEY_OUT);
  scan.table = table;
  scan.salt = weir_range(syn->hash, count);
  scan.best = ~0ULL;
  scan.zero = WEIR_READ(table->config.zero);
  biased = weir_heeds_biases(table, syn);
  if (count <= WEIR_SCAN_FEW && biased)
    weir_scan_keys(&scan, 0, WEIR_SCAN_FEW, 1);
  else if (count <= WEIR_SCAN_FEW)
    weir_scan_keys(&scan, 0, WEIR_SCAN_FEW, 0);
  else if (biased)
    weir_loop(blocks, weir_scan_biased_step, &scan);
  else
    weir_loop(blocks, weir_scan_step, &scan);
  return scan.best ^ scan.salt;
}

struct weir_hang_pass {
  struct weir_table* table;
  const struct weir_syn* syn;
};

static long weir_hang_step(__u32 slot, void* context) {
  struct weir_hang_pass* pass = (struct weir_hang_pass*)context;

  weir_healthy(pass->table, pass->syn, slot);
  return 0;
}

/*
 * The key of the healthy slot of least load; if it has a flag, there is no healthy slot, and it is
 * that of the least loaded serving one (hung), or no slot's at all (out of service).
 */
WEIR_PART __u64 weir_least_loaded(struct weir_table* table, const struct weir_syn* syn,
                                  __u32 count) {
  struct weir_hang_pass pass;
  __u64 key;
  int i;

  WEIR_PART_ENTRY(table, syn, WEIR_KEY_OUT);
  if (count == 0) return WEIR_KEY_OUT; /* not configured yet */
  WEIR_UNROLL
  for (i = 0; i < WEIR_SCAN_TRIES; i++) {
    key = weir_scan(table, syn, count);
    if ((key & WEIR_KEY_UNHEALTHY) || weir_healthy(table, syn, (__u32)key)) return key;
  }
  /* Several hung at once: look at every row, so that a host of hung workers costs this once. */
  pass.table = table;
  pass.syn = syn;
  weir_loop(count, weir_hang_step, &pass);
  return weir_scan(table, syn, count);
}

/* ---- What the policies propose: a healthy slot, or WEIR_ABSTAIN. ---- */

WEIR_INLINE int weir_propose_two_choices(struct weir_table* table, const struct weir_syn* syn,
                                         __u32 count) {
  __u64 random = weir_mix(syn->hash);
  __u32 a = weir_range((__u32)random, count);
  __u32 b = a + 1 + weir_range((__u32)(random >> 32), count - 1); /* another, if there is one */

  if (b >= count) b -= count;
  a &= WEIR_SLOT_MASK;
  b &= WEIR_SLOT_MASK;
  if ((WEIR_READ(table->key[b]) | WEIR_SLOT_MASK) < (WEIR_READ(table->key[a]) | WEIR_SLOT_MASK)) {
    __u32 emptier = b;

    b = a;
    a = emptier;
  }
  if (weir_healthy(table, syn, a)) return (int)a;
  if (weir_healthy(table, syn, b)) return (int)b;
  return WEIR_ABSTAIN;
}

/* The slot of the next ticket. `weighted`: turns come from the live sequence; else slots simply
 * take turns. */
WEIR_PART int weir_take_turn(struct weir_table* table, const struct weir_syn* syn, int weighted) {
  const struct weir_lookup* lookup;
  __u64 ticket, length;
  __u32 slot;

  WEIR_PART_ENTRY(table, syn, WEIR_ABSTAIN);
  ticket = __sync_fetch_and_add(&table->ticket.value, 1);
  if (weighted) {
    lookup = &table->lookup[WEIR_READ(table->config.live) & 1];
    length = WEIR_READ(lookup->sequence_length);
    if (length == 0) return WEIR_ABSTAIN;
    slot = WEIR_READ(lookup->sequence[(ticket % length) & (WEIR_SEQUENCE_MAX - 1)]);
  } else {
    length = weir_slot_count(table);
    if (length == 0) return WEIR_ABSTAIN;
    slot = (__u32)(ticket % length);
  }
  slot &= WEIR_SLOT_MASK;
  return weir_healthy(table, syn, slot) ? (int)slot : WEIR_ABSTAIN;
}

/* An unhealthy slot's turn is passed over, not handed on: the next ticket is the next slot's own,
 * so the neighbour of a lost slot gets no double share. */
WEIR_INLINE int weir_propose_round_robin(struct weir_table* table, const struct weir_syn* syn,
                                         int weighted) {
  int i, slot = WEIR_ABSTAIN;

  WEIR_UNROLL
  for (i = 0; i < WEIR_TICKET_TRIES; i++) {
    slot = weir_take_turn(table, syn, weighted);
    if (slot >= 0) break;
  }
  return slot;
}

WEIR_PART int weir_maglev(struct weir_table* table, const struct weir_syn* syn, __u32 hash) {
  const struct weir_lookup* lookup;
  __u32 entry = weir_range(hash, WEIR_MAGLEV_SIZE);
  __u32 slot;

  WEIR_PART_ENTRY(table, syn, WEIR_ABSTAIN);
  if (entry >= WEIR_MAGLEV_SIZE) return WEIR_ABSTAIN; /* cannot be, but not all verifiers see it */
  lookup = &table->lookup[WEIR_READ(table->config.live) & 1];
  slot = WEIR_READ(lookup->maglev[entry]) & WEIR_SLOT_MASK;
  return weir_healthy(table, syn, slot) ? (int)slot : WEIR_ABSTAIN;
}

/*
 * Maglev lookup of the client's address (and port). The table holds every configured slot whether
 * it serves or not; a connection of an unhealthy slot hashes again. So a lost slot moves its own
 * share only, spreads it over all others, and gets the same share back when it returns.
 */
WEIR_INLINE int weir_propose_hashed(struct weir_table* table, const struct weir_syn* syn,
                                    int with_port) {
  int i, slot = WEIR_ABSTAIN;
  __u64 hash;

  if (!syn->has_address) return WEIR_ABSTAIN;
  hash = weir_siphash(WEIR_READ(table->config.hash_key[0]), WEIR_READ(table->config.hash_key[1]),
                      syn->address[0], syn->address[1], with_port ? syn->port : 0,
                      with_port ? 18 : 16, 1, 3);
  WEIR_UNROLL
  for (i = 0; i < WEIR_HASH_TRIES; i++) {
    slot = weir_maglev(table, syn, (__u32)(hash >> 32));
    if (slot >= 0) break;
    hash = weir_mix(hash + 1);
  }
  return slot;
}

/* The slot of the CPU that took the SYN, whose caches have the connection, while it has no more
 * than its share and a quarter (local_step: what one connection adds to that). */
WEIR_INLINE int weir_propose_local(struct weir_table* table, const struct weir_syn* syn) {
  __s64 total = (__s64)WEIR_READ(table->total.value);
  __u32 slot;

  if (syn->cpu >= WEIR_CPUS_MAX) return WEIR_ABSTAIN;
  slot = WEIR_READ(table->local_slot[syn->cpu & (WEIR_CPUS_MAX - 1)]);
  if (slot == 0 || total < 0) return WEIR_ABSTAIN;
  slot = (slot - 1) & WEIR_SLOT_MASK;
  if ((WEIR_READ(table->key[slot]) & WEIR_KEY_LOAD_MASK) >
      ((__u64)total * WEIR_READ(table->config.local_step)) << WEIR_KEY_LOAD_SHIFT)
    return WEIR_ABSTAIN;
  return weir_healthy(table, syn, slot) ? (int)slot : WEIR_ABSTAIN;
}

WEIR_PART int weir_propose(struct weir_table* table, const struct weir_syn* syn, __u32 count) {
  __u32 policy;

  WEIR_PART_ENTRY(table, syn, WEIR_ABSTAIN);
  policy = WEIR_READ(table->config.policy);
  switch (policy) {
    case WEIR_TWO_CHOICES: return weir_propose_two_choices(table, syn, count);
    case WEIR_ROUND_ROBIN:
    case WEIR_WEIGHTED_ROUND_ROBIN:
      return weir_propose_round_robin(table, syn, policy == WEIR_WEIGHTED_ROUND_ROBIN);
    case WEIR_SOURCE_HASH:
    case WEIR_TUPLE_HASH: return weir_propose_hashed(table, syn, policy == WEIR_TUPLE_HASH);
    case WEIR_CPU_LOCAL: return weir_propose_local(table, syn);
    default: return WEIR_ABSTAIN;
  }
}

/* ---- Counting. ---- */

WEIR_INLINE void weir_charge(struct weir_table* table, __u32 slot) {
  slot &= WEIR_SLOT_MASK;
  /* assigned before the key: whoever reads a key that counts this connection and then `assigned`
   * finds it there too (the reconciler, src/steering/reconcile.h). */
  __sync_fetch_and_add(&table->steered[slot].assigned, 1);
  if (!(WEIR_READ(table->key[slot]) & WEIR_KEY_SATURATED))
    __sync_fetch_and_add(&table->key[slot], WEIR_READ(table->steered[slot].step));
}

WEIR_INLINE void weir_uncount(struct weir_table* table, const struct weir_syn* syn) {
  if (!syn->migrating) __sync_fetch_and_sub(&table->total.value, 1);
}

/* Takes back what weir_steer() counted for `slot`, when the connection could not go there after
 * all. Gives up under contention: what is left is the reconciler's to find. */
WEIR_PART int weir_discharge(struct weir_table* table, const struct weir_syn* syn, __u32 slot) {
  __u64 step;
  int i;

  WEIR_PART_ENTRY(table, syn, 0);
  table->cpu[syn->cpu & (WEIR_CPUS_MAX - 1)].select_failed++;
  slot &= WEIR_SLOT_MASK;
  step = WEIR_READ(table->steered[slot].step);
  weir_uncount(table, syn);
  __sync_fetch_and_sub(&table->steered[slot].assigned, 1);
  WEIR_UNROLL
  for (i = 0; i < 4; i++) {
    __u64 key = WEIR_READ(table->key[slot]);

    /* A borrow would flip the flags: the master may have emptied the slot since. */
    if ((key & WEIR_KEY_LOAD_MASK) < step) break;
    if (__sync_val_compare_and_swap(&table->key[slot], key, key - step) == key) break;
  }
  return 0; /* a part must return something */
}

/*
 * Decides, and counts the decision: returns 0..WEIR_SLOTS_MAX - 1, WEIR_ABSTAIN or WEIR_REFUSE.
 */
WEIR_PART int weir_steer(struct weir_table* table, const struct weir_syn* syn) {
  struct weir_program_counters* counters;
  __u32 count, policy;
  __u64 max;
  int slot;

  WEIR_PART_ENTRY(table, syn, WEIR_ABSTAIN);
  counters = &table->cpu[syn->cpu & (WEIR_CPUS_MAX - 1)];
  count = weir_slot_count(table);
  max = WEIR_READ(table->config.max_connections);
  if (syn->migrating) {
    counters->migrated++;
  } else {
    counters->syns++;
    /* One atomic add decides, so that exactly `max` get in. Signed: see weir_table.total. */
    if ((__s64)__sync_fetch_and_add(&table->total.value, 1) >= (__s64)max && max != 0) {
      weir_uncount(table, syn);
      counters->refused++;
      return WEIR_REFUSE;
    }
  }

  policy = WEIR_READ(table->config.policy);
  slot = weir_is_scan(policy) ? WEIR_ABSTAIN : weir_propose(table, syn, count);
  if (slot < 0) {
    __u64 key = weir_least_loaded(table, syn, count);

    if (key & WEIR_KEY_OUT) {
      weir_uncount(table, syn);
      counters->abstained++;
      return WEIR_ABSTAIN;
    }
    if (!weir_is_scan(policy)) counters->fallback++;
    slot = (int)(key & WEIR_SLOT_MASK);
  }
  weir_charge(table, (__u32)slot);
  return slot;
}

#ifdef __cplusplus
}
#endif

#endif /* WEIR_STEERING_PICK_H */
