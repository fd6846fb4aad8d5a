/*
 * The steering program: runs in the kernel for each new connection to a listen address (on its
 * SYN), and once more for each connection that was queued on a listener when that was closed.
 * Collects what weir_steer() needs, asks it, and selects the listener. The decision and the counts
 * are pick.h's; the maps are filled by steering.cpp.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "weir/steering/clients.h"
#include "weir/steering/pick.h"

/* Shared by the programs of all listen addresses, the workers and the master. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct weir_table);
} weir_load SEC(".maps");

/* The clients' accounts, shared likewise. As many sets as weir_admission.set_mask says. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct weir_client_set);
} weir_clients SEC(".maps");

/* Set before loading. The clients of this listen address are known only to the worker, from what
 * a proxy tells it: the SYN's address is the proxy's. */
const volatile __u32 weir_behind_proxy = 0;

/* slot -> listener; one of these per listen address. */
struct {
  __uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
  __uint(max_entries, WEIR_SLOTS_MAX);
  __type(key, __u32);
  __type(value, __u64);
} weir_listeners SEC(".maps");

static __always_inline struct weir_table* weir_look_up(void) {
  __u32 zero = 0;

  return bpf_map_lookup_elem(&weir_load, &zero);
}

/* IPv4 as IPv6 would have it (::ffff:a.b.c.d), so that a client hashes the same either way. */
static __always_inline void set_ipv4(struct weir_syn* syn, __be32 address) {
  syn->address[0] = 0;
  syn->address[1] = (__u64)bpf_htonl(0xffff) | (__u64)address << 32;
  syn->has_address = 1;
}

/* A SYN: the context's bytes begin at the TCP header, the addresses are before it. */
static __always_inline void read_packet(struct sk_reuseport_md* ctx, struct weir_syn* syn) {
  __be32 ipv4;

  if (bpf_skb_load_bytes(ctx, offsetof(struct tcphdr, source), &syn->port, sizeof(syn->port)))
    return;
  if (ctx->eth_protocol == bpf_htons(ETH_P_IP)) {
    if (!bpf_skb_load_bytes_relative(ctx, offsetof(struct iphdr, saddr), &ipv4, sizeof(ipv4),
                                     BPF_HDR_START_NET))
      set_ipv4(syn, ipv4);
  } else if (ctx->eth_protocol == bpf_htons(ETH_P_IPV6)) {
    if (!bpf_skb_load_bytes_relative(ctx, offsetof(struct ipv6hdr, saddr), syn->address,
                                     sizeof(syn->address), BPF_HDR_START_NET))
      syn->has_address = 1;
  }
}

/* What the client's account says to one more connection: enum weir_admission_verdict. */
__attribute__((noinline)) int weir_look_at_client(const struct weir_syn* syn) {
  const struct weir_client_set* set;
  struct weir_client_id client;
  struct weir_table* table;

  table = weir_look_up();
  if (!table || !syn) return WEIR_ADMITTED;
  client = weir_client_of(table, syn->address);
  set = bpf_map_lookup_elem(&weir_clients, &client.set);
  if (!set) return WEIR_ADMITTED; /* cannot be: the mask is the map's */
  return weir_client_look(table, set, client.tag, syn->now_ns);
}

/* Whether the client may not connect now; counted if so. */
static __always_inline int weir_refuses(struct weir_table* table, const struct weir_syn* syn) {
  struct weir_program_counters* counters = &table->cpu[syn->cpu & (WEIR_CPUS_MAX - 1)];
  int verdict = weir_look_at_client(syn);

  if (verdict == WEIR_ADMITTED) return 0;
  counters->syns++;
  if (verdict == WEIR_TOO_MANY)
    counters->too_many++;
  else
    counters->too_fast++;
  return 1;
}

SEC("sk_reuseport/migrate")
int weir_select(struct sk_reuseport_md* ctx) {
  struct weir_syn syn = {};
  struct weir_table* table;
  __u32 slot, policy;
  int choice, admission;

  table = weir_look_up();
  if (!table) return SK_PASS; /* cannot be: the map has its one entry from the start */

  syn.now_ns = bpf_ktime_get_ns();
  syn.hash = ctx->hash;
  syn.cpu = bpf_get_smp_processor_id();
  syn.migrating = ctx->migrating_sk != NULL;
  policy = WEIR_READ(table->config.policy);
  admission = !weir_behind_proxy && weir_admission_on(table);
  /* A migrated connection has no packet: its own slot is gone anyway, least loaded will do. It was
   * admitted when it came. */
  if ((admission || policy == WEIR_SOURCE_HASH || policy == WEIR_TUPLE_HASH) && !syn.migrating)
    read_packet(ctx, &syn);
  if (admission && syn.has_address && weir_refuses(table, &syn)) return SK_DROP;

  choice = weir_steer(table, &syn);
  if (choice == WEIR_REFUSE) return SK_DROP;
  if (choice < 0) return SK_PASS;

  slot = (__u32)choice & WEIR_SLOT_MASK;
  /* If there is no listener in that slot, returning without one leaves it to the kernel's hash. */
  if (bpf_sk_select_reuseport(ctx, &weir_listeners, &slot, 0)) weir_discharge(table, &syn, slot);
  return SK_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
