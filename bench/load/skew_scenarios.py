"""What skew's clients do: the simulator's scenarios (bench/sim/scenario.cpp) at the scale of a bench.

Costs are seconds of a worker's core, as there; a slow core's seconds are longer, so what is written
to a plan is their share of it. What is scaled: 8 workers, not 16, and half the sessions or, of many,
a quarter; they last 6 s, not 15 or 20, so that a run is short; a cheap request costs 200 us, not 100,
and comes less often, for an echo has its price. Loads are such that workers come to be busy for 60 to
75 % of the time, in paths 40 to 50 %, with what connections cost.
"""

import math
import random
from dataclasses import dataclass, field

FILLING = 3.0    # seconds until as many sessions are open as a scenario says
PLANNED_FOR = 8  # workers; for another number there are as many more sessions, or fewer


def fixed(mean):
    return lambda draw: mean


def lognormal(mean, sigma=1.0):
    return lambda draw: mean * math.exp(sigma * draw.gauss(0, 1) - sigma * sigma / 2)


def pareto(mean, alpha=1.5):
    return lambda draw: mean * (alpha - 1) / alpha * draw.paretovariate(alpha)


@dataclass
class Lifetime:
    """Of a session, lognormal, seconds."""
    mean: float = 1
    sigma: float = 1

    def draw(self, draw):
        return lognormal(self.mean, self.sigma)(draw)

    def rest(self, draw):
        """What is left of one that is met open: such are long-lived, in proportion to their length."""
        return draw.random() * lognormal(self.mean * math.exp(self.sigma ** 2), self.sigma)(draw)


@dataclass
class Path:
    """A kind of session; which one a client is, is drawn by `share`."""
    share: float
    rate: object        # messages a second
    cost: object        # the mean of a message's, in seconds of a core
    core_max: float = 0.3  # no session asks for more than this of a core


@dataclass
class Scenario:
    name: str
    about: str
    paths: list
    open: float = 0              # sessions at once, on average; they arrive as a Poisson process
    lifetime: Lifetime = field(default_factory=Lifetime)
    burst: int = 0               # sessions that all arrive as the window begins, and stay
    keys: int = 0                # instead of all that: visits of one message each, to so many paths, `open` a second
    warm_up: float = 10.0
    seconds: float = 0           # of the window; 0: as --seconds says
    quota: bool = True           # on slow cores
    stalls: float = 0            # a second: some worker is stopped for 0.2 s
    kill: bool = False           # a worker, in the middle of the window
    hang_threshold: str = ""     # weir's, if it is not off
    policies: tuple = field(default=())  # only these, if any


def hermes(name, about, sessions, rate, cost, **more):
    """Many or few connections, cheap or costly requests; how much a client asks for differs."""
    return Scenario(name, about, [Path(1, lognormal(rate), fixed(cost))], sessions, Lifetime(6), **more)


def differing_paths(name, sessions):
    scale = 1_300 / sessions
    return Scenario(name, "costs per session differ by path, and are heavy-tailed within it",
                    [Path(0.80, fixed(1 * scale), pareto(60e-6)), Path(0.15, fixed(10 * scale), pareto(150e-6)),
                     Path(0.05, fixed(5 * scale), pareto(8e-3))], sessions, Lifetime(6, 1.2))


SCENARIOS = [
    hermes("floor", "next to nothing to do: what the bench itself adds to a delay", 160, 0.65, 5e-3, warm_up=3,
           policies=("least-connections/ebpf",)),
    hermes("many-cheap", "Hermes: many connections, cheap requests", 4_000, 3.8, 200e-6),
    hermes("many-costly", "Hermes: many connections, costly requests", 4_000, 0.2, 5e-3),
    hermes("few-cheap", "Hermes: few connections, cheap requests", 160, 162, 200e-6),
    hermes("few-costly", "Hermes: few connections, costly requests", 160, 5.8, 5e-3),
    differing_paths("paths", 2_000),
    differing_paths("paths-few", 200),
    Scenario("short", "sessions of 0.2 s and one costly request or two", [Path(1, fixed(5), lognormal(5e-3), 1e9)],
             150, Lifetime(0.2), warm_up=3),
    hermes("mishaps", "workers stand still for 0.2 s, and one dies", 2_000, 1.9, 1e-3, stalls=0.5, kill=True,
           hang_threshold="100ms"),
    Scenario("burst", "10,000 connects at once to an idle service", [Path(1, fixed(0.1), fixed(50e-6))], burst=10_000,
             warm_up=0.5, seconds=2),
    Scenario("key", "visits of one message, 1,000 a second: what uri-hash costs", [Path(1, fixed(1), fixed(0))], 1_000,
             keys=1_000, warm_up=1, quota=False, policies=("least-connections/ebpf", "uri-hash/ebpf")),
]
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def sessions_of(scenario, workers, until, seed):
    """(arrives, lifetime, gap, cost, path), in the order of arrival; seconds, and seconds of a core."""
    draw = random.Random(f"{scenario.name} {seed}")
    scale = workers / PLANNED_FOR
    if scenario.burst:
        return [(scenario.warm_up, 1e3, *asks(scenario, draw), "/") for _ in range(round(scenario.burst * scale))]
    if scenario.keys:
        return [(at, 0, 0, 0, f"/key-{draw.randrange(scenario.keys)}")
                for at in moments(draw, scenario.open * scale, until)]
    # First those who were there before, so that there are as many as there always are: they come while it
    # fills, and go when they would have gone.
    found = [(at, FILLING - at + scenario.lifetime.rest(draw), *asks(scenario, draw), "/")
             for at in moments(draw, scenario.open * scale / FILLING, FILLING)]
    found += [(FILLING + at, scenario.lifetime.draw(draw), *asks(scenario, draw), "/")
              for at in moments(draw, scenario.open * scale / scenario.lifetime.mean, until - FILLING)]
    return found


def moments(draw, rate, until):
    """Of a Poisson process."""
    now = draw.expovariate(rate)
    while now < until:
        yield now
        now += draw.expovariate(rate)


def asks(scenario, draw):
    """(mean gap, mean cost) of one session's messages."""
    path = draw.choices(scenario.paths, [path.share for path in scenario.paths])[0]
    rate = path.rate(draw)
    return 1 / rate, min(path.cost(draw), path.core_max / rate)


def write_plan(file, scenario, workers, until, seed, core):
    """As session_plan.h reads it. `core`: how much of a CPU a worker's core is."""
    draw = random.Random(f"addresses {seed}")
    for arrives, lifetime, gap, cost, path in sessions_of(scenario, workers, until, seed):
        # Each client its own address, of those that the loopback has.
        address = f"127.{draw.randrange(1, 255)}.{draw.randrange(256)}.{draw.randrange(1, 255)}"
        file.write(f"{arrives * 1e6:.0f} {lifetime * 1e6:.0f} {gap * 1e6:.1f} {cost * core * 1e9:.0f} "
                   f"{draw.getrandbits(63)} {address} {path}\n")


def mishaps_of(scenario, workers, seed):
    """[(seconds since the begin, "stop" or "kill", slot)], in that order."""
    draw = random.Random(f"mishaps {seed}")
    found, now = [], scenario.warm_up
    while scenario.stalls:
        now += draw.expovariate(scenario.stalls)
        if now >= scenario.warm_up + scenario.seconds:
            break
        found.append((now, "stop", draw.randrange(workers)))
    if scenario.kill:
        found.append((scenario.warm_up + 0.4 * scenario.seconds, "kill", draw.randrange(workers)))
    return sorted(found)
