"""What skew found: a Result a run, tables over all of them, and plots."""

import itertools
import statistics
from dataclasses import dataclass

from plot import bars, timelines

MS = 1e6  # ns
# What these two are held against: the best of the others, and counting.
CHALLENGERS = ("least-load/ebpf", "predictive/ebpf")
COUNTING = "least-connections/ebpf"
LATE = 10.0  # ms; where the clients themselves came later than this with a message (p99), a run was disturbed


def quantile(histogram, part):
    """Of {upper end: count}: the least that the share `part` does not exceed, in ms; None of none."""
    total = sum(histogram.values())
    wanted, seen = int(part * total), 0
    for upper, count in sorted(histogram.items()):
        seen += count
        if seen > wanted or seen == total:
            return upper / MS
    return None


@dataclass(eq=False)
class Result:
    scenario: str
    policy: str
    seed: int
    facts: dict    # of the clients
    looks: list    # of the window
    core: float    # of a CPU, what a worker has; None: what it gets
    cpu_s: float   # of the whole server, in the window
    seconds: float

    def __post_init__(self):
        self.message = [quantile(self.facts["messages"], part) for part in (0.5, 0.99, 0.999)]
        self.connect = [quantile(self.facts["connects"], part) for part in (0.5, 0.99, 0.999)]
        self.late = quantile(self.facts["late"], 0.99)
        self.count = sum(self.facts["messages"].values())
        # Of the looks that saw connections: who had too many of them, and how unequal they were.
        self.held = [look for look in self.looks if sum(look.open)]
        self.most = [max(look.open) * len(look.open) / sum(look.open) for look in self.held]
        # Once all of a burst are open.
        all_open = max((sum(look.open) for look in self.held), default=0)
        self.settled = [most for look, most in zip(self.held, self.most) if sum(look.open) == all_open]
        self.deviation = [statistics.pstdev(look.open) for look in self.held]
        self.busy = list(self.busy_shares())
        self.busy_deviation = statistics.median(statistics.pstdev(shares) for _, shares in self.busy) if self.busy else 0
        self.busy_most = statistics.median(max(shares) for _, shares in self.busy) if self.busy else 0
        self.busy_mean = statistics.fmean(statistics.fmean(shares) for _, shares in self.busy) if self.busy else 0
        self.awake = statistics.fmean(share for look in self.looks for share in look.awake) if self.looks else 0
        self.client_cpus = self.facts["cpu_ns"] / 1e9 / self.seconds

    def busy_shares(self):
        """(when, share of its core by worker) over two looks each, a second: in less, a tick counts for much."""
        for before, after in zip(self.looks, self.looks[2:]):
            time = (after.at - before.at) * 1e9 * (self.core or 1)
            yield after.at, [max(0, b - a) / time if pid == old else 0
                             for a, b, pid, old in zip(before.cpu, after.cpu, after.pids, before.pids)]

    def row(self):
        names = ("p50_ms", "p99_ms", "p999_ms")
        return {"scenario": self.scenario, "policy": self.policy, "seed": self.seed, "messages": self.count,
                **{f"message_{name}": value for name, value in zip(names, self.message)},
                "connects": sum(self.facts["connects"].values()),
                **{f"connect_{name}": value for name, value in zip(names, self.connect)},
                "max_over_mean_median": middle(self.most), "max_over_mean_worst": max(self.most, default=None),
                "connections_sd_median": middle(self.deviation), "busy_mean": self.busy_mean,
                "busy_sd_median": self.busy_deviation, "busy_max_median": self.busy_most,
                "cpu_us_a_session": self.cpu_us_a_session(), "late_p99_ms": self.late,
                "server_cpus": self.cpu_s / self.seconds, "client_cpus": self.client_cpus, "awake_mean": self.awake,
                **{name: self.facts[name] for name in ("lost", "lost_owed", "unopened", "unanswered")}}

    def cpu_us_a_session(self):
        connects = sum(self.facts["connects"].values())
        return self.cpu_s * 1e6 / connects if connects else None

    def look_rows(self):
        busy = dict(self.busy)
        for look in self.looks:
            shares = busy.get(look.at, [None] * len(look.open))
            for slot, (connections, share, awake) in enumerate(zip(look.open, shares, look.awake)):
                yield [self.scenario, self.policy, self.seed, f"{look.at:.2f}", slot, connections,
                       "" if share is None else f"{share:.4f}", awake]

    def line(self):
        return (f"{self.scenario:12} {self.policy:24} seed {self.seed}  {self.count:7,} messages, p50 p99 p99.9 "
                f"{' '.join(map(short, self.message))} ms  connect {' '.join(map(short, self.connect))}  "
                f"max/mean {short(middle(self.most))}  busy {self.busy_mean:.2f} sd {self.busy_deviation:.3f} "
                f"max {self.busy_most:.2f}  clients {self.client_cpus:.2f} CPU, late {short(self.late)}"
                + "".join(f"  {name} {self.facts[name]}" for name in ("lost", "unopened", "unanswered") if self.facts[name]))


def middle(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def short(value, decimals=None):
    """To three digits, as people write it, or to so many after the point."""
    if value is None:
        return "-"
    if decimals is not None:
        return f"{value:.{decimals}f}"
    if value >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def spread(values, decimals=None):
    """median [least, greatest]; of one, it alone."""
    values = [value for value in values if value is not None]
    if len(values) < 2:
        return short(middle(values), decimals)
    return " [".join(short(value, decimals) for value in (statistics.median(values), min(values))) \
        + f", {short(max(values), decimals)}]"


def display(policy):
    """As a table names it: what needs no word is ebpf."""
    return {"kernel-hash/none": "the kernel's hash"}.get(policy, policy.removesuffix("/ebpf").replace("/cbpf", ", cbpf"))


# --- tables -------------------------------------------------------------------------------------


def tables(results, markdown):
    """Of the runs that nothing disturbed; the others are named."""
    disturbed = [run for run in results if (run.late or 0) > LATE]
    found = {}
    for result in (run for run in results if run not in disturbed):
        found.setdefault((result.scenario, result.policy), []).append(result)
    scenarios = list(dict.fromkeys(result.scenario for result in results))
    policies = list(dict.fromkeys(result.policy for result in results))
    usual = [name for name in scenarios if name not in ("floor", "burst", "key")]

    def cells(of):
        """A table's rows: of(runs of that policy in that scenario), by policy."""
        rows = [[display(policy), *(of(found[name, policy]) if (name, policy) in found else "" for name in usual)]
                for policy in policies if any((name, policy) in found for name in usual)]
        return [["policy", *usual], *rows]

    def three(pick):
        return lambda runs: " / ".join(short(middle(pick(run)[i] for run in runs)) for i in range(3))

    parts = []
    if "floor" in scenarios:
        parts.append(("floor: delays where there is next to nothing to do, p50 / p99 / p99.9, ms", [
            ["policy", "messages", "new connections"],
            *([display(policy), *(three(lambda run, name=name: getattr(run, name))(found["floor", policy])
                                  for name in ("message", "connect"))]
              for policy in policies if ("floor", policy) in found)]))
    if usual:
        parts += [("Messages, p99 of the delay, ms", cells(lambda runs: spread([run.message[1] for run in runs]))),
                  ("Messages, p50 / p99 / p99.9, ms", cells(three(lambda run: run.message))),
                  ("New connections, p50 / p99 / p99.9, ms", cells(three(lambda run: run.connect))),
                  ("Connections: largest over mean, standard deviation", cells(
                      lambda runs: f"{short(middle(middle(run.most) for run in runs))}, "
                                   f"{short(middle(middle(run.deviation) for run in runs))}")),
                  ("Busy share: standard deviation, largest, mean", cells(
                      lambda runs: ", ".join(short(middle(getattr(run, name) for run in runs))
                                             for name in ("busy_deviation", "busy_most", "busy_mean"))))]
        parts += [("Ratios, seed by seed: geometric mean [least, greatest]", ratios(found, usual, policies))]
    if "burst" in scenarios:
        parts.append(("burst: largest over mean once all are open, and connecting", [
            ["policy", "largest / mean", "worst", "connect p50 / p99 / p99.9, ms"],
            *([display(policy), spread([middle(run.settled) for run in found["burst", policy]], 3),
               short(max(max(run.settled, default=0) for run in found["burst", policy]), 3),
               three(lambda run: run.connect)(found["burst", policy])]
              for policy in policies if ("burst", policy) in found)]))
    if "key" in scenarios:
        parts.append(("key: what a visit costs", [
            ["policy", "server CPU a visit, us", "connect p50 / p99 / p99.9, ms"],
            *([display(policy), spread([run.cpu_us_a_session() for run in found["key", policy]]),
               three(lambda run: run.connect)(found["key", policy])]
              for policy in policies if ("key", policy) in found)]))
    text = "".join(f"\n{title}\n\n{laid_out(rows, markdown)}\n" for title, rows in parts if len(rows) > 1)
    if disturbed:
        text += (f"\nLeft out, for the clients came late themselves, by a p99 over {LATE:.0f} ms: "
                 + "; ".join(f"{run.scenario}, {display(run.policy)}, seed {run.seed} ({short(run.late)} ms)"
                             for run in disturbed) + "\n")
    return text


def laid_out(rows, markdown):
    if markdown:
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def ratios(found, scenarios, policies):
    """The challengers against the best of the others, and against counting."""
    baselines = [policy for policy in policies if policy not in CHALLENGERS]
    rows = [["", *scenarios]]
    for challenger in CHALLENGERS:
        if challenger not in policies:
            continue
        if baselines:
            # The best is the one that is so in the middle of the seeds, not a new one for each seed.
            best = {s: min((b for b in baselines if (s, b) in found), default=None,
                           key=lambda b, s=s: middle(run.message[1] for run in found[s, b]) or float("inf"))
                    for s in scenarios}
            rows.append([f"{display(challenger)} / best other, p99",
                         *(ratio(found, s, challenger, best[s], lambda run: run.message[1])
                           + (f" ({display(best[s])})" if best[s] else "") for s in scenarios)])
        if COUNTING in baselines:
            for what, pick in (("p99", lambda run: run.message[1]), ("busy sd", lambda run: run.busy_deviation)):
                rows.append([f"{display(challenger)} / {display(COUNTING)}, {what}",
                             *(ratio(found, s, challenger, COUNTING, pick) for s in scenarios)])
    return rows


def ratio(found, scenario, policy, other, pick):
    # Seed by seed; of a seed that was run more than once, in that order.
    pairs, left = [], list(found.get((scenario, other), []))
    for run in found.get((scenario, policy), []):
        if base := next((each for each in left if each.seed == run.seed and pick(each)), None):
            left.remove(base)
            pairs.append(pick(run) / pick(base))
    if not pairs:
        return "-"
    mean = statistics.geometric_mean(pairs)
    return short(mean) + (f" [{short(min(pairs))}, {short(max(pairs))}]" if len(pairs) > 1 else "")


# --- plots --------------------------------------------------------------------------------------


def plots(results):
    """{name: SVG}: what each scenario looked like over time, in its first seed, and all p99 in bars."""
    found = {}
    for scenario, runs in itertools.groupby(results, lambda result: result.scenario):
        first = {}
        for run in runs:
            first.setdefault(display(run.policy), run)
        if f"skew-{scenario}" not in found:
            found[f"skew-{scenario}"] = timelines(
                f"{scenario}: over the workers", "seconds", {
                    "connections: largest over mean": {
                        name: [(look.at, most) for look, most in zip(run.held, run.most)] for name, run in first.items()},
                    "busy share: standard deviation": {name: [(at, statistics.pstdev(shares)) for at, shares in run.busy]
                                                       for name, run in first.items()},
                    "busy share: largest": {name: [(at, max(shares)) for at, shares in run.busy]
                                            for name, run in first.items()}})
    names = list(dict.fromkeys(display(result.policy) for result in results))
    best = {}
    for result in results:
        if result.message[1]:
            best.setdefault((result.scenario, result.seed), []).append(result.message[1])
    groups = {}
    for result in results:
        if result.message[1]:
            groups.setdefault(result.scenario, {}).setdefault(display(result.policy), []).append(
                result.message[1] / min(best[result.scenario, result.seed]))
    found["skew-p99"] = bars("p99 of messages, ratio to the best of that scenario and seed", groups, names, most=4.0)
    return found
