/*
 * SipHash-c-d (Aumasson and Bernstein, 2012) over a message of 16 to 23 bytes: a keyed hash that a
 * client who does not know the key cannot aim. Plain C, for the BPF object and for user space,
 * where siphash() of key_owner.h makes of these parts the hash of a message of any length.
 *
 * The steering program uses 1-3, as the Linux kernel does for its hash tables; the rounds are
 * arguments so that the published vectors, which are of 2-4, can check the same code.
 */
#ifndef WEIR_STEERING_SIPHASH_H
#define WEIR_STEERING_SIPHASH_H

#include <linux/types.h>

struct weir_sip_state {
  __u64 v0, v1, v2, v3;
};

static inline __attribute__((always_inline)) __u64 weir_rotate_left(__u64 x, unsigned int bits) {
  return (x << bits) | (x >> (64 - bits));
}

static inline __attribute__((always_inline)) void weir_sip_round(struct weir_sip_state* s) {
  s->v0 += s->v1;
  s->v2 += s->v3;
  s->v1 = weir_rotate_left(s->v1, 13) ^ s->v0;
  s->v3 = weir_rotate_left(s->v3, 16) ^ s->v2;
  s->v0 = weir_rotate_left(s->v0, 32);
  s->v2 += s->v1;
  s->v0 += s->v3;
  s->v1 = weir_rotate_left(s->v1, 17) ^ s->v2;
  s->v3 = weir_rotate_left(s->v3, 21) ^ s->v0;
  s->v2 = weir_rotate_left(s->v2, 32);
}

static inline __attribute__((always_inline)) void weir_sip_absorb(struct weir_sip_state* s,
                                                                  __u64 word, int rounds) {
  int i;

  s->v3 ^= word;
  for (i = 0; i < rounds; i++) weir_sip_round(s);
  s->v0 ^= word;
}

static inline __attribute__((always_inline)) struct weir_sip_state weir_sip_begin(__u64 key0,
                                                                                  __u64 key1) {
  struct weir_sip_state s = {
      .v0 = key0 ^ 0x736f6d6570736575ULL, /* "somepseudorandomlygeneratedbytes" */
      .v1 = key1 ^ 0x646f72616e646f6dULL,
      .v2 = key0 ^ 0x6c7967656e657261ULL,
      .v3 = key1 ^ 0x7465646279746573ULL,
  };

  return s;
}

static inline __attribute__((always_inline)) __u64 weir_sip_end(struct weir_sip_state* s,
                                                                int rounds) {
  int i;

  s->v2 ^= 0xff;
  for (i = 0; i < rounds; i++) weir_sip_round(s);
  return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/*
 * The hash of the message whose first 16 bytes are `first` and `second` and whose other bytes,
 * `length` - 16 of them, are `rest` (zero above them), each word in little-endian order. length:
 * 16..23.
 */
static inline __attribute__((always_inline)) __u64 weir_siphash(__u64 key0, __u64 key1, __u64 first,
                                                                __u64 second, __u64 rest,
                                                                __u64 length, int compress,
                                                                int finish) {
  struct weir_sip_state s = weir_sip_begin(key0, key1);

  weir_sip_absorb(&s, first, compress);
  weir_sip_absorb(&s, second, compress);
  weir_sip_absorb(&s, rest | (length << 56), compress);
  return weir_sip_end(&s, finish);
}

#endif /* WEIR_STEERING_SIPHASH_H */
