"""What the guards share: a weir of one worker, and a figure held against its bound."""

import os

from bounds import __file__ as BOUNDS
from harness.suite import WeirTest

LOAD = os.environ.get("WEIR_BENCH_LOAD", "")
# Load and worker share it, as in bench/load: batches are full, and nobody is woken across CPUs.
CPUS = {max(os.sched_getaffinity(0))}
# How often a window that a busy machine may have disturbed is tried. One good window acquits: what
# costs more does so in every one.
WINDOWS = 10


class GuardTest(WeirTest):
    def start_weir_on_one_cpu(self, *flags, through=(), **options):
        """One worker on the load's CPU, which gives no signs of life: they count time, not work."""
        through = ("taskset", "--cpu-list", ",".join(map(str, CPUS)), "chrt", "--batch", "0", *through)
        return self.start_weir("--hang-threshold", "0", *flags, workers=1, through=through, **options)

    def assert_within(self, bound, unit, case, figure):
        said = f"{case}: {figure:,.6g} {unit}"
        said += f"; the bound is {bound.most:,}, set when {bound.measured:,} were measured"
        print(said, flush=True)
        if figure > bound.most:
            self.fail(f"{said}. If the cost is meant, move the bound in {BOUNDS}")

    def assert_a_window_within(self, bounds, case, window, windows=WINDOWS):
        """`bounds`: a (unit, Bound) for each of the figures that `window()` gives. All have to be
        within their bounds in one and the same window."""
        for attempt in range(1, windows + 1):
            figures = window()
            if all(figure <= bound.most for figure, (_, bound) in zip(figures, bounds)):
                break
        for figure, (unit, bound) in zip(figures, bounds):
            with self.subTest(unit):
                self.assert_within(bound, unit, f"{case} (window {attempt})", figure)
