"""WeirTest, the base of every test here, and main()."""

import asyncio
import functools
import os
import signal
import sys
import unittest

from harness import proc
from harness.environment import PATIENCE, raise_descriptor_limit
from harness.lanes import LaneRunner
from harness.server import Server
from harness.succession import Succession

SKIPPED = 77  # what CTest takes for "skipped"; see the CMakeLists.txt of each suite


class WeirTest(unittest.TestCase):
    maxDiff = None

    def start_weir(self, *flags, **options):
        """A weir that is ended with the test, which fails if that end is not a clean one."""
        server = Server(*flags, **options)
        self.addCleanup(server.close)
        return server

    def start_succession(self, *flags, **options):
        """The same for one whose master may change."""
        server = Succession(*flags, **options)
        self.addCleanup(server.close)
        return server

    def freeze(self, pid):
        """Returns once the process stands still; it goes on by thaw(), or with the test's end."""
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(self.thaw, pid)
        proc.await_stopped(pid)

    def thaw(self, pid):
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass

    def assert_spread_within_one(self, counts):
        self.assertLessEqual(max(counts) - min(counts), 1, counts)


def in_loop(test):
    """Runs an async test. Not IsolatedAsyncioTestCase: its debug mode is too slow for thousands."""

    @functools.wraps(test)
    def run(self):
        async def bounded():
            await asyncio.wait_for(test(self), 2 * PATIENCE)

        asyncio.run(bounded())

    return run


needs_ebpf = unittest.skipUnless(
    proc.may_load_bpf(), "loading the steering program needs CAP_BPF: run as root"
)


def main(lanes=1, longest=()):
    """`lanes`: so many tests run at a time, those named in `longest` first; see harness/lanes.py for
    which may."""
    raise_descriptor_limit()
    runner = LaneRunner(lanes, longest) if lanes > 1 else None
    outcome = unittest.main(module="__main__", verbosity=2, exit=False, testRunner=runner).result
    if not outcome.wasSuccessful():
        sys.exit(1)
    sys.exit(SKIPPED if outcome.skipped and len(outcome.skipped) == outcome.testsRun else 0)
